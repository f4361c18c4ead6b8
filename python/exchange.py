"""Model files of the `autoencoder` crate in PyTorch, in both directions.

    from exchange import load, save

    model = load("model.safetensors")   # nn.Sequential of `encoder` and `decoder`
    codes = model.encoder(images)       # images [batch, features], codes [batch, code]
    save(model, "changed.safetensors")  # for Autoencoder::load

Needs torch and safetensors. A file holds `encoder.0.weight` [out, in], `encoder.0.bias`
[out], `encoder.2.weight`, ..., `decoder.0.weight`, ..., all f32, and in its metadata under
`autoencoder` the architecture as JSON: of each layer its outputs, its activation and its
rate of dropout. Even places of a stack are `nn.Linear`, odd ones activations; where there
is dropout it stands with the activation in an `nn.Sequential`, so that names stay.
"""

import json
from collections import OrderedDict

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import float32, nn

KEY, VERSION = "autoencoder", 1
PLAIN = {"identity": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


def load(path):
    """The model of a file, in evaluation mode; ValueError or KeyError if the file is of no such model."""
    with safe_open(path, framework="pt") as file:
        architecture = json.loads((file.metadata() or {})[KEY])
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
    return model.eval()


def save(model, path):
    """Writes a model whose `encoder` and `decoder` are built as `load` builds them."""
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
    save_file(tensors, path, metadata={KEY: json.dumps(architecture)})


def from_name(name):
    if isinstance(name, dict):
        return nn.LeakyReLU(name["leaky_relu"]["slope"])
    return PLAIN[name]()


def describe(module):
    """Activation and dropout of a layer as they stand in a file."""
    activation, rate = module, 0.0
    if isinstance(module, nn.Sequential):
        activation, dropout = module
        rate = dropout.p
    if isinstance(activation, nn.LeakyReLU):
        return {"activation": {"leaky_relu": {"slope": activation.negative_slope}}, "dropout": rate}
    names = [name for name, kind in PLAIN.items() if type(activation) is kind]
    if not names:
        raise ValueError(f"the crate has no activation {activation}")
    return {"activation": names[0], "dropout": rate}
