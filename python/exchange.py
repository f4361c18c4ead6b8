"""Read and write model files of the `autoencoder` crate in PyTorch.

    from exchange import load, save

    model = load("model.safetensors")   # nn.Sequential of `encoder` and `decoder`
    codes = model.encoder(images)       # images [batch, features], codes [batch, code]
    model.metadata["threshold"]         # what Autoencoder::set_metadata has set, and save writes
    save(model, "changed.safetensors")  # for Autoencoder::load

Needs torch and safetensors. A file has the tensors `encoder.0.weight` [out, in], `encoder.0.bias`
[out], `encoder.2.weight`, ..., `decoder.0.weight`, ..., all f32. Its metadata has the architecture
as JSON under `autoencoder`: outputs, activation and dropout rate of each layer. All other entries are
strings of the user's own; `standardizer` is JSON with the lists `mean` and `deviation`. The even indices of
a stack are `nn.Linear`, the odd ones activations. A layer with dropout has an `nn.Sequential` of
activation and dropout at the odd index, so that the names of the tensors do not change.
"""

import json
from collections import OrderedDict

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import float32, nn

KEY, VERSION = "autoencoder", 1
PLAIN = {"identity": nn.Identity, "relu": nn.ReLU, "elu": nn.ELU, "silu": nn.SiLU, "gelu": nn.GELU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


def load(path):
    """Load a model in evaluation mode. Raises ValueError or KeyError if the file is not such a model."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    architecture = json.loads(metadata.pop(KEY))
    if architecture["version"] != VERSION:
        raise ValueError(f"{path}: version {VERSION} expected, found {architecture['version']}")
    width, stacks = architecture["inputs"], OrderedDict()
    for name in ("encoder", "decoder"):
        stack = []
        for layer in architecture[name]:
            stack.append(nn.Linear(width, layer["outputs"]))
            activation, rate = from_name(layer["activation"]), layer["dropout"]
            stack.append(nn.Sequential(activation, nn.Dropout(rate)) if rate else activation)
            width = layer["outputs"]
        stacks[name] = nn.Sequential(*stack)
    model = nn.Sequential(stacks)
    model.load_state_dict(load_file(path))
    model.metadata = metadata
    return model.eval()


def save(model, path):
    """Save a model whose `encoder` and `decoder` are built as in `load`, with its `metadata` if it has any."""
    architecture = {"version": VERSION, "inputs": model.encoder[0].in_features}
    for name in ("encoder", "decoder"):
        stack = list(getattr(model, name))
        if len(stack) % 2 or not all(isinstance(linear, nn.Linear) for linear in stack[::2]):
            raise ValueError(f"{name}: expected Linear, activation, Linear, activation, ..., found {stack}")
        architecture[name] = [
            {"outputs": linear.out_features} | describe(after)
            for linear, after in zip(stack[::2], stack[1::2])
        ]
    tensors = {name: tensor.detach().to(float32).contiguous() for name, tensor in model.state_dict().items()}
    own = getattr(model, "metadata", {})
    save_file(tensors, path, metadata=own | {KEY: json.dumps(architecture)})


def from_name(name):
    if isinstance(name, dict):
        return nn.LeakyReLU(name["leaky_relu"]["slope"])
    return PLAIN[name]()


def describe(module):
    """Return the activation and dropout of a layer as stored in a file."""
    activation, rate = module, 0.0
    if isinstance(module, nn.Sequential):
        activation, dropout = module
        rate = dropout.p
    if isinstance(activation, nn.LeakyReLU):
        return {"activation": {"leaky_relu": {"slope": activation.negative_slope}}, "dropout": rate}
    names = [name for name, kind in PLAIN.items() if type(activation) is kind]
    if not names:
        raise ValueError(f"unsupported activation: {activation}")
    return {"activation": names[0], "dropout": rate}
