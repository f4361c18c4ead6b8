"""Models that `exchange.save` refuses, and patterns of the messages, for `test_exchange.py`."""

import warnings
from collections import OrderedDict

import torch
from torch import nn

from models_kept import Net, autoencoder, net, with_encoder

REFUSED = {}


def refused(message):
    """Register a model that `save` refuses with a message that matches a pattern."""
    def register(make):
        REFUSED[make.__name__] = (make, message)
        return make
    return register


def with_value(value, dtype):
    model = net().to(dtype)
    model.encoder[0].weight.data[1, 2] = value
    return model


class Lora(nn.Linear):
    def __init__(self, *widths):
        super().__init__(*widths)
        self.a, self.b = nn.Parameter(torch.ones(1, widths[0])), nn.Parameter(torch.ones(widths[1], 1))

    def forward(self, rows):
        return super().forward(rows) + rows @ (self.b @ self.a).T


@refused("model: expected an nn.Module, found OrderedDict")
def state_dict():
    return net().state_dict()


@refused(r"expected nn.Sequential\(OrderedDict\(encoder=.* found Sequential of \['0', '1', '2'\]")
def plain_sequential():
    return nn.Sequential(nn.Linear(6, 2), nn.ReLU(), nn.Linear(2, 6))


@refused("found Sequential of")
def decoder_first():
    return nn.Sequential(OrderedDict(decoder=nn.Linear(2, 6), encoder=nn.Linear(6, 2)))


@refused(r"encoder\.0: Flatten.* not supported; expected Linear.*; flatten rows before the model")
def flatten():
    return with_encoder(nn.Flatten(), nn.Linear(6, 2))


@refused(r"encoder\.1: BatchNorm1d.* not supported; expected Linear.*\(\)$")
def batch_norm():
    return with_encoder(nn.Linear(6, 2), nn.BatchNorm1d(2))


@refused(r"encoder\.1: PReLU.* not supported")
def unknown_activation():
    return with_encoder(nn.Linear(6, 2), nn.PReLU())


@refused("encoder: ModuleList")
def module_list():
    return autoencoder(nn.ModuleList([nn.Linear(6, 2)]), nn.Linear(2, 6))


@refused("encoder: RecursiveScriptModule")
def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(net())


@refused(r"encoder\.1: None is not supported")
def empty_place():
    model = net()
    model.encoder[1] = None
    return model


@refused("encoder: no Linear")
def empty_stack():
    return autoencoder(nn.Sequential(nn.Identity()), nn.Linear(6, 6))


@refused(r"encoder\.0: unexpected ReLU")
def activation_first():
    return with_encoder(nn.ReLU(), nn.Linear(6, 2))


@refused(r"encoder\.2: unexpected Tanh")
def two_activations():
    return with_encoder(nn.Linear(6, 2), nn.ReLU(), nn.Tanh())


@refused(r"encoder\.2: unexpected Sigmoid")
def dropout_before_activation():
    return with_encoder(nn.Linear(6, 2), nn.Dropout(0.5), nn.Sigmoid())


@refused(r"encoder\.0: unexpected Dropout")
def dropout_of_inputs():
    return with_encoder(nn.Dropout(0.5), nn.Linear(6, 2))


@refused(r"decoder\.1: dropout after the last layer")
def dropout_of_outputs():
    return autoencoder(nn.Linear(6, 2), nn.Sequential(nn.Linear(2, 6), nn.Dropout(0.5)))


@refused(r"encoder\.1: expected a rate in \[0, 1\), found Dropout\(p=1\.0")
def dropout_of_everything():
    return with_encoder(nn.Linear(6, 2), nn.Dropout(1.0))


@refused(r"encoder\.1: expected a rate")
def dropout_that_rounds_to_1():
    return with_encoder(nn.Linear(6, 2), nn.Dropout(1 - 1e-12))


@refused(r"encoder\.1: AlphaDropout.* not supported")
def alpha_dropout():
    return with_encoder(nn.Linear(6, 2), nn.AlphaDropout(0.5))


@refused(r"encoder\.1: expected a slope above 0, found LeakyReLU\(negative_slope=-0\.1")
def negative_slope():
    return with_encoder(nn.Linear(6, 2), nn.LeakyReLU(-0.1))


@refused(r"encoder\.1: expected a slope")
def slope_that_rounds_to_0():
    return with_encoder(nn.Linear(6, 2), nn.LeakyReLU(1e-60))


@refused(r"encoder\.1: expected a slope")
def infinite_slope():
    return with_encoder(nn.Linear(6, 2), nn.LeakyReLU(1e60))


@refused("classifier: files have no place")
def head():
    model = net()
    model.add_module("classifier", nn.Linear(2, 3))
    return model


@refused("mean: files have no place")
def buffer():
    model = net()
    model.register_buffer("mean", torch.zeros(6))
    return model


@refused(r"encoder\.scale: files have no place")
def buffer_of_a_stack():
    model = net()
    model.encoder.register_buffer("scale", torch.ones(6), persistent=False)
    return model


@refused(r"encoder\.0\.scale: files have no place")
def buffer_of_a_layer():
    model = net()
    model.encoder[0].register_buffer("scale", torch.ones(6))
    return model


@refused(r"encoder\.0\.weight: .*nan at \[1, 2\]")
def nan():
    return with_value(float("nan"), torch.float32)


@refused(r"encoder\.0\.weight: .*-inf at \[1, 2\]")
def infinite():
    return with_value(float("-inf"), torch.float16)


@refused(r"encoder\.0\.weight: .*1e\+200 at \[1, 2\]")
def overflow():
    return with_value(1e200, torch.float64)


@refused(r"encoder\.0\.weight: .*complex64")
def complex_weights():
    model = net()
    model.encoder[0].weight = nn.Parameter(torch.ones(4, 6, dtype=torch.complex64))
    return model


@refused(r"encoder\.0\.weight: has no values")
def meta():
    return net().to("meta")


@refused(r"encoder\.0\.weight: has no values")
def lazy():
    return with_encoder(nn.LazyLinear(2), nn.ReLU())


@refused(r"encoder\.0\.bias: expected shape \[2\], found \[1\]")
def broadcast_bias():
    model = with_encoder(nn.Linear(6, 2))
    model.encoder[0].bias = nn.Parameter(torch.ones(1))
    return model


@refused(r"encoder\.0\.weight: .*at least 1 each, found \[0, 6\]")
def layer_without_outputs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return with_encoder(nn.Linear(6, 0), nn.Linear(0, 2))


@refused(r"encoder\.1\.weight: expected shape \[out, 4\].* found \[2, 3\]")
def widths_that_do_not_chain():
    return with_encoder(nn.Linear(6, 4), nn.Linear(3, 2))


@refused(r"decoder\.0\.weight: expected shape \[out, 3\].* found \[6, 2\]")
def code_that_does_not_fit():
    return with_encoder(nn.Linear(6, 3))


@refused(r"decoder\.0: expected 5 outputs, as many as inputs, found 6")
def outputs_that_are_not_inputs():
    return with_encoder(nn.Linear(5, 2))


@refused(r"encoder\.0: Lora has a forward of its own; merge")
def lora():
    return with_encoder(Lora(6, 2))


@refused("encoder: Doubled has a forward of its own")
def stack_with_a_forward():
    class Doubled(nn.Sequential):
        def forward(self, rows):
            return 2 * super().forward(rows)

    return autoencoder(Doubled(nn.Linear(6, 2)), nn.Linear(2, 6))


@refused("model: Residual has a forward of its own")
def model_with_a_forward():
    class Residual(nn.Sequential):
        def forward(self, rows):
            return rows + super().forward(rows)

    return Residual(OrderedDict(encoder=nn.Linear(6, 2), decoder=nn.Linear(2, 6)))


@refused(r"encoder\.1: ReLU has a forward of its own")
def replaced_forward():
    model = net()
    model.encoder[1].forward = torch.sin
    return model


@refused(r"forward of Residual is not decoder\(encoder\(rows\)\)")
def own_class_with_another_function():
    class Residual(Net):
        def forward(self, rows):
            return rows + super().forward(rows)

    return Residual()


@refused(r"forward of Clamped is not decoder\(encoder\(rows\)\)")
def own_class_with_another_function_of_large_values():
    class Clamped(Net):
        def forward(self, rows):
            return super().forward(rows.clamp(-100, 100))

    return Clamped()


@refused(r"forward of Skipping is not decoder\(encoder\(rows\)\)")
def own_class_with_another_function_of_zeros():
    class Skipping(Net):
        def forward(self, rows):
            return super().forward(rows) * rows.any(1, keepdim=True)

    return Skipping()


@refused("forward of Pair fails")
def own_class_with_two_results():
    class Pair(Net):
        def forward(self, rows):
            codes = self.encoder(rows)
            return self.decoder(codes), codes

    return Pair()


@refused(r"encoder\.0: the hook .* may change the function")
def hook():
    model = net()
    model.encoder[0].register_forward_hook(lambda module, rows, result: 2 * result)
    return model


@refused("encoder: the hook .* may change the function")
def hook_before():
    model = net()
    model.encoder.register_forward_pre_hook(lambda module, rows: (2 * rows[0],))
    return model


@refused("model: the hook .* may change the function")
def hook_of_the_model():
    model = Net()
    model.register_forward_hook(lambda module, rows, result: 2 * result)
    return model


@refused("model: the hook .* may change the function")
def hook_of_a_wrapper():
    model = nn.DataParallel(net())
    model.register_forward_hook(lambda module, rows, result: 2 * result)
    return model


@refused("metadata: expected a dict of strings")
def metadata_of_numbers():
    model = net()
    model.metadata = {"threshold": 0.5}
    return model


@refused("metadata: rename .'checkpoint'")
def metadata_of_the_crate():
    model = net()
    model.metadata = {"checkpoint": "7"}
    return model


@refused("metadata: expected at most 1000 entries")
def metadata_of_many_entries():
    model = net()
    model.metadata = {str(index): "" for index in range(1001)}
    return model


@refused("metadata: expected at most")
def metadata_of_many_bytes():
    model = net()
    model.metadata = {"text": 4_000_000 * "\u20ac"}
    return model
