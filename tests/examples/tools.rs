//! `throughput`, `draw_digits` and `custom_data`.

use super::{example, fail, picture, succeed, text};
use autoencoder::{
    Autoencoder,
    data::{digits, idx, npy},
    ndarray::Array3,
};
use ndarray_npy::write_npy;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn throughput_prints_one_line_of_json() {
    let flags =
        "--dataset digits --hidden 16 --code 4 --epochs 2 --threads 2 --noise-variance 0.1 --dropout 0.2";
    let output = example("throughput", &flags.split(' ').collect::<Vec<_>>());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["train_images_per_second"].as_array().unwrap().len(), 2);
    assert_eq!(line["widths"], Value::from(vec![784, 16, 4, 16, 784]));
    assert_eq!((&line["batch"], &line["threads"]), (&128.into(), &2.into()));
    assert!(line["latency_us"].as_f64().unwrap() > 0.0);
    assert!(line["peak_gflops"].as_f64().unwrap() > 0.0 && line["share_of_peak"].as_f64().unwrap() > 0.0);
    assert_eq!(line["precision"], "f32");
    assert!(line["eval_images_per_second"].as_array().unwrap().iter().all(|v| v.as_f64().unwrap() > 0.0));
}

/// The example writes the digits in the repository (libm may differ by a gray level or two).
#[test]
fn the_sample_in_data_is_what_draw_digits_writes() {
    let folder = tempfile::tempdir().unwrap();
    let output = example("draw_digits", &["--count", "300", "--out", folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let load = |folder: PathBuf| {
        let labels = folder.join("labels-idx1-ubyte.gz");
        idx::load(folder.join("images-idx3-ubyte.gz"), Some(labels)).unwrap()
    };
    let stored = load(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits"));
    let drawn = load(folder.path().to_owned());
    assert_eq!((stored.len(), stored.labels()), (300, drawn.labels()));
    assert!(stored.pixels().iter().zip(drawn.pixels()).all(|(a, b)| a.abs_diff(*b) <= 2));
}

/// Images of other sizes than 28 x 28, from every kind of file.
#[test]
fn custom_data_goes_from_a_file_to_a_model_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let digits = digits::generate(60, 3).unwrap();
    let tall: Vec<u8> = digits.pixels().chunks(28 * 28).flat_map(|image| image[28 * 4..].to_vec()).collect();
    let (plain, npy) = (folder.path().join("tall.idx"), folder.path().join("tall.npy"));
    idx::save_array(&plain, &[60, 24, 28], &tall, idx::Encoding::Gzip).unwrap();
    let images = Array3::from_shape_vec((60, 24, 28), tall).unwrap();
    write_npy(&npy, &images.mapv(|pixel| f32::from(pixel) / 255.0)).unwrap();

    let pngs = folder.path().join("pngs");
    fs::create_dir(&pngs).unwrap();
    for (number, image) in images.outer_iter().enumerate() {
        let file = fs::File::create(pngs.join(format!("{number:03}.png"))).unwrap();
        let mut encoder = png::Encoder::new(file, 28, 24);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(image.as_slice().unwrap()).unwrap();
    }

    let mut said = Vec::new();
    for (file, name) in [(&plain, "from-idx"), (&npy, "from-npy"), (&pngs, "from-png")] {
        let out = folder.path().join(name);
        let flags = format!("--images {} --epochs 4 --hidden 32 --code 8 --threads 2", file.display());
        let output = succeed("custom_data", &flags, &out);
        assert!(output.contains("54 training and 6 test images of 24 x 28"), "{output}");
        said.push(output.lines().find(|line| line.starts_with("test images")).unwrap().to_owned());
        let model = Autoencoder::load(out.join("model.safetensors")).unwrap();
        assert_eq!(model.widths(), [672, 32, 8, 32, 672]);
        assert_eq!(picture(out.join("denoised.png")), (6 * 57 + 1, 3 * 49 + 1));
        let rows = images.mapv(|pixel| f32::from(pixel) / 255.0).into_shape_with_order((60, 672)).unwrap();
        assert_eq!(npy::load_rows(out.join("codes.npy")).unwrap(), model.encode(&rows).unwrap());
        let found = npy::load_rows(out.join("reconstructions.npy")).unwrap();
        assert_eq!(found, model.reconstruct(&rows).unwrap());
    }
    assert!(said[0] == said[1] && said[0] == said[2], "{said:?}");

    let flat = folder.path().join("flat.npy");
    write_npy(&flat, &images.into_shape_with_order((60, 672)).unwrap()).unwrap();
    let (flat, out) = (flat.to_str().unwrap(), folder.path().to_str().unwrap());
    succeed("custom_data", &format!("--images {flat} --shape 24x28 --epochs 1 --code 4"), folder.path());
    assert!(fail("custom_data", &["--images", flat, "--out", out], 1).contains("(images, height, width)"));
    let png = pngs.to_str().unwrap();
    assert!(fail("custom_data", &["--images", png, "--shape", "24x28", "--out", out], 2).contains("PNG"));
    fs::write(pngs.join("notes.txt"), "no image").unwrap();
    assert!(fail("custom_data", &["--images", png, "--out", out], 1).contains("notes.txt"));
    assert!(fail("custom_data", &["--images", "/nowhere.idx", "--out", out], 1).contains("/nowhere.idx"));
    let plain = plain.to_str().unwrap();
    for flags in [
        "--shape 24",
        "--test-share 2",
        "--epochs 0",
        "--noise-variance -1",
        "--code 0",
        "--hidden 0",
        "--shape 24x28",
        "--test-share 1",
        "--test-share 0",
        "--test-share nan",
    ] {
        let flags: Vec<_> = ["--images", plain, "--out", out].into_iter().chain(flags.split(' ')).collect();
        fail("custom_data", &flags, 2);
    }
}
