"""The workload of `examples/throughput.rs` in PyTorch: images per second, for each epoch of training.

    python3 -m venv venv && venv/bin/pip install torch numpy
    AUTOENCODER_DATA=data venv/bin/python benches/pytorch.py --threads 2
    AUTOENCODER_DATA=data cargo run --release --example throughput -- --dataset mnist --threads 2

Run both in turns and compare medians. On a shared machine, a single run says little.
"""

import argparse
import gzip
import os
import time
from pathlib import Path

import numpy
import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hidden", type=lambda s: [int(w) for w in s.split(",")], default=[512, 256])
    parser.add_argument("--code", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--flush", action="store_true", help="flush subnormal numbers, as this crate does")
    args = parser.parse_args()

    path = Path(os.environ.get("AUTOENCODER_DATA", "data")) / "mnist/train-images-idx3-ubyte.gz"
    pixels = numpy.frombuffer(gzip.open(path).read(), numpy.uint8, offset=16).reshape(-1, 784)
    images = torch.from_numpy(pixels.astype(numpy.float32) / 255)

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    torch.set_flush_denormal(args.flush)
    encoder = [784, *args.hidden, args.code]
    widths = encoder + encoder[-2::-1]
    layers = []
    for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        layers.append(nn.Linear(inputs, outputs))
        if index == len(widths) - 2:
            layers.append(nn.Sigmoid())
        elif index != len(encoder) - 2:
            layers.append(nn.ReLU())
    model = nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    for epoch in range(args.epochs):
        start = time.perf_counter()
        order = torch.randperm(len(images))
        for rows in order.split(128):
            batch = images.index_select(0, rows)
            optimizer.zero_grad(set_to_none=True)
            nn.functional.mse_loss(model(batch), batch).backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: {len(images) / (time.perf_counter() - start):.0f} images/s", flush=True)


if __name__ == "__main__":
    main()
