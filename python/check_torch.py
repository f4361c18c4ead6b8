"""Check that PyTorch reads the crate's model files with the same weights, codes and outputs.

    python3 -m venv venv
    venv/bin/pip install torch numpy safetensors
    venv/bin/python python/check_torch.py [MODEL VALUES]

By default, MODEL is `tests/golden/exchange/crate.safetensors`, which the crate wrote, and VALUES is
`crate-values.safetensors` beside it. VALUES has the tensors `inputs`, `codes` and `outputs`, as the crate computed
them. `cargo test --release --test it exchange::write -- --ignored` writes both files. The model becomes an
`nn.Sequential`. It must reproduce the values to within 1e-6. Saved again, it must have the same architecture and exactly
the same weights.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from exchange import KEY, load, save

FOLDER = Path(__file__).parent.parent / "tests" / "golden" / "exchange"
TOLERANCE = 1e-6


def near(what, found, expected):
    error = (found - expected).abs().max().item()
    print(f"{what}: {tuple(found.shape)}, largest difference {error:.1e}")
    if not (found.shape == expected.shape and error <= TOLERANCE):
        sys.exit(f"{what}: not within {TOLERANCE}")


def architecture(path):
    """Return the metadata of a file, with real numbers rounded to f32."""
    def real(text):
        return torch.tensor(float(text), dtype=torch.float32).item()

    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()[KEY], parse_float=real)


def main():
    default = (FOLDER / "crate.safetensors", FOLDER / "crate-values.safetensors")
    model_file, values_file = sys.argv[1:3] or default
    model, values = load(model_file), load_file(values_file)
    with torch.inference_mode():
        near("codes", model.encoder(values["inputs"]), values["codes"])
        near("outputs of the codes", model.decoder(values["codes"]), values["outputs"])
        near("outputs", model(values["inputs"]), values["outputs"])

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.safetensors"
        save(model, copy)
        before, after = load_file(model_file), load_file(copy)
        same = before.keys() == after.keys() and all(
            torch.equal(before[name].view(torch.int32), after[name].view(torch.int32)) for name in before
        )
        if not same or architecture(model_file) != architecture(copy):
            sys.exit("the saved copy is a different model")
    print(f"{len(before)} tensors and the architecture round-trip exactly")


if __name__ == "__main__":
    main()
