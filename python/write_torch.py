"""Write a small PyTorch model with inputs, codes and outputs, for the crate's tests.

    python3 -m venv venv
    venv/bin/pip install torch numpy safetensors
    venv/bin/python python/write_torch.py

Writes `torch.safetensors` and `torch-values.safetensors` into `tests/golden/exchange`;
`tests/it/exchange.rs` loads them. The model has every activation of the crate, and dropout.
"""

from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from exchange import save

FOLDER = Path(__file__).parent.parent / "tests" / "golden" / "exchange"
ROWS = 17


def main():
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Linear(10, 8), nn.Sequential(nn.Tanh(), nn.Dropout(0.25)),
        nn.Linear(8, 6), nn.LeakyReLU(0.1),
        nn.Linear(6, 3), nn.Identity(),
    )
    decoder = nn.Sequential(nn.Linear(3, 7), nn.ReLU(), nn.Linear(7, 10), nn.Sigmoid())
    model = nn.Sequential(OrderedDict(encoder=encoder, decoder=decoder)).eval()
    save(model, FOLDER / "torch.safetensors")
    with torch.inference_mode():
        inputs = torch.rand(ROWS, 10)
        codes = model.encoder(inputs)
        values = {"inputs": inputs, "codes": codes, "outputs": model.decoder(codes)}
    save_file(values, FOLDER / "torch-values.safetensors", metadata={"torch": torch.__version__})
    print(f"wrote {FOLDER}/torch.safetensors and torch-values.safetensors with torch {torch.__version__}")


if __name__ == "__main__":
    main()
