"""Write the golden files for the comparison of training with PyTorch.

A small mirrored autoencoder (20-12-9-5-9-12-20: ReLU hidden layers, linear code,
sigmoid output) takes 10 steps on 10 batches of 7 rows, in PyTorch, on one CPU
thread, once for each loss and optimizer in CASES.

    python3 -m venv venv
    venv/bin/pip install torch numpy safetensors
    venv/bin/python generate.py [FOLDER]

FOLDER defaults to that of this file. `pytorch.safetensors` has the losses and
optimizers of CASES. `pytorch-losses.safetensors` has those of LOSS_CASES, with
targets that differ from the inputs and with weights per row.
`pytorch-variants.safetensors` has the hidden layers of ACTIVATIONS in place of
ReLU, and decay of the weights alone. Their tensors, all
f32:

    batches                [10, 7, 20]  the inputs of each step, the same for all cases
    targets                [10, 7, 20]  the targets, in the second file
    weights                [10, 7]      the weights of the rows, in the second file
    initial.NAME                        the initial weights, the same for all cases
    CASE.losses            [10]         each step's loss, penalty included
    CASE.gradient.NAME                  the gradients of the first step
    CASE.final.NAME                     the weights after the tenth step

NAME is a key of the module's state_dict (`encoder.0.weight`, `encoder.0.bias`,
`encoder.2.weight`, ..., `decoder.4.bias`). Weights are [out, in]. The metadata
has the versions of Python and its packages, as JSON under `versions`.
"""

import json
import platform
import sys
from pathlib import Path

import numpy
import safetensors
import torch
from safetensors.torch import save_file
from torch import nn

SEED = 14  # keeps every ReLU input, in every case and step, at least 1e-4 away from 0
STEPS, BATCH = 10, 7
LASSO = 1e-3


class Autoencoder(nn.Module):
    def __init__(self, hidden=nn.ReLU):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(20, 12), hidden(),
            nn.Linear(12, 9), hidden(),
            nn.Linear(9, 5), nn.Identity(),
        )
        self.decoder = nn.Sequential(
            nn.Linear(5, 9), hidden(),
            nn.Linear(9, 12), hidden(),
            nn.Linear(12, 20), nn.Sigmoid(),
        )

    def forward(self, rows):
        return self.decoder(self.encoder(rows))

    def logits(self, rows):
        """Return the output before the final sigmoid."""
        return self.decoder[:-1](self.encoder(rows))


def mse(model, rows):
    return nn.MSELoss()(model(rows), rows)


def bce(model, rows):
    return nn.BCEWithLogitsLoss()(model.logits(rows), rows)


def mse_lasso(model, rows):
    """Return MSE plus LASSO times the sum of |w| over the encoder's weights, without biases."""
    weights = [layer.weight for layer in model.encoder if isinstance(layer, nn.Linear)]
    return mse(model, rows) + LASSO * sum(weight.abs().sum() for weight in weights)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=1e-3)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)


def adamw_of_weights(parameters):
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim == 2], "weight_decay": 0.5},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-2)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


CASES = {
    "mse_adam": (mse, adam),
    "bce_adam": (bce, adam),
    "lasso_adam": (mse_lasso, adam),
    "mse_adamw": (mse, adamw),
    "mse_sgd": (mse, sgd),
}

ACTIVATIONS = {"elu": nn.ELU, "silu": nn.SiLU, "gelu": nn.GELU}


def copy(tensors):
    """Copy tensors by name, because training changes them in place."""
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors}


def train(initial, batches, objective, optimizer_of, hidden=nn.ReLU):
    """Return the losses, the gradients of the first step and the final weights."""
    model = Autoencoder(hidden)
    model.load_state_dict(initial)
    optimizer = optimizer_of(model.parameters())
    losses, gradient = [], None
    for rows in batches:
        optimizer.zero_grad()
        loss = objective(model, rows)
        loss.backward()
        losses.append(loss.detach())
        if gradient is None:
            gradient = copy((name, p.grad) for name, p in model.named_parameters())
        optimizer.step()
    return torch.stack(losses), gradient, copy(model.state_dict().items())


def row_losses(loss_of):
    """Return an objective whose rows are (inputs, targets, weights), for cases in their own file."""

    def objective(model, rows):
        inputs, targets, weights = rows
        loss = loss_of(model, inputs, targets)
        return (weights[:, None] * loss).sum() / (weights.sum() * loss.shape[1])

    return objective


def unweighted(objective):
    return lambda model, rows: objective(model, (*rows[:2], torch.ones(len(rows[2]))))


def huber(model, inputs, targets):
    return nn.functional.huber_loss(model(inputs), targets, reduction="none", delta=0.2)


def huber_of_logits(model, inputs, targets):
    """Return the Huber loss of the model with an identity output."""
    return nn.functional.huber_loss(model.logits(inputs), targets, reduction="none", delta=0.2)


def mae(model, inputs, targets):
    return nn.functional.l1_loss(model(inputs), targets, reduction="none")


def squares(model, inputs, targets):
    return nn.functional.mse_loss(model(inputs), targets, reduction="none")


def entropy(model, inputs, targets):
    logits = model.logits(inputs)
    return nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")


LOSS_CASES = {
    "huber": (unweighted(row_losses(huber)), adam),
    "huber_identity": (unweighted(row_losses(huber_of_logits)), adam),
    "mae": (unweighted(row_losses(mae)), adam),
    "weighted_huber": (row_losses(huber), adam),
    "weighted_mse": (row_losses(squares), adam),
    "weighted_bce": (row_losses(entropy), adam),
}


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else __file__)
    folder = folder if folder.is_dir() else folder.parent
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    initial = copy(Autoencoder().state_dict().items())
    batches = torch.rand(STEPS, BATCH, 20)

    write(folder / "pytorch.safetensors", {"batches": batches}, initial, CASES, batches)

    # After those of the first file, so that its values stay the same.
    targets, weights = torch.rand(STEPS, BATCH, 20), torch.rand(STEPS, BATCH) * 3
    weights[:, 0] = 0.0
    data = {"batches": batches, "targets": targets, "weights": weights}
    rows = list(zip(batches, targets, weights))
    write(folder / "pytorch-losses.safetensors", data, initial, LOSS_CASES, rows)

    variants = {name: (mse, sgd, hidden) for name, hidden in ACTIVATIONS.items()}
    variants["decay_of_weights"] = (mse, adamw_of_weights)
    write(folder / "pytorch-variants.safetensors", {"batches": batches}, initial, variants, batches)


def write(output, data, initial, cases, batches):
    """Train every case and write the file."""
    tensors = dict(data)
    tensors |= {f"initial.{name}": tensor for name, tensor in initial.items()}
    for case, settings in cases.items():
        losses, gradient, final = train(initial, batches, *settings)
        tensors[f"{case}.losses"] = losses
        tensors |= {f"{case}.gradient.{name}": tensor for name, tensor in gradient.items()}
        tensors |= {f"{case}.final.{name}": tensor for name, tensor in final.items()}
        print(f"{case}: loss {losses[0]:.6f} to {losses[-1]:.6f}")
    save(output, tensors)


def save(output, tensors):
    """Write tensors with the versions of everything that made them."""
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values())
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "safetensors": safetensors.__version__,
    }
    # A single key, because the order of several keys is not deterministic.
    save_file(tensors, output, metadata={"versions": json.dumps(versions)})
    print(f"{output}: {len(tensors)} tensors, {output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
