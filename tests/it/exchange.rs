//! Model exchange: files from PyTorch load here, and the files that `python/` checks are the ones we still write.
//!
//! `python/write_torch.py` wrote `tests/golden/exchange/torch*`; the ignored test below wrote `crate*`, which
//! `python/check_torch.py` compares with PyTorch. `python/test_exchange.py` runs `files_of_the_python_tests`.

use autoencoder::{
    Autoencoder,
    ndarray::{Array2, ArrayView2},
    nn::{Activation, Dropout, Init, Layer},
};
use safetensors::{SafeTensors, tensor::TensorView};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

const TOLERANCE: f32 = 1e-6;
const ROWS: usize = 17;

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden/exchange", name].iter().collect()
}

/// The values of a tensor.
fn numbers(file: &SafeTensors, name: &str) -> Vec<f32> {
    let data = file.tensor(name).unwrap().data();
    data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// A tensor of a file of values, `[rows, features]`.
fn values(file: &Path, name: &str) -> Array2<f32> {
    let bytes = fs::read(file).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    Array2::from_shape_vec((ROWS, file.tensor(name).unwrap().shape()[1]), numbers(&file, name)).unwrap()
}

#[track_caller]
fn assert_near(found: &Array2<f32>, expected: &Array2<f32>, tolerance: f32) {
    assert_eq!(found.dim(), expected.dim());
    let errors = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
    let error = errors.fold(0.0, f32::max);
    assert!(error <= tolerance, "{error:e}");
}

fn assert_values(model: &Autoencoder, file: &str) {
    let [inputs, codes, outputs] = ["inputs", "codes", "outputs"].map(|name| values(&golden(file), name));
    assert_near(&model.encode(&inputs).unwrap(), &codes, TOLERANCE);
    assert_near(&model.decode(&codes).unwrap(), &outputs, TOLERANCE);
    assert_near(&model.reconstruct(&inputs).unwrap(), &outputs, TOLERANCE);
}

/// Unequal widths and every activation, so that a transposed weight or a swapped name fails.
fn model() -> Autoencoder {
    let layer = |index, inputs, outputs, activation, dropout| {
        // Uniform weights and biases have the same bits on every system.
        let dense = Init::Pytorch.dense(inputs, outputs, 1, index).unwrap();
        Layer { dense, activation, dropout: Dropout::new(dropout).unwrap() }
    };
    let encoder = vec![
        layer(0, 12, 9, Activation::Relu, 0.25),
        layer(1, 9, 7, Activation::LeakyRelu { slope: 0.2 }, 0.0),
        layer(2, 7, 4, Activation::Tanh, 0.0),
    ];
    let decoder = vec![layer(3, 4, 8, Activation::Identity, 0.0), layer(4, 8, 12, Activation::Sigmoid, 0.0)];
    Autoencoder::from_layers(encoder, decoder).unwrap()
}

#[test]
fn a_model_from_pytorch_has_its_bits_and_its_outputs() {
    let path = golden("torch.safetensors");
    let model = Autoencoder::load(&path).unwrap();
    assert_values(&model, "torch-values.safetensors");

    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let places = ["encoder.0", "encoder.2", "encoder.4", "decoder.0", "decoder.2"];
    for (place, layer) in places.iter().zip(model.layers()) {
        let same = |name: &str, found: Vec<f32>| {
            let expected = numbers(&file, &format!("{place}.{name}"));
            assert!(
                found.iter().map(|x| x.to_bits()).eq(expected.iter().map(|x| x.to_bits())),
                "{place}.{name}"
            );
        };
        same("weight", layer.dense.weight().t().iter().copied().collect());
        same("bias", layer.dense.bias().to_vec());
    }
    let activations: Vec<_> = model.layers().iter().map(|layer| layer.activation).collect();
    let leaky = Activation::LeakyRelu { slope: 0.1 };
    assert_eq!(
        activations,
        [Activation::Tanh, leaky, Activation::Identity, Activation::Relu, Activation::Sigmoid]
    );
    let rates: Vec<_> = model.layers().iter().map(|layer| layer.dropout.rate()).collect();
    assert_eq!(rates, [0.25, 0.0, 0.0, 0.0, 0.0]);

    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.safetensors");
    model.save(&copy).unwrap();
    assert_eq!(Autoencoder::load(&copy).unwrap(), model);
}

/// The file that was compared with PyTorch is the file that is written today.
#[test]
fn our_file_is_the_one_that_pytorch_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    model().save(&path).unwrap();
    assert!(fs::read(path).unwrap() == fs::read(golden("crate.safetensors")).unwrap());
    assert_values(&Autoencoder::load(golden("crate.safetensors")).unwrap(), "crate-values.safetensors");
}

#[test]
#[ignore = "reads a folder that python/test_exchange.py writes"]
fn files_of_the_python_tests() {
    let folder = env::var_os("AUTOENCODER_EXCHANGE").expect("AUTOENCODER_EXCHANGE, a folder");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let models: Vec<_> = files.filter(|path| path.extension() == Some("safetensors".as_ref())).collect();
    assert!(!models.is_empty());
    for path in models {
        println!("{}", path.display());
        let model = Autoencoder::load(&path).unwrap();
        let [inputs, outputs] =
            ["inputs", "outputs"].map(|name| values(&path.with_extension("values"), name));
        assert_near(&model.reconstruct(&inputs).unwrap(), &outputs, 1e-5);
    }
}

#[test]
#[ignore = "writes the files in tests/golden/exchange that PyTorch is to be held against"]
fn write() {
    let model = model();
    model.save(golden("crate.safetensors")).unwrap();
    let inputs = Array2::from_shape_fn((ROWS, model.inputs()), |(row, feature)| {
        ((12 * row + feature) * 37 % 101) as f32 / 100.0
    });
    let codes = model.encode(&inputs).unwrap();
    let outputs = model.decode(&codes).unwrap();
    let bytes = |rows: ArrayView2<f32>| rows.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
    let named = [("inputs", inputs), ("codes", codes), ("outputs", outputs)]
        .map(|(name, rows)| (name, vec![ROWS, rows.ncols()], bytes(rows.view())));
    let views = named.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    fs::write(golden("crate-values.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
}
