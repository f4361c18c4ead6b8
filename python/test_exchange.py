"""Test that `exchange.save` writes the function of the model it is given, or says why it cannot.

`models_kept.py` and `models_refused.py` have the models.

    python3 -m venv venv
    venv/bin/pip install torch numpy safetensors
    venv/bin/python -m unittest discover python

If `cargo test` has built the test binary, it also loads the files and must compute the same outputs.
"""

import copy
import gzip
import os
import subprocess
import tempfile
import unittest
import warnings
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import models_kept
from exchange import KEY, load, save
from models_kept import KEPT, net
from models_refused import REFUSED

ROOT = Path(__file__).parent.parent
ROWS, TOLERANCE = 17, 1e-5


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
        save(models_kept.layers_without_activation_flat_dropout_and_nested_stacks(), self.path)
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

    def test_paths_that_cannot_be_written(self):
        with self.assertRaisesRegex(FileNotFoundError, "none/model: no folder .*none; create it first"):
            save(net(), self.folder / "none" / "model")
        with self.assertRaisesRegex(OSError, f"^{self.folder}: cannot be written"):
            save(net(), self.folder)

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
        for make in (models_kept.without_bias, models_kept.own_class, models_kept.training_mode):
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

    def test_files_of_other_formats(self):
        self.parts()
        valid = self.path.read_bytes()
        torch.save(net().state_dict(), self.folder / "zip")
        torch.save(net().state_dict(), self.folder / "pickle", _use_new_zipfile_serialization=False)
        for content, message in (
            ((self.folder / "zip").read_bytes(), r"a ZIP archive, .*PyTorch.* exchange\.save"),
            ((self.folder / "pickle").read_bytes(), r"PyTorch's own format .* exchange\.save"),
            (b"\n<!DOCTYPE html><html>", "HTML"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "a Git LFS pointer .* `git lfs pull`"),
            (gzip.compress(valid), "gzip; decompress"),
            (b"", "an empty file"),
            (valid[:-1], "a file of another format, or one that is cut"),
            (valid[:100], "a file of another format, or one that is cut"),
        ):
            self.path.write_bytes(content)
            with self.assertRaisesRegex(ValueError, f"model.safetensors: expected a safetensors file, found {message}"):
                load(self.path)

    def test_paths_without_a_file(self):
        for path in (self.folder, self.folder / "none"):
            with self.assertRaisesRegex(FileNotFoundError, f"^{path}: no such file"):
                load(path)

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
