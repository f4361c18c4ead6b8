"""Write small valid files into seeds/, as starting points for fuzzing: python seeds.py"""

import gzip, io, json, pathlib, struct, zipfile

here = pathlib.Path(__file__).parent / "seeds"


def write(target, name, content):
    (here / target).mkdir(parents=True, exist_ok=True)
    (here / target / name).write_bytes(content)


def idx(*shape):
    count = 1
    for d in shape:
        count *= d
    return bytes([0, 0, 8, len(shape)]) + b"".join(struct.pack(">I", d) for d in shape) + bytes(range(count))


for shape in [(3,), (2, 3), (2, 2, 3), (0, 2, 2), (1,) * 8]:
    name = "x".join(map(str, shape))
    write("idx", name, idx(*shape))
    packed = gzip.compress(idx(*shape), mtime=0)
    write("idx_gzip", name, packed[2:])
whole = idx(2, 2, 3)
write("idx_gzip", "members", (gzip.compress(whole[:5], mtime=0) + gzip.compress(whole[5:], mtime=0))[2:])
write("idx_gzip", "stored", gzip.compress(whole, 0, mtime=0)[2:])

for kind, size in [("|u1", 1), ("<f4", 4), (">f4", 4), ("<f8", 8), (">f8", 8)]:
    for order in [True, False]:
        for shape in [(2, 2, 2), (2, 4)]:
            header = repr({"descr": kind, "fortran_order": order, "shape": shape}) + "\n"
            name = f"{kind[1:]}{'le' if kind[0] == '<' else ''}-{order}-{len(shape)}"
            content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(8 * size)
            write("npy", name, content)
for code, size in [(0x09, 1), (0x0B, 2), (0x0C, 4), (0x0D, 4), (0x0E, 8)]:
    write("idx", f"type-{code:02x}", bytes([0, 0, code, 3]) + struct.pack(">3I", 2, 1, 2) + bytes(4 * size))
write("idx", "qmnist", bytes([0, 0, 0x0C, 2]) + struct.pack(">2I", 2, 8) + struct.pack(">16I", *range(16)))
write("idx_gzip", "padded", (gzip.compress(idx(2, 3), mtime=0) + bytes(9))[2:])

header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1), }\n"
for version in [2, 3]:
    prefix = b"\x93NUMPY" + bytes([version, 0])
    write("npy", f"version-{version}", prefix + struct.pack("<I", len(header)) + header + b"\x07")

array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\x07"
for name, method, names in [
    ("stored", zipfile.ZIP_STORED, ["x.npy"]),
    ("deflated", zipfile.ZIP_DEFLATED, ["x.npy"]),
    ("two", zipfile.ZIP_DEFLATED, ["x.npy", "d/y.npy", "z"]),
]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for entry in names:
            info = zipfile.ZipInfo(entry)
            info.compress_type = method
            with archive.open(info, "w", force_zip64=True) as stream:  # as numpy.savez does
                stream.write(array)
    write("npz", name, out.getvalue())

for name, text in [
    ("kaggle", "label,pixel0,pixel1\n7,0,255\n1,3,4\n"),
    ("semicolons", "\ufeffa;b\r\n0,5;1\r\n"),
    ("tabs", "1\t2\n\n3\t4e-3\n"),
    ("quotes", '"a,""b""",label\n"0.5",cat\n'),
    ("missing", "a,b\n1,\n"),
    ("fractions", "0.25,0.5,1,0\n"),
]:
    write("csv", name, text.encode())
write("csv", "gzip", gzip.compress(b"a,b\n1,2\n", mtime=0))

for widths, activation, dtype in [
    ([3, 2, 3], "relu", "F32"),
    ([2, 1, 1, 2], {"leaky_relu": {"slope": 0.1}}, "F32"),
    ([2, 1, 2], "tanh", "F16"),
    ([2, 1, 2], "tanh", "BF16"),
    ([2, 1, 2], "tanh", "F64"),
]:
    width = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}[dtype]
    layers = [{"outputs": n, "activation": activation, "dropout": 0.0} for n in widths[1:]]
    half = len(layers) // 2
    stacks = {"encoder": layers[:half], "decoder": layers[half:]}
    header = {"__metadata__": {"autoencoder": json.dumps({"version": 1, "inputs": widths[0], **stacks})}}
    inputs, offset = widths[0], 0
    for stack in stacks:
        for index, layer in enumerate(stacks[stack]):
            for kind, shape in [("weight", [layer["outputs"], inputs]), ("bias", [layer["outputs"]])]:
                size = width * shape[0] * (shape[1] if len(shape) == 2 else 1)
                name = f"{stack}.{2 * index}.{kind}"
                header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
                offset += size
            inputs = layer["outputs"]
    text = json.dumps(header).encode()
    name = "-".join(map(str, widths)) + ("" if dtype == "F32" else "-" + dtype.lower())
    write("model", name, struct.pack("<Q", len(text)) + text + bytes(offset))
