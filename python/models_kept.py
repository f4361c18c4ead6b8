"""Models that `exchange.save` stores, for `test_exchange.py`. Each has 6 inputs."""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

KEPT = {}


def kept(make):
    """Register a model that has the same function in the file."""
    KEPT[make.__name__] = make
    return make


def autoencoder(encoder, decoder):
    return nn.Sequential(OrderedDict(encoder=encoder, decoder=decoder))


def net(bias=True):
    encoder = nn.Sequential(nn.Linear(6, 4, bias), nn.ReLU(), nn.Linear(4, 2, bias), nn.Identity())
    return autoencoder(encoder, nn.Sequential(nn.Linear(2, 4, bias), nn.Tanh(), nn.Linear(4, 6, bias), nn.Sigmoid()))


def with_encoder(*modules):
    return autoencoder(nn.Sequential(*modules), nn.Sequential(nn.Linear(2, 6), nn.Sigmoid()))


class Net(nn.Module):
    """An autoencoder as most people write it."""

    def __init__(self):
        super().__init__()
        self.decoder, self.encoder = net().decoder, net().encoder

    def forward(self, rows):
        return self.decoder(self.encoder(rows.flatten(1)))


@kept
def plain():
    return net()


@kept
def layers_without_activation_flat_dropout_and_nested_stacks():
    encoder = nn.Sequential(
        nn.Dropout(0.0), nn.Linear(6, 5), nn.LeakyReLU(0.2), nn.Dropout(0.5),
        nn.Sequential(OrderedDict(middle=nn.Linear(5, 4), last=nn.Sequential(nn.Linear(4, 2)))),
    )
    return autoencoder(encoder, nn.Linear(2, 6))


@kept
def shared_activation():
    relu = nn.ReLU(inplace=True)
    return with_encoder(nn.Linear(6, 4), relu, nn.Linear(4, 2), relu)


@kept
def training_mode():
    return with_encoder(nn.Linear(6, 2), nn.Sequential(nn.ReLU(), nn.Dropout(0.5))).train()


@kept
def compiled():
    return torch.compile(net(), backend="eager")


@kept
def compiled_stack():
    model = net()
    model.encoder = torch.compile(model.encoder, backend="eager")
    return model


@kept
def data_parallel():
    return nn.DataParallel(net())


@kept
def compiled_data_parallel():
    return torch.compile(nn.DataParallel(net()), backend="eager")


@kept
def averaged():
    model = torch.optim.swa_utils.AveragedModel(net())
    model.update_parameters(net())
    model.update_parameters(net())
    return model


@kept
def without_bias():
    return net(bias=False)


@kept
def pruned():
    model = net()
    prune.l1_unstructured(model.encoder[0], "weight", amount=0.5)
    prune.random_unstructured(model.encoder[0], "bias", amount=0.5)
    prune.random_unstructured(model.decoder[0], "weight", amount=2)
    prune.ln_structured(model.decoder[0], "weight", amount=1, n=2, dim=0)
    # As an optimizer's step does, which leaves `weight` behind until the next forward pass.
    model.encoder[0].weight_orig.data.mul_(2)
    return model


@kept
def weight_normed():
    model = net()
    parametrizations.weight_norm(model.encoder[0]).parametrizations.weight.original0.data.mul_(2)
    return model


@kept
def weight_normed_by_hook():
    model = net()
    nn.utils.weight_norm(model.encoder[0]).weight_g.data.mul_(2)
    return model


@kept
def spectral_normed_in_training():
    model = net().train()
    parametrizations.spectral_norm(model.encoder[0])
    return model


@kept
def spectral_normed_by_hook_in_training():
    model = net().train()
    nn.utils.spectral_norm(model.encoder[0])
    return model


@kept
def parametrized():
    model = net()
    parametrize.register_parametrization(model.encoder[0], "weight", nn.Softplus())
    parametrize.register_parametrization(model.decoder[2], "bias", nn.Tanh())
    return model


@kept
def tied():
    model = net()
    model.decoder[2].weight = nn.Parameter(model.encoder[0].weight.t())
    return model


@kept
def one_layer_twice():
    layer = nn.Linear(6, 6)
    return autoencoder(nn.Sequential(layer, nn.Tanh()), nn.Sequential(layer, nn.Sigmoid()))


@kept
def half():
    return net().half()


@kept
def bfloat16():
    return net().bfloat16()


@kept
def double():
    return net().double()


@kept
def subclasses_without_a_forward():
    class Stack(nn.Sequential):
        pass

    class Dense(nn.Linear):
        pass

    return autoencoder(Stack(Dense(6, 2), nn.ReLU()), Stack(Dense(2, 6)))


@kept
def own_class():
    return Net()


@kept
def own_class_that_overflows_in_half():
    model = Net()
    model.encoder[0].weight.data.mul_(20)
    model.encoder[2].weight.data.mul_(100)
    return model.half()


@kept
def own_class_with_frozen_buffers():
    model = Net()
    for name in ("weight", "bias"):
        value = getattr(model.encoder[0], name).detach()
        delattr(model.encoder[0], name)
        model.encoder[0].register_buffer(name, value)
    return model


@kept
def lazy_after_a_batch():
    model = with_encoder(nn.LazyLinear(2), nn.ReLU())
    model(torch.rand(3, 6))
    return model
