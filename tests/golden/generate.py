"""Write the golden file for the comparison of training with PyTorch.

A small mirrored autoencoder (20-12-9-5-9-12-20: ReLU hidden layers, linear code,
sigmoid output) takes 10 steps on 10 batches of 7 rows, in PyTorch, on one CPU
thread, once for each loss and optimizer in CASES.

    python3 -m venv venv
    venv/bin/pip install torch numpy safetensors
    venv/bin/python generate.py [OUTPUT]

OUTPUT defaults to `pytorch.safetensors` beside this file. Its tensors, all f32:

    batches                [10, 7, 20]  the rows of each step, the same for all cases
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
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(20, 12), nn.ReLU(),
            nn.Linear(12, 9), nn.ReLU(),
            nn.Linear(9, 5), nn.Identity(),
        )
        self.decoder = nn.Sequential(
            nn.Linear(5, 9), nn.ReLU(),
            nn.Linear(9, 12), nn.ReLU(),
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


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


CASES = {
    "mse_adam": (mse, adam),
    "bce_adam": (bce, adam),
    "lasso_adam": (mse_lasso, adam),
    "mse_adamw": (mse, adamw),
    "mse_sgd": (mse, sgd),
}


def copy(tensors):
    """Copy tensors by name, because training changes them in place."""
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors}


def train(initial, batches, objective, optimizer_of):
    """Return the losses, the gradients of the first step and the final weights."""
    model = Autoencoder()
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


def main():
    output = Path(__file__).with_name("pytorch.safetensors")
    if len(sys.argv) > 1:
        output = Path(sys.argv[1])
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    initial = copy(Autoencoder().state_dict().items())
    batches = torch.rand(STEPS, BATCH, 20)

    tensors = {"batches": batches}
    tensors |= {f"initial.{name}": tensor for name, tensor in initial.items()}
    for case, (objective, optimizer_of) in CASES.items():
        losses, gradient, final = train(initial, batches, objective, optimizer_of)
        tensors[f"{case}.losses"] = losses
        tensors |= {f"{case}.gradient.{name}": tensor for name, tensor in gradient.items()}
        tensors |= {f"{case}.final.{name}": tensor for name, tensor in final.items()}
        print(f"{case}: loss {losses[0]:.6f} to {losses[-1]:.6f}")
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
