//! `python/check_onnx.py` ran the files in `tests/golden/exchange` in onnxruntime. Here, the same files are decoded, checked
//! and run, operator by operator, on the same stored numbers.

use super::*;
use ndarray::{Array2, Axis};
use safetensors::SafeTensors;
use std::{collections::HashMap, fs, path::PathBuf};

const PARTS: [(OnnxPart, &str, [&str; 2], [&str; 2]); 3] = [
    (OnnxPart::Encoder, "crate-encoder.onnx", ["input", "code"], ["inputs", "codes"]),
    (OnnxPart::Decoder, "crate-decoder.onnx", ["code", "output"], ["codes", "outputs"]),
    (OnnxPart::Whole, "crate-whole.onnx", ["input", "output"], ["inputs", "outputs"]),
];

fn golden(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden/exchange", name].iter().collect()
}

fn stored() -> Autoencoder {
    Autoencoder::load(golden("crate.safetensors")).unwrap()
}

fn decoded(part: OnnxPart) -> Graph {
    let model = Model::decode(stored().to_onnx(part).unwrap().as_slice()).unwrap();
    assert_eq!((model.ir_version, model.opset_import.len()), (8, 1));
    assert_eq!((model.opset_import[0].domain.as_str(), model.opset_import[0].version), ("", 17));
    model.graph.unwrap()
}

fn matrix(bytes: &[u8], shape: (usize, usize)) -> Array2<f64> {
    let numbers = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect();
    Array2::from_shape_vec(shape, numbers).unwrap()
}

/// `2 / sqrt(pi)` times the series `x - x^3 / 3 + x^5 / (5 * 2!) - ...`, for small arguments.
fn erf(x: f64) -> f64 {
    let (mut power, mut sum) = (x, x);
    for n in 1..60 {
        power *= -x * x / f64::from(n);
        sum += power / f64::from(2 * n + 1);
    }
    2.0 / std::f64::consts::PI.sqrt() * sum
}

/// Applies the graph to rows in f64, by the definitions of its operators.
fn run(graph: &Graph, rows: Array2<f64>) -> Array2<f64> {
    let mut values = HashMap::from([(graph.input[0].name.clone(), rows)]);
    for tensor in &graph.initializer {
        assert_eq!(tensor.data_type, proto::FLOAT);
        let shape: Vec<_> = tensor.dims.iter().map(|&size| size as usize).collect();
        let shape = if let [outputs, inputs] = shape[..] { (outputs, inputs) } else { (1, shape[0]) };
        values.insert(tensor.name.clone(), matrix(&tensor.raw_data, shape));
    }
    for node in &graph.node {
        let input: Vec<_> = node.input.iter().map(|name| &values[name]).collect();
        let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name);
        let result = match node.op_type.as_str() {
            "Gemm" => {
                let transposed = attribute("transB").is_some_and(|a| a.kind == 2 && a.i == Some(1));
                let weight = if transposed { input[1].t() } else { input[1].view() };
                input[0].dot(&weight) + input[2]
            }
            "Relu" => input[0].mapv(|x| x.max(0.0)),
            "LeakyRelu" => {
                // 0.01 is the operator's own default.
                let alpha = attribute("alpha").filter(|a| a.kind == 1).and_then(|a| a.f);
                let alpha = f64::from(alpha.unwrap_or(0.01));
                input[0].mapv(|x| if x < 0.0 { alpha * x } else { x })
            }
            "Mul" => input[0] * input[1],
            "Add" => input[0] + input[1],
            "Erf" => input[0].mapv(erf),
            // Alpha is 1 by default.
            "Elu" => input[0].mapv(|x| if x < 0.0 { x.exp_m1() } else { x }),
            "Sigmoid" => input[0].mapv(|x| 1.0 / (1.0 + (-x).exp())),
            "Tanh" => input[0].mapv(f64::tanh),
            other => panic!("{other}"),
        };
        assert!(values.insert(node.output[0].clone(), result).is_none(), "{} twice", node.output[0]);
    }
    values.remove(&graph.output[0].name).unwrap()
}

#[test]
fn a_decoded_graph_gives_the_stored_outputs() {
    let bytes = fs::read(golden("crate-values.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let rows = |name: &str| {
        let tensor = file.tensor(name).unwrap();
        matrix(tensor.data(), (tensor.shape()[0], tensor.shape()[1]))
    };
    for (part, _, [input, output], [given, expected]) in PARTS {
        let graph = decoded(part);
        assert_eq!((graph.input[0].name.as_str(), graph.output[0].name.as_str()), (input, output));
        let (given, expected) = (rows(given), rows(expected));
        for (value, rows) in [(&graph.input[0], &given), (&graph.output[0], &expected)] {
            assert_eq!(*value, ValueInfo::rows(&value.name, rows.len_of(Axis(1))));
        }
        let found = run(&graph, given);
        assert_eq!(found.dim(), expected.dim());
        let error = (&found - &expected).mapv(f64::abs).into_iter().fold(0.0, f64::max);
        assert!(error < 1e-6, "{part:?}: {error:e}");
    }
}

#[test]
fn every_activation_gives_the_outputs_of_the_model() {
    use Activation::{Elu, Gelu, Identity, Relu, Sigmoid, Silu, Tanh};
    for activation in [Identity, Relu, Activation::LeakyRelu { slope: 0.2 }, Elu, Silu, Gelu, Sigmoid, Tanh] {
        let builder = Autoencoder::builder(6).hidden(&[5, 4]).code(3).hidden_activation(activation);
        let model =
            builder.code_activation(activation).output_activation(activation).seed(2).build().unwrap();
        let rows = Array2::from_shape_fn((9, 6), |(row, column)| ((row * 6 + column) as f32 * 0.7).sin());
        let file = Model::decode(model.to_onnx(OnnxPart::Whole).unwrap().as_slice()).unwrap();
        let found = run(&file.graph.unwrap(), rows.mapv(f64::from));
        let expected = model.reconstruct(&rows).unwrap().mapv(f64::from);
        let largest = |values: Array2<f64>| values.into_iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        let error = largest(&found - &expected) / largest(expected);
        assert!(error < 1e-6, "{activation}: {error:e}");
    }
}

#[test]
fn initializers_equal_the_safetensors_exactly() {
    let bytes = fs::read(golden("crate.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for (part, ..) in PARTS {
        let mut seen = Vec::new();
        for tensor in decoded(part).initializer {
            let expected = file.tensor(&tensor.name).unwrap();
            assert!(tensor.dims.iter().map(|&size| size as usize).eq(expected.shape().iter().copied()));
            assert_eq!(tensor.raw_data, expected.data(), "{}", tensor.name);
            seen.push(tensor.name);
        }
        let belongs = |name: &&str| match part {
            OnnxPart::Encoder => name.starts_with("encoder"),
            OnnxPart::Decoder => name.starts_with("decoder"),
            OnnxPart::Whole => true,
        };
        let mut expected: Vec<_> = file.names().into_iter().filter(belongs).collect();
        expected.sort_unstable();
        seen.sort_unstable();
        assert_eq!(seen, expected);
    }
}

/// The exported bytes equal the files that onnxruntime ran, so a wrong field number cannot hide in both directions.
#[test]
fn exported_files_equal_those_that_onnxruntime_ran() {
    let folder = tempfile::tempdir().unwrap();
    for (part, name, ..) in PARTS {
        let path = folder.path().join(name);
        stored().export_onnx(part, &path).unwrap();
        assert!(fs::read(path).unwrap() == fs::read(golden(name)).unwrap(), "{name}");
    }
}

#[test]
fn models_that_cannot_be_exported_are_errors() {
    let mut model = stored();
    model.layers_mut()[3].dense.parameters_mut().0[[0, 0]] = f32::NAN;
    assert!(matches!(model.to_onnx(OnnxPart::Whole), Err(Error::Data { .. })));
    assert!(matches!(model.to_onnx(OnnxPart::Decoder), Err(Error::Data { .. })));
    assert!(model.to_onnx(OnnxPart::Encoder).is_ok());
    assert!(matches!(model.export_onnx(OnnxPart::Encoder, "/nowhere/model.onnx"), Err(Error::Io { .. })));
    assert!(check_size(MAX_BYTES).is_ok() && check_size(MAX_BYTES + 1).is_err());
}

#[test]
#[ignore = "writes the files in tests/golden/exchange that onnxruntime is to run"]
fn write() {
    for (part, name, ..) in PARTS {
        stored().export_onnx(part, golden(name)).unwrap();
    }
}
