"""Read and write model files of the `autoencoder` crate in PyTorch.

    from exchange import load, save

    model = load("model.safetensors")   # nn.Sequential of `encoder` and `decoder`
    codes = model.encoder(images)       # images [batch, features], codes [batch, code]
    model.metadata["threshold"]         # what Autoencoder::set_metadata has set, and save writes
    save(model, "changed.safetensors")  # for Autoencoder::load

Needs torch and safetensors. A file has the tensors `encoder.0.weight` [out, in], `encoder.0.bias` [out],
`encoder.2.weight`, ..., `decoder.0.weight`, ..., which `save` writes as f32. Its metadata has the architecture
as JSON under `autoencoder`: outputs, activation and dropout rate of each layer. All other entries are strings of
the user's own; `standardizer` is JSON with the lists `mean` and `deviation`. In a model from `load`, the even
indices of a stack are `nn.Linear`, the odd ones activations. A layer with dropout has an `nn.Sequential` of
activation and dropout at the odd index, so that the names of the tensors do not change.
"""

import json
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

KEY, VERSION, STACKS = "autoencoder", 1, ["encoder", "decoder"]
MAX_ENTRIES, MAX_BYTES = 1_000, 10_000_000  # of a user's metadata
# The name in files, the class, and the settings that an instance must have. LeakyReLU, of any slope, is not here.
ACTIVATIONS = {
    "identity": (nn.Identity, {}),
    "relu": (nn.ReLU, {}),
    "elu": (nn.ELU, {"alpha": 1.0}),
    "silu": (nn.SiLU, {}),
    "gelu": (nn.GELU, {"approximate": "none"}),
    "sigmoid": (nn.Sigmoid, {}),
    "tanh": (nn.Tanh, {}),
}
# Classes of torch that compute the function of a module inside them, and that module's name.
WRAPPERS = {
    "OptimizedModule": "_orig_mod",  # torch.compile
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "AveragedModel": "module",
}
# Hooks that compute the weight of a Linear from its other tensors.
WEIGHT_HOOKS = (BasePruningMethod, SpectralNorm, WeightNorm)
LAYERS = "expected Linear, at most one activation, at most one Dropout, Linear, ..."
REMEDY = "expected nn.Sequential(OrderedDict(encoder=nn.Sequential(...), decoder=nn.Sequential(...)))"
# How files of other formats start, what they are, and the remedy.
PYTORCH = "load it in PyTorch, and write the model with exchange.save"
OTHERS = {
    b"PK\x03\x04": f"a ZIP archive, perhaps PyTorch's own format (.pt); {PYTORCH}",
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 ": f"PyTorch's own format (.pt, a pickle); {PYTORCH}",
    b"version https://git-lfs": "a Git LFS pointer instead of the file; run `git lfs pull`",
    b"\x1f\x8b": "gzip; decompress it first",
    b"<": "HTML or XML, perhaps an error page; download the file again",
}


def load(path):
    """Load a model in evaluation mode. Raises ValueError if the file is not such a model, OSError if it cannot be read."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path}: expected a safetensors file, found {describe_file(path, error)}") from error
    if KEY not in metadata:
        raise ValueError(f"{path}: no metadata `{KEY}`; expected a file from Autoencoder::save or exchange.save")
    try:
        architecture = json.loads(metadata.pop(KEY))
        if architecture["version"] != VERSION:
            raise ValueError(f"version {VERSION} expected, found {architecture['version']}")
        model = build(architecture)
        model.load_state_dict({name: to_f32(name, tensor) for name, tensor in load_file(path).items()})
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a model: {error!r}") from error
    model.metadata = metadata
    return model.eval()


def describe_file(path, error):
    """Return what a file looks like that is not in the safetensors format, and the remedy."""
    with open(path, "rb") as file:
        start = file.read(512)
    if not start:
        return "an empty file; write or download it again"
    known = (found for prefix, found in OTHERS.items() if start.lstrip().startswith(prefix))
    return next(known, f"a file of another format, or one that is cut or damaged ({error}); write or download it again")


def build(architecture):
    """Return a model with this architecture and random weights."""
    width, stacks = architecture["inputs"], OrderedDict()
    for name in STACKS:
        stack = []
        for layer in architecture[name]:
            stack.append(nn.Linear(width, layer["outputs"]))
            activation, rate = from_name(layer["activation"]), layer["dropout"]
            stack.append(nn.Sequential(activation, nn.Dropout(rate)) if rate else activation)
            width = layer["outputs"]
        stacks[name] = nn.Sequential(*stack)
    return nn.Sequential(stacks)


def from_name(name):
    if isinstance(name, dict):
        return nn.LeakyReLU(name["leaky_relu"]["slope"])
    kind, settings = ACTIVATIONS[name]
    return kind(**settings)


def save(model, path):
    """Save a model that has the modules `encoder` and `decoder`, and its `metadata`, a dict of strings, if it has any.

    Each of the two is a stack of `nn.Linear` in an `nn.Sequential` or in nested ones. At most one activation, and then
    at most one `nn.Dropout`, follow each. The file has the function that the model computes in evaluation mode:

    - Wrappers such as `torch.compile` and `nn.DataParallel` are removed.
    - Pruned, weight-normed, spectral-normed and parametrized layers become their effective weights.
    - Tied weights become copies, missing biases become zeros, and all real types become float32.
    - A class with its own `forward` must compute `decoder(encoder(rows))`. This is tested on rows of magnitude 0 and of
      magnitudes from 0.01 to 1000.

    The model does not change. Any other model raises ValueError, which names the module or tensor. Nothing is written.
    Raises OSError if the file cannot be written.
    """
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"{path}: no folder {Path(path).parent}; create it first")
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: expected an nn.Module, found {type(model).__name__}")
    with evaluation(model), torch.no_grad(), torch.device("cpu"):
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if is_lazy(tensor) or tensor.is_meta:
                raise ValueError(f"{name}: has no values; load its weights, or call the model on a batch")
        wrapped, model = model, unwrap("model", model)
        check_children(model)
        architecture, tensors = describe(model)
        check_forward(model, architecture["inputs"])
    metadata = getattr(wrapped, "metadata", None) or getattr(model, "metadata", None) or {}
    check_metadata(metadata)
    try:
        save_file(tensors, path, metadata=metadata | {KEY: json.dumps(architecture)})
    except SafetensorError as error:
        raise OSError(f"{path}: cannot be written: {error}") from error


def describe(model):
    """Return the architecture and the tensors as stored in a file."""
    architecture, tensors, width = {"version": VERSION}, {}, None
    for stack in STACKS:
        layers = []
        for name, leaf in leaves(stack, model._modules[stack]):
            if isinstance(leaf, nn.Linear):
                weight, bias = weight_and_bias(name, leaf, width)
                last, width = name, len(weight)
                architecture.setdefault("inputs", weight.shape[1])
                place = f"{stack}.{2 * len(layers)}"
                tensors |= {f"{place}.weight": weight, f"{place}.bias": bias}
                layers.append({"outputs": width})
                continue
            key, value = describe_leaf(name, leaf)
            if value in ("identity", 0.0):
                continue
            if not layers or key in layers[-1] or "dropout" in layers[-1]:
                raise ValueError(f"{name}: unexpected {leaf}; {LAYERS}")
            layers[-1][key] = value
        if not layers:
            raise ValueError(f"{stack}: no Linear found; {LAYERS}")
        defaults = {"outputs": None, "activation": "identity", "dropout": 0.0}
        architecture[stack] = [defaults | layer for layer in layers]
    if width != architecture["inputs"]:
        raise ValueError(f"{last}: expected {architecture['inputs']} outputs, as many as inputs, found {width}")
    if "dropout" in layers[-1]:
        raise ValueError(f"{name}: dropout after the last layer; remove it")
    return architecture, tensors


def leaves(name, module):
    """Yield the modules inside nested `nn.Sequential`, with their names."""
    module = unwrap(name, module)
    if not isinstance(module, nn.Sequential):
        yield name, module
        return
    check_plain(name, module, nn.Sequential, children=module._modules)
    for key, child in module._modules.items():
        yield from leaves(f"{name}.{key}", child)


def describe_leaf(name, module):
    """Return the activation or dropout as stored in a file."""
    if isinstance(module, nn.Dropout):
        check_plain(name, module, nn.Dropout)
        if not 0 <= as_f32(module.p) < 1:
            raise ValueError(f"{name}: expected a rate in [0, 1), found {module}")
        return "dropout", float(module.p)
    if isinstance(module, nn.LeakyReLU):
        check_plain(name, module, nn.LeakyReLU)
        if not 0 < as_f32(module.negative_slope) < float("inf"):
            raise ValueError(f"{name}: expected a slope above 0, found {module}")
        return "activation", {"leaky_relu": {"slope": float(module.negative_slope)}}
    for known, (kind, settings) in ACTIVATIONS.items():
        if isinstance(module, kind) and all(getattr(module, key) == value for key, value in settings.items()):
            check_plain(name, module, kind)
            return "activation", known
    names = ", ".join(["LeakyReLU()", *(str(from_name(known)) for known in ACTIVATIONS)])
    remedy = "; flatten rows before the model" if isinstance(module, (nn.Flatten, nn.Unflatten)) else ""
    raise ValueError(f"{name}: {module!s:.200} is not supported; {LAYERS}, with {names}{remedy}")


def weight_and_bias(name, linear, inputs):
    """Return the effective weight and bias as float32."""
    # Hooks keep other tensors with these prefixes, such as `weight_orig` and `weight_mask`.
    tensors = [key for key in own_tensors(linear) if key.split("_")[0] in ("weight", "bias")]
    check_plain(name, linear, nn.Linear, [*tensors, "parametrizations"], WEIGHT_HOOKS)
    for hook in linear._forward_pre_hooks.values():
        hook(linear, None)
    weight = to_f32(f"{name}.weight", linear.weight)
    if weight.dim() != 2 or weight.numel() == 0 or inputs not in (None, weight.shape[1]):
        expected = f"[out, {inputs}], as the layer before has {inputs} outputs" if inputs else "[out, in], at least 1 each"
        raise ValueError(f"{name}.weight: expected shape {expected}, found {list(weight.shape)}")
    bias = weight.new_zeros(len(weight)) if linear.bias is None else to_f32(f"{name}.bias", linear.bias)
    if bias.shape != weight.shape[:1]:
        raise ValueError(f"{name}.bias: expected shape {list(weight.shape[:1])}, found {list(bias.shape)}")
    return weight, bias


def to_f32(name, tensor):
    """Return a copy in float32. Raises ValueError if it has an element that is not a finite real number."""
    if not tensor.is_floating_point():
        raise ValueError(f"{name}: expected real floating-point numbers, found {tensor.dtype}")
    dense = tensor.detach().cpu().to_dense()
    values = dense.to(torch.float32, copy=True).contiguous()
    for index in (~values.isfinite()).nonzero()[:1].tolist():
        found = dense[tuple(index)].item()
        raise ValueError(f"{name}: expected numbers that are finite in float32, found {found} at {index}")
    return values


def as_f32(number):
    return torch.tensor(number, dtype=torch.float32).item()


@contextmanager
def evaluation(model):
    """Set evaluation mode; at the end, restore the mode of every module."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def unwrap(name, module):
    """Return the module inside wrappers."""
    while type(module).__module__.startswith("torch.") and (inner := WRAPPERS.get(type(module).__name__)):
        check_hooks(name, module)
        module = module._modules[inner]
    return module


def own_tensors(module):
    """Return the names of the parameters and buffers of the module itself."""
    return [key for key, tensor in (*module._parameters.items(), *module._buffers.items()) if tensor is not None]


def check_hooks(name, module, known=()):
    for hook in (*module._forward_pre_hooks.values(), *module._forward_hooks.values()):
        if not isinstance(hook, known):
            raise ValueError(f"{name}: the hook {hook!r} may change the function; remove it first")


def check_plain(name, module, kind, children=(), hooks=()):
    """Check that a module computes the function of its class in torch.nn, and has nothing else to store."""
    if type(module).forward is not kind.forward or "forward" in vars(module):
        own = type(module).__name__
        raise ValueError(f"{name}: {own} has a forward of its own; merge it into a plain nn.{kind.__name__}")
    check_hooks(name, module, hooks)
    for key in (*own_tensors(module), *module._modules):
        if key not in children:
            raise ValueError(f"{name}.{key}: files have no place for it; remove it, or store it in `metadata`")


def check_children(model):
    """Check that a model has an encoder and a decoder, and nothing else that belongs in a file."""
    found = [key for key, child in model._modules.items() if child is not None]
    if not set(STACKS) <= set(found) or isinstance(model, nn.Sequential) and found[:2] != STACKS:
        raise ValueError(f"model: {REMEDY}, found {type(model).__name__} of {found}")
    for key in (*own_tensors(model), *found):
        if key not in STACKS:
            raise ValueError(f"{key}: files have no place for it; {REMEDY}; values can be strings in `metadata`")


def check_forward(model, inputs):
    """Check that a model computes `decoder(encoder(rows))`: by its class, or else on some rows."""
    check_hooks("model", model)
    if "forward" not in vars(model) and type(model).forward in (nn.Sequential.forward, nn.Module.forward):
        return
    name = type(model).__name__
    if isinstance(model, nn.Sequential):
        raise ValueError(f"model: {name} has a forward of its own; {REMEDY}")
    rows = torch.randn(64, inputs, generator=torch.Generator().manual_seed(0))
    rows *= torch.cat([torch.zeros(1), torch.logspace(-2, 3, 63)])[:, None]
    try:
        rows = rows.to([*model.encoder.parameters(), *model.encoder.buffers()][0])
        # Types of 16 bits may overflow to infinity and NaN.
        same = torch.equal(model(rows).nan_to_num(), model.decoder(model.encoder(rows)).nan_to_num())
    except Exception as error:
        raise ValueError(f"model: forward of {name} fails for rows [64, {inputs}], {error!s:.200}; {REMEDY}") from error
    if not same:
        raise ValueError(f"model: forward of {name} is not decoder(encoder(rows)); {REMEDY}")


def check_metadata(own):
    if not isinstance(own, dict) or not all(isinstance(text, str) for entry in own.items() for text in entry):
        raise ValueError(f"metadata: expected a dict of strings, found {own!r:.200}")
    if reserved := own.keys() & {KEY, "checkpoint", "optimizer", "content_sha256"}:
        raise ValueError(f"metadata: rename {sorted(reserved)}, which the crate uses itself")
    if len(own) > MAX_ENTRIES or sum(len(text.encode()) for entry in own.items() for text in entry) > MAX_BYTES:
        raise ValueError(f"metadata: expected at most {MAX_ENTRIES} entries and {MAX_BYTES} bytes in all")
