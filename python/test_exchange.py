"""Test that `exchange.save` writes the function of the model it is given, or says why it cannot.

    python3 -m venv venv
    venv/bin/pip install torch numpy safetensors
    venv/bin/python -m unittest discover python

If `cargo test` has built the test binary, it also loads the files and must compute the same outputs.
"""

import copy
import os
import subprocess
import tempfile
import unittest
import warnings
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from exchange import KEY, load, save

ROOT = Path(__file__).parent.parent
ROWS, TOLERANCE = 17, 1e-5
KEPT, REFUSED = {}, {}


def kept(make):
    """Register a model that has the same function in the file."""
    KEPT[make.__name__] = make
    return make


def refused(message):
    """Register a model that `save` refuses with a message that matches a pattern."""
    def register(make):
        REFUSED[make.__name__] = (make, message)
        return make
    return register


def autoencoder(encoder, decoder):
    return nn.Sequential(OrderedDict(encoder=encoder, decoder=decoder))


def net(bias=True):
    encoder = nn.Sequential(nn.Linear(6, 4, bias), nn.ReLU(), nn.Linear(4, 2, bias), nn.Identity())
    return autoencoder(encoder, nn.Sequential(nn.Linear(2, 4, bias), nn.Tanh(), nn.Linear(4, 6, bias), nn.Sigmoid()))


def with_encoder(*modules):
    return autoencoder(nn.Sequential(*modules), nn.Sequential(nn.Linear(2, 6), nn.Sigmoid()))


def with_value(value, dtype):
    model = net().to(dtype)
    model.encoder[0].weight.data[1, 2] = value
    return model


class Net(nn.Module):
    """An autoencoder as most people write it."""

    def __init__(self):
        super().__init__()
        self.decoder, self.encoder = net().decoder, net().encoder

    def forward(self, rows):
        return self.decoder(self.encoder(rows.flatten(1)))


class Lora(nn.Linear):
    def __init__(self, *widths):
        super().__init__(*widths)
        self.a, self.b = nn.Parameter(torch.ones(1, widths[0])), nn.Parameter(torch.ones(widths[1], 1))

    def forward(self, rows):
        return super().forward(rows) + rows @ (self.b @ self.a).T


# Models that are kept.

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


# Models that are refused.

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


@refused(r"encoder\.1: BatchNorm1d.* not supported")
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


def reference(model, rows):
    """Return what a model computes in evaluation mode, in double precision."""
    model = getattr(model, "_orig_mod", model).eval().double()
    with torch.inference_mode():
        return model(rows.double())


class Case(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        warnings.filterwarnings("ignore", ".*weight_norm.*is deprecated", FutureWarning)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "model.safetensors"


class Save(Case):
    def check_kept(self, make):
        model = make()
        modes = [module.training for module in model.modules()]
        tensors = copy.deepcopy(model.state_dict())
        save(model, self.path)
        self.assertEqual(modes, [module.training for module in model.modules()])
        for name, tensor in model.state_dict().items():
            self.assertTrue(torch.equal(tensor, tensors[name]), name)

        loaded, rows = load(self.path), torch.randn(ROWS, 6)
        self.assertTrue(all(tensor.dtype == torch.float32 for tensor in load_file(self.path).values()))
        with torch.inference_mode():
            found = loaded(rows).double()
        torch.testing.assert_close(found, reference(model, rows), rtol=0, atol=TOLERANCE)

    def check_refused(self, make, message):
        model = make()
        with self.assertRaisesRegex(ValueError, message):
            save(model, self.path)
        self.assertFalse(self.path.exists())

    def test_dropout_and_slopes_are_stored(self):
        save(layers_without_activation_flat_dropout_and_nested_stacks(), self.path)
        encoder = load(self.path).encoder
        self.assertEqual(repr(encoder[1]), repr(nn.Sequential(nn.LeakyReLU(0.2), nn.Dropout(0.5))))
        self.assertEqual([type(module) for module in encoder[2:]], 2 * [nn.Linear, nn.Identity])

    def test_sparse_weights_are_stored_as_dense_ones(self):
        model = net()
        save(model, self.path)
        expected = self.path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.encoder[0].weight = nn.Parameter(model.encoder[0].weight.detach().to_sparse_csr())
        save(model, self.path)
        self.assertEqual(self.path.read_bytes(), expected)

    def test_distributed_data_parallel(self):
        torch.distributed.init_process_group("gloo", f"file://{self.folder}/processes", rank=0, world_size=1)
        self.addCleanup(torch.distributed.destroy_process_group)
        self.check_kept(lambda: nn.parallel.DistributedDataParallel(net()))

    def test_metadata_of_wrapped_models(self):
        for wrap in (nn.Sequential.train, torch.compile, nn.DataParallel):
            model = net()
            model.metadata = {"threshold": "0.5", "format": "pt", "labels": "ä, ö"}
            wrapped = wrap(model)
            save(wrapped, self.path)
            self.assertEqual(load(self.path).metadata, model.metadata)
            wrapped.metadata = {"of": "the wrapper"}
            save(wrapped, self.path)
            self.assertEqual(load(self.path).metadata, wrapped.metadata)

    def test_defaults_of_torch_do_not_matter(self):
        for make in (without_bias, own_class, training_mode):
            model = make()
            save(model, self.path)
            expected = self.path.read_bytes()
            self.addCleanup(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float64)
            with torch.device("meta"):
                save(model, self.path)
            torch.set_default_dtype(torch.float32)
            self.assertEqual(self.path.read_bytes(), expected)


for name, make in KEPT.items():
    setattr(Save, f"test_kept_{name}", lambda self, make=make: self.check_kept(make))
for name, (make, message) in REFUSED.items():
    setattr(Save, f"test_refused_{name}", lambda self, make=make, message=message: self.check_refused(make, message))


class Load(Case):
    def parts(self):
        """Return the tensors and the metadata of a valid file."""
        save(net(), self.path)
        with safe_open(self.path, "pt") as file:
            return load_file(self.path), file.metadata()

    def assert_refused(self, tensors, metadata, message):
        save_file(tensors, self.path, metadata)
        with self.assertRaisesRegex(ValueError, f"model.safetensors: {message}"):
            load(self.path)

    def test_other_files(self):
        tensors, metadata = self.parts()
        for other in (None, {}, {"format": "pt"}):
            self.assert_refused(tensors, other, "no metadata `autoencoder`")
        valid = metadata[KEY]
        for text in ("", "[]", "{}", "3", valid.replace("sigmoid", "unknown"), valid.replace('"outputs"', '"width"')):
            self.assert_refused(tensors, {KEY: text}, "not a model")
        later = valid.replace('"version": 1', '"version": 2')
        self.assert_refused(tensors, {KEY: later}, ".*version 1 expected, found 2")

    def test_other_tensors(self):
        tensors, metadata = self.parts()
        name = "encoder.0.bias"
        for wrong in (torch.zeros(3), torch.zeros(4, dtype=torch.int32), torch.full((4,), torch.nan)):
            self.assert_refused(tensors | {name: wrong}, metadata, f".*{name}")
        self.assert_refused(tensors | {"extra": torch.zeros(3)}, metadata, ".*extra")
        self.assert_refused({key: tensor for key, tensor in tensors.items() if key != name}, metadata, f".*{name}")

    def test_other_real_types_become_f32(self):
        tensors, metadata = self.parts()
        for dtype in (torch.float16, torch.bfloat16, torch.float64):
            save_file({name: tensor.to(dtype) for name, tensor in tensors.items()}, self.path, metadata)
            for name, tensor in load(self.path).state_dict().items():
                self.assertTrue(torch.equal(tensor, tensors[name].to(dtype).float()), name)


class Rust(Case):
    def test_the_crate_computes_the_same(self):
        files = [path for path in ROOT.glob("target/*/deps/it-*") if not path.suffix and os.access(path, os.X_OK)]
        if not files:
            self.skipTest("no test binary; `cargo test --test it` builds it")
        for name, make in KEPT.items():
            model, rows = make(), torch.randn(ROWS, 6)
            save(model, self.folder / f"{name}.safetensors")
            values = {"inputs": rows, "outputs": reference(model, rows).float()}
            save_file(values, self.folder / f"{name}.values")
        test = "exchange::files_of_the_python_tests"
        result = subprocess.run(
            [max(files, key=lambda path: path.stat().st_mtime), test, "--exact", "--ignored"],
            env=os.environ | {"AUTOENCODER_EXCHANGE": str(self.folder)}, capture_output=True, text=True,
        )
        self.assertIn("1 passed", result.stdout, f"{result.stderr} If there is no such test, build it again.")


if __name__ == "__main__":
    unittest.main()
