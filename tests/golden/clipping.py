"""Write the golden file for clipping and freezing, from PyTorch.

The model, the initial weights and the batches are those of `pytorch.safetensors`,
which `generate.py` wrote. Each of CASES takes 10 steps with
`torch.nn.utils.clip_grad_norm_` before each update.

    venv/bin/python clipping.py [OUTPUT]

OUTPUT defaults to `clipping.safetensors` beside this file. Its tensors, all f32:

    CASE.losses  [10]   each step's loss, penalty included
    CASE.norms   [10]   the norm of all gradients before it is clipped
    CASE.final.NAME     the weights after the tenth step

NAME is as in `generate.py`, and so are the metadata.
"""

import sys
from pathlib import Path

import torch
from generate import Autoencoder, LASSO, adam, adamw, bce, copy, mse, save, sgd
from safetensors.torch import load_file
from torch import nn


def mse_lasso_all(model, rows):
    """Return MSE plus LASSO times the sum of |w| over all weights, without biases."""
    weights = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]
    return mse(model, rows) + LASSO * sum(weight.abs().sum() for weight in weights)


# Objective, optimizer, largest norm, frozen part.
CASES = {
    "lasso_sgd": (mse_lasso_all, sgd, 0.01, None),
    "bce_adam": (bce, adam, 0.03, None),
    "mse_adamw": (mse, adamw, 0.015, "encoder"),
}


def train(initial, batches, objective, optimizer_of, max_norm, frozen):
    """Return the losses, the norms of the gradients and the final weights."""
    model = Autoencoder()
    model.load_state_dict(initial)
    if frozen is not None:
        getattr(model, frozen).requires_grad_(False)
    optimizer = optimizer_of(model.parameters())
    losses, norms = [], []
    for rows in batches:
        optimizer.zero_grad()
        loss = objective(model, rows)
        loss.backward()
        losses.append(loss.detach())
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm))
        optimizer.step()
    return torch.stack(losses), torch.stack(norms), copy(model.state_dict().items())


def main():
    folder = Path(__file__).parent
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else folder / "clipping.safetensors"
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    golden = load_file(folder / "pytorch.safetensors")
    prefix = "initial."
    initial = {name.removeprefix(prefix): golden[name] for name in golden if name.startswith(prefix)}

    tensors = {}
    for case, (objective, optimizer_of, max_norm, frozen) in CASES.items():
        losses, norms, final = train(initial, golden["batches"], objective, optimizer_of, max_norm, frozen)
        tensors |= {f"{case}.losses": losses, f"{case}.norms": norms}
        tensors |= {f"{case}.final.{name}": tensor for name, tensor in final.items()}
        print(f"{case}: loss {losses[0]:.6f} to {losses[-1]:.6f}, norms {norms.min():.4f} to {norms.max():.4f}")
    save(output, tensors)


if __name__ == "__main__":
    main()
