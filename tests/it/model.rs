//! Inference and model files: batches of any size, many threads, damaged files.

use crate::common::digest;
use autoencoder::{
    Autoencoder, Error,
    data::digits,
    ndarray::{Array2, Axis, s},
    nn::{Activation, Dense, Init, Layer},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{collections::HashMap, fs, sync::Arc, thread};

fn model() -> Autoencoder {
    Autoencoder::builder(784)
        .hidden(&[60, 30])
        .decoder_hidden(&[50])
        .code(10)
        .hidden_activation(Activation::LeakyRelu { slope: 0.2 })
        .dropout(0.3)
        .init(Init::Pytorch)
        .build()
        .unwrap()
}

#[test]
fn reconstruct_is_decode_of_encode_for_any_batch_and_layout() {
    let (model, images) = (model(), digits::generate(300, 1).unwrap().to_array().unwrap());
    let all = model.reconstruct(&images).unwrap();
    let codes = model.encode(&images).unwrap();
    assert_eq!(codes.dim(), (300, 10));
    assert!(codes.iter().any(|&c| c != 0.0));
    assert_eq!(model.decode(&codes).unwrap(), all);
    for rows in [0, 1, 2, 127, 129] {
        let part = model.reconstruct(&images.slice(s![..rows, ..])).unwrap();
        assert_eq!(part, all.slice(s![..rows, ..]), "{rows}");
    }
    let transposed = images.t().as_standard_layout().into_owned();
    assert_eq!(model.reconstruct(&transposed.t()).unwrap(), all);
    let every_other = model.reconstruct(&images.slice(s![..;2, ..])).unwrap();
    assert_eq!(every_other, all.slice(s![..;2, ..]));
}

#[test]
fn wrong_widths_are_errors() {
    let model = model();
    for (result, expected) in [
        (model.reconstruct(&Array2::zeros((2, 783))), "features of a row: expected 784, found 783"),
        (model.encode(&Array2::zeros((2, 0))), "features of a row: expected 784, found 0"),
        (model.decode(&Array2::zeros((2, 11))), "values of a code: expected 10, found 11"),
    ] {
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
    let images = Array2::zeros((2, 784));
    let mut wide = Array2::zeros((2, 800));
    model.reconstruct_into(&images, &mut wide.slice_mut(s![.., 8..792])).unwrap();
    assert_eq!(wide.slice(s![.., 8..792]), model.reconstruct(&images).unwrap());
    assert!(model.reconstruct_into(&images, &mut Array2::zeros((1, 784))).is_err());
    assert!(model.reconstruct_into(&images, &mut Array2::zeros((2, 783))).is_err());
    assert!(model.reconstruct_into(&images, &mut Array2::zeros((784, 2)).reversed_axes()).is_err());
    assert!(model.reconstruct_into(&Array2::zeros((2, 3)), &mut Array2::zeros((2, 784))).is_err());
}

#[test]
fn layers_must_fit_each_other() {
    let layer = |inputs, outputs| {
        let dense = Dense::new(Array2::zeros((inputs, outputs)), vec![0.0; outputs].into()).unwrap();
        Layer { dense, activation: Activation::Relu, dropout: autoencoder::nn::Dropout::OFF }
    };
    for (encoder, decoder) in [
        (vec![], vec![layer(4, 4)]),
        (vec![layer(4, 2)], vec![]),
        (vec![layer(4, 2)], vec![layer(3, 4)]),
        (vec![layer(4, 2)], vec![layer(2, 5)]),
    ] {
        let error = Autoencoder::from_layers(encoder, decoder).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
    }
    assert!(Dense::new(Array2::zeros((2, 3)), vec![0.0; 2].into()).is_err());
    assert!(Dense::new(Array2::zeros((0, 3)), vec![0.0; 3].into()).is_err());
}

#[test]
fn one_model_serves_many_threads() {
    let (model, images) = (Arc::new(model()), digits::generate(64, 1).unwrap().to_array().unwrap());
    let expected = model.reconstruct(&images).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(model.reconstruct(&images).unwrap(), expected);
                }
            });
        }
    });
}

#[test]
fn a_saved_model_is_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let model = model();
    model.save(&path).unwrap();
    let loaded = Autoencoder::load(&path).unwrap();
    assert_eq!(loaded, model);
    assert_eq!(digest(&loaded), digest(&model));
    model.save(&path).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_model_in_bytes_is_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut model = model();
    for index in 0..20 {
        model.set_metadata(format!("key {index}"), "value").unwrap();
    }
    model.save(&path).unwrap();
    let bytes = model.to_bytes().unwrap();
    assert!(fs::read(&path).unwrap() == bytes);
    let copy = Autoencoder::from_bytes(&bytes, "copy").unwrap();
    assert_eq!(copy, model);
    // The entries are sorted, so equal models have equal bytes.
    assert!(copy.to_bytes().unwrap() == bytes);
    let error = Autoencoder::from_bytes(&bytes[..100], "models/17").unwrap_err();
    assert!(error.to_string().starts_with("models/17: header: expected "), "{error}");
}

#[test]
fn metadata_round_trip_within_their_limits() {
    let mut model = Autoencoder::builder(3).code(2).build().unwrap();
    let plain = model.clone();
    for (key, value) in [("", ""), ("format", "pt"), ("ключ", "\n\u{0}\"é"), ("format", "np")] {
        model.set_metadata(key, value).unwrap();
    }
    assert_ne!(model, plain);
    assert_eq!(model.metadata().len(), 3);
    assert_eq!(model.metadata()["format"], "np");
    let file = model.to_bytes().unwrap();
    assert_eq!(Autoencoder::from_bytes(&file, "file").unwrap(), model);
    // Other programs find them where safetensors keeps metadata.
    let (_, read) = SafeTensors::read_metadata(&file).unwrap();
    assert_eq!(read.metadata().as_ref().unwrap()["ключ"], "\n\u{0}\"é");

    assert_eq!(model.remove_metadata("format").as_deref(), Some("np"));
    assert_eq!(model.remove_metadata("format"), None);
    for key in ["autoencoder", "checkpoint"] {
        let error = model.set_metadata(key, "").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("key = {key:?}: expected a key that the crate does not use itself")
        );
    }

    let before = model.clone();
    for long in ["\u{0}".repeat(10_000_000), "é".repeat(5_000_000)] {
        let error = model.set_metadata("long", long).unwrap_err();
        assert!(matches!(error, Error::Setting { name: "metadata", .. }), "{error}");
        assert_eq!(model, before);
    }
    // As long as allowed, and of characters that JSON writes as 6 bytes: the file can be read.
    let mut full = plain.clone();
    full.set_metadata("long", "\u{0}".repeat(9_999_996)).unwrap();
    full.set_metadata("long", "\u{1}".repeat(9_999_996)).unwrap();
    assert!(full.set_metadata("x", "").is_err());
    assert_eq!(Autoencoder::from_bytes(&full.to_bytes().unwrap(), "file").unwrap(), full);

    let mut many = plain;
    for index in 0..1_000 {
        many.set_metadata(index.to_string(), "").unwrap();
    }
    many.set_metadata("999", "replaced").unwrap();
    assert!(many.set_metadata("1000", "").is_err());
    assert_eq!(Autoencoder::from_bytes(&many.to_bytes().unwrap(), "file").unwrap(), many);
}

/// Names and layout match PyTorch's `nn.Sequential(Linear, activation, ...)`.
#[test]
fn files_have_pytorchs_names_and_layout() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let model = model();
    model.save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    let layers = ["decoder.0", "decoder.2", "encoder.0", "encoder.2", "encoder.4"];
    let expected: Vec<_> = layers.iter().flat_map(|l| [format!("{l}.bias"), format!("{l}.weight")]).collect();
    assert_eq!(names, expected);
    let weight = tensors.tensor("encoder.2.weight").unwrap();
    assert_eq!(weight.shape(), [30, 60]);
    let second = f32::from_le_bytes(weight.data()[4..8].try_into().unwrap());
    assert_eq!(second, model.layers()[1].dense.weight()[[1, 0]]);
}

/// Tensors of a small model 3-2-3 by name, for tampering.
fn small_file(tamper: impl Fn(&mut HashMap<String, (Vec<usize>, Vec<f32>)>), metadata: &str) -> Vec<u8> {
    let mut tensors: HashMap<String, (Vec<usize>, Vec<f32>)> = [
        ("encoder.0.weight", vec![2, 3]),
        ("encoder.0.bias", vec![2]),
        ("decoder.0.weight", vec![3, 2]),
        ("decoder.0.bias", vec![3]),
    ]
    .into_iter()
    .map(|(name, shape)| (name.to_owned(), (shape.clone(), vec![0.5; shape.iter().product()])))
    .collect();
    tamper(&mut tensors);
    let bytes: Vec<_> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name, shape.clone(), bytes)
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let metadata = HashMap::from([("autoencoder".to_owned(), metadata.to_owned())]);
    safetensors::serialize(views, Some(metadata)).unwrap()
}

const SMALL: &str = r#"{"version":1,"inputs":3,
    "encoder":[{"outputs":2,"activation":"relu","dropout":0.0}],
    "decoder":[{"outputs":3,"activation":{"leaky_relu":{"slope":0.1}},"dropout":0.0}]}"#;

#[test]
fn files_that_do_not_fit_are_refused() {
    let load = |file: &[u8]| Autoencoder::from_bytes(file, "file");
    let good = small_file(|_| (), SMALL);
    assert_eq!(load(&good).unwrap().widths(), [3, 2, 3]);

    for (part, file) in [
        ("tensors: expected", good[..good.len() - 1].to_vec()),
        ("safetensors", Vec::new()),
        ("metadata", small_file(|_| (), "")),
        ("metadata", small_file(|_| (), &SMALL.replace("0.0}", "1.0}"))),
        ("metadata", small_file(|_| (), &SMALL.replace("0.1", "-1"))),
        ("tensor", small_file(|_| (), &SMALL.replace(r#""outputs":2"#, r#""outputs":0"#))),
        ("version", small_file(|_| (), &SMALL.replace(r#""version":1"#, r#""version":2"#))),
        ("tensor", small_file(|_| (), &SMALL.replace(r#""inputs":3"#, r#""inputs":4"#))),
        ("tensor", small_file(|_| (), &SMALL.replace(r#""outputs":2"#, r#""outputs":18446744073709551615"#))),
        (
            "expected `decoder.2.weight`, found no such tensor",
            small_file(
                |_| (),
                &SMALL.replace(
                    r#""decoder":[{"#,
                    r#""decoder":[{"outputs":2,"activation":"tanh","dropout":0.0},{"#,
                ),
            ),
        ),
        (
            "expected `decoder.0.bias`, found no such tensor",
            small_file(|t| drop(t.remove("decoder.0.bias")), SMALL),
        ),
        (
            "tensor",
            small_file(
                |t| {
                    let b = t.remove("decoder.0.bias").unwrap();
                    t.insert("bias".into(), b);
                },
                SMALL,
            ),
        ),
        ("tensor", small_file(|t| t.get_mut("encoder.0.weight").unwrap().0 = vec![3, 2], SMALL)),
        ("finite", small_file(|t| t.get_mut("encoder.0.bias").unwrap().1[1] = f32::NAN, SMALL)),
        ("finite", small_file(|t| t.get_mut("decoder.0.weight").unwrap().1[5] = f32::INFINITY, SMALL)),
    ] {
        let error = load(&file).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        assert!(
            error.to_string().contains(part) && error.to_string().starts_with("file: "),
            "{part}: {error}"
        );
    }
    assert!(matches!(Autoencoder::load("/nowhere/model.safetensors"), Err(Error::Io { .. })));
    assert!(matches!(load(&good).unwrap().save("/nowhere/model.safetensors"), Err(Error::Io { .. })));
}

#[test]
fn weights_that_could_not_be_loaded_are_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut model = Autoencoder::builder(3).code(2).build().unwrap();
    model.parameters_mut().next().unwrap().1[1] = f32::NAN;
    let error = model.save(&path).unwrap_err();
    assert_eq!(error.to_string(), "weights and biases: expected finite numbers, found others in layer 0");
    assert!(!path.exists());
}

/// Training uses the dropout rates of the file, so they must round-trip.
#[test]
fn the_architecture_comes_back() {
    let loaded = Autoencoder::from_bytes(&small_file(|_| (), &SMALL.replacen("0.0", "0.25", 1)), "file");
    let loaded = loaded.unwrap();
    assert_eq!(loaded.layers()[0].dropout.rate(), 0.25);
    assert_eq!(loaded.layers()[1].activation, Activation::LeakyRelu { slope: 0.1 });
    assert_eq!(loaded.layers().iter().map(|l| l.dense.weight().len_of(Axis(1))).collect::<Vec<_>>(), [2, 3]);
}
