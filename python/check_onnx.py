"""Check the crate's ONNX files in onnxruntime.

    python3 -m venv venv
    venv/bin/pip install numpy onnx onnxruntime safetensors
    venv/bin/python python/check_onnx.py

The files are `crate-encoder.onnx`, `crate-decoder.onnx` and `crate-whole.onnx` in `tests/golden/exchange`.
`cargo test --features onnx --lib onnx -- --ignored` writes them from `crate.safetensors`. Each must pass ONNX's checker
and shape inference, contain exactly the weights of that file, and reproduce the values of `crate-values.safetensors` to
within 1e-6 for batches of any size. The unit tests of the exporter assert that the crate still writes the same files.
"""

import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime
from onnx import numpy_helper
from safetensors.numpy import load_file

FOLDER = Path(__file__).parent.parent / "tests" / "golden" / "exchange"
TOLERANCE = 1e-6
PARTS = {"encoder": ("inputs", "codes"), "decoder": ("codes", "outputs"), "whole": ("inputs", "outputs")}


def check(part, weights, given, expected):
    file = FOLDER / f"crate-{part}.onnx"
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    for tensor in model.graph.initializer:
        found = numpy_helper.to_array(tensor)
        if found.shape != weights[tensor.name].shape or found.tobytes() != weights[tensor.name].tobytes():
            sys.exit(f"{file}: {tensor.name} differs")

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (rows,), (result,) = session.get_inputs(), session.get_outputs()
    worst = 0.0
    for batch in (1, 2, len(given)):
        (found,) = session.run([result.name], {rows.name: given[:batch]})
        if found.shape != expected[:batch].shape:
            sys.exit(f"{file}: {found.shape} for {batch} rows")
        worst = max(worst, float(numpy.abs(found - expected[:batch]).max()))
    print(f"{file.name}: {rows.name} {rows.shape} to {result.name} {result.shape}, largest difference {worst:.1e}")
    if not worst <= TOLERANCE:
        sys.exit(f"{file}: not within {TOLERANCE}")


def main():
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
    weights = load_file(FOLDER / "crate.safetensors")
    values = load_file(FOLDER / "crate-values.safetensors")
    for part, (given, expected) in PARTS.items():
        check(part, weights, values[given], values[expected])


if __name__ == "__main__":
    main()
