//! `throughput`, `draw_digits` and `custom_data`.

use super::{example, fail, picture, rows, succeed, text};
use autoencoder::{
    Autoencoder,
    data::{ImageSet, Noise, digits, idx, npy},
    metrics::evaluate,
    ndarray::Array3,
    train::Checkpoint,
};
use ndarray_npy::write_npy;
use serde_json::Value;
use std::{
    fs,
    io::Write,
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
    fs::write(pngs.join("photo.jpg"), b"\xff\xd8\xff\xe0").unwrap();
    assert!(fail("custom_data", &["--images", png, "--out", out], 1).contains("photo.jpg"));
    assert!(fail("custom_data", &["--images", "/nowhere.idx", "--out", out], 1).contains("/nowhere.idx"));
    let plain = plain.to_str().unwrap();
    let error = fail("custom_data", &["--images", plain, "--shape", "28x24", "--out", out], 1);
    assert!(error.contains("found [60, 24, 28]"), "{error}");
    for flags in [
        "--shape 24",
        "--test-share 2",
        "--epochs 0",
        "--noise-variance -1",
        "--code 0",
        "--hidden 0",
        "--test-share 1",
        "--test-share 0",
        "--test-share nan",
    ] {
        let flags: Vec<_> = ["--images", plain, "--out", out].into_iter().chain(flags.split(' ')).collect();
        fail("custom_data", &flags, 2);
    }
}

/// Classes and file names from a folder reach `rows.csv`, and a stopped run continues to the same model.
#[test]
fn custom_data_knows_each_row_and_continues() {
    let folder = tempfile::tempdir().unwrap();
    let digits = digits::generate(40, 3).unwrap();
    for (index, image) in digits.pixels().chunks(784).enumerate() {
        let class = folder.path().join("images").join(if index % 4 == 0 { "few" } else { "many" });
        fs::create_dir_all(&class).unwrap();
        let file = fs::File::create(class.join(format!("{index:02}.png"))).unwrap();
        let mut encoder = png::Encoder::new(file, 28, 28);
        encoder.set_color(png::ColorType::Rgb);
        let ink: Vec<u8> = image.iter().flat_map(|&level| [level, level / 2, 0]).collect();
        encoder.write_header().unwrap().write_image_data(&ink).unwrap();
    }
    let images = folder.path().join("images");
    let flags = |epochs: usize, more: &str| {
        format!("--images {} --test-share 0.2 --hidden 8 --code 2 --epochs {epochs} {more}", images.display())
    };
    let (whole, out) = (folder.path().join("whole"), folder.path().join("parts"));
    let said = succeed("custom_data", &flags(3, "--masking 0.3 --loss huber --learning-rate 0.01"), &whole);
    assert!(said.contains("32 training and 8 test images of 28 x 28 in color"), "{said}");
    assert!(said.contains("starting") || !said.contains("resum"), "{said}");
    let model = Autoencoder::load(whole.join("model.safetensors")).unwrap();
    assert_eq!(model.inputs(), 784 * 3);
    assert_eq!(picture(whole.join("denoised.png")).0, 8 * 57 + 1);

    let mut rows = csv::Reader::from_path(whole.join("rows.csv")).unwrap();
    let rows: Vec<_> = rows.records().map(Result::unwrap).collect();
    assert_eq!((&rows[0][1], &rows[0][2], &rows[0][3]), ("0", "few", "few/00.png"));
    assert_eq!((&rows[39][0], &rows[39][1], &rows[39][2], &rows[39][3]), ("39", "1", "many", "many/39.png"));
    let held_out = |class: &str| rows.iter().filter(|row| &row[2] == class && &row[4] == "true").count();
    assert_eq!((held_out("few"), held_out("many")), (2, 6));
    assert!(rows.iter().all(|row| row[5].parse::<f64>().unwrap() > 0.0));
    assert_eq!(fs::read_to_string(whole.join("history.csv")).unwrap().lines().count(), 4);
    assert!(fs::read_to_string(whole.join("history.svg")).unwrap().contains("test images"));

    let settings = "--masking 0.3 --loss huber --learning-rate 0.01";
    succeed("custom_data", &flags(1, &format!("{settings} --checkpoint-every 1")), &out);
    let said = succeed("custom_data", &flags(3, &format!("{settings} --resume")), &out);
    assert!(said.contains("resuming after step 1"), "{said}");
    assert_eq!(Autoencoder::load(out.join("model.safetensors")).unwrap(), model);
    let latest = Checkpoint::latest(out.join("checkpoints")).unwrap().expect("checkpoints are still saved");
    assert_eq!(latest.step(), 3);
    let said = succeed("custom_data", &flags(1, "--resume"), &folder.path().join("none"));
    assert!(said.contains("no checkpoint in"), "{said}");

    let said = succeed("custom_data", &flags(1, "--gray --noise-variance 0"), &out);
    assert!(
        said.contains("color was converted to gray") && said.contains("test images: reconstructed"),
        "{said}"
    );
    assert_eq!(Autoencoder::load(out.join("model.safetensors")).unwrap().inputs(), 784);
    assert!(out.join("reconstructed.png").exists() && !out.join("denoised.png").exists());
}

/// The targets are measured images, and the held-out ones are closer to them after the model than before.
#[test]
fn custom_data_learns_pairs_and_reads_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let clean = digits::generate(600, 3).unwrap();
    let negative = clean.pixels().iter().map(|level| 255 - level).collect();
    let negative = ImageSet::new("negative", (28, 28), negative).unwrap();
    npy::save(path("clean.npy"), &clean).unwrap();
    npy::save(path("negative.npy"), &negative).unwrap();
    npy::save_labels(path("labels.npy"), clean.labels().unwrap()).unwrap();
    let (inputs, targets, labels) = (path("negative.npy"), path("clean.npy"), path("labels.npy"));
    let out = folder.path().join("out");
    let flags =
        format!("--images {inputs} --targets {targets} --labels {labels} --epochs 3 --hidden 64 --code 16");
    let said = succeed("custom_data", &flags, &out);
    let decibels = |word: &str| -> f64 {
        let line = said.lines().find(|line| line.starts_with("test images")).unwrap();
        line.split(word).nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
    };
    assert!(decibels("denoised ") > decibels("noisy ") + 3.0, "{said}");
    let codes = npy::load_rows(out.join("codes.npy")).unwrap();
    let model = Autoencoder::load(out.join("model.safetensors")).unwrap();
    assert_eq!(codes, model.encode(&negative.to_array().unwrap()).unwrap());
    let mut rows = csv::Reader::from_path(out.join("rows.csv")).unwrap();
    let found: Vec<u8> = rows.records().map(|row| row.unwrap()[1].parse().unwrap()).collect();
    assert_eq!(found, clean.labels().unwrap());

    npy::save(path("few.npy"), &clean.clone().head(599).unwrap()).unwrap();
    let few = path("few.npy");
    let out = out.to_str().unwrap();
    let error = fail("custom_data", &["--images", &inputs, "--targets", &few, "--out", out], 1);
    assert!(error.contains("expected 600 gray images") && error.contains("found 599 gray"), "{error}");
    let error = fail("custom_data", &["--images", &few, "--labels", &labels, "--out", out], 1);
    assert!(
        error.contains("labels.npy: number of labels: expected 599, one per image, found 600"),
        "{error}"
    );
}

/// Files named by number without leading zeros have two orders, and labels in a file of their own only one.
#[test]
fn custom_data_does_not_guess_the_order_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir(path("images")).unwrap();
    for index in 0..12_u8 {
        let file = fs::File::create(path(&format!("images/{index}.png"))).unwrap();
        let mut encoder = png::Encoder::new(file, 2, 2);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(&[index * 20, 0, 255, 1]).unwrap();
    }
    npy::save_labels(path("labels.npy"), &(0..12).collect::<Vec<_>>()).unwrap();
    let (images, labels, out) = (path("images"), path("labels.npy"), folder.path().join("out"));
    let flags = format!("--images {images} --labels {labels} --epochs 1 --code 2 --noise-variance 0");
    let arguments: Vec<_> = flags.split(' ').chain(["--out", out.to_str().unwrap()]).collect();
    let error = fail("custom_data", &arguments, 1);
    assert!(
        error.contains("0.png, 1.png, 10.png, ... as text and 0.png, 1.png, 2.png, ... by number"),
        "{error}"
    );
    let files = |order: &str| -> Vec<(String, String)> {
        succeed("custom_data", &format!("{flags} --order {order}"), &out);
        rows(out.join("rows.csv")).iter().map(|row| (row["label"].clone(), row["file"].clone())).collect()
    };
    assert!(files("number").iter().all(|(label, file)| &format!("{label}.png") == file));
    assert_eq!(files("text")[2], ("2".to_owned(), "10.png".to_owned()));

    let inside = path("images/results");
    let error = fail("custom_data", &["--images", &images, "--out", &inside], 2);
    assert!(error.contains("a folder outside that of the images"), "{error}");
    assert!(!Path::new(&inside).exists());
}

#[test]
fn custom_data_warns_of_images_without_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dark.npy");
    for (pixels, expected) in [
        ((0..40 * 16).map(|index| (index % 16) as u8).collect::<Vec<_>>(), "all images are equal"),
        ((0..40 * 16).map(|index| (index % 17) as u8).collect(), "nearly blank"),
    ] {
        npy::save(&path, &ImageSet::new("dark", (4, 4), pixels).unwrap()).unwrap();
        let [images, out] = [&path, folder.path()].map(|path| path.to_str().unwrap());
        let output =
            example("custom_data", &["--images", images, "--epochs", "1", "--code", "2", "--out", out]);
        let said = text(&output.stderr);
        assert!(output.status.success() && said.contains(expected), "{said}");
    }
}

/// The same images from a NumPy archive, a table with labels, and flat or transposed arrays.
#[test]
fn custom_data_reads_archives_tables_and_flat_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let digits = digits::generate(30, 3).unwrap();
    npy::save(path("x.npy"), &digits).unwrap();
    npy::save_labels(path("y.npy"), digits.labels().unwrap()).unwrap();
    let mut archive = zip::ZipWriter::new(fs::File::create(path("both.npz")).unwrap());
    npy::save(path("z.npy"), &digits).unwrap();
    for name in ["x.npy", "y.npy", "z.npy"] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(&fs::read(path(name)).unwrap()).unwrap();
    }
    archive.finish().unwrap();
    let mut table = csv::Writer::from_path(path("named.csv")).unwrap();
    let header = std::iter::once("label".to_owned()).chain((0..784).map(|pixel| format!("pixel{pixel}")));
    table.write_record(header).unwrap();
    for (image, label) in digits.pixels().chunks(784).zip(digits.labels().unwrap()) {
        let name = if label % 2 == 0 { "even" } else { "odd" };
        let pixels = image.iter().map(u8::to_string);
        table.write_record(std::iter::once(name.to_owned()).chain(pixels)).unwrap();
    }
    table.flush().unwrap();
    idx::save_array(path("flat.idx"), &[30, 784], digits.pixels(), idx::Encoding::Plain).unwrap();
    let upright = digits.clone().transpose();
    idx::save_array(path("emnist.idx"), &[30, 28, 28], upright.pixels(), idx::Encoding::Gzip).unwrap();

    let mut codes = Vec::new();
    for (file, flags) in [
        ("x.npy", "--labels y.npy"),
        ("both.npz", "--array x --labels y.npy"),
        ("named.csv", "--shape 28x28 --labels y.npy"),
        ("flat.idx", "--shape 28x28 --labels y.npy"),
        ("emnist.idx", "--transpose --labels y.npy"),
    ] {
        let out = folder.path().join("out");
        let flags = flags.replace("y.npy", &path("y.npy"));
        succeed(
            "custom_data",
            &format!("--images {} {flags} --epochs 1 --hidden 8 --code 2", path(file)),
            &out,
        );
        codes.push(npy::load_rows(out.join("codes.npy")).unwrap());
    }
    assert!(codes.iter().all(|found| *found == codes[0]));

    let out = folder.path().join("out");
    let flags = format!("--images {} --shape 28x28 --epochs 1 --hidden 8 --code 2", path("named.csv"));
    succeed("custom_data", &flags, &out);
    let table = rows(out.join("rows.csv"));
    assert!(table.iter().zip(digits.labels().unwrap()).all(|(row, label)| {
        row["class"] == ["even", "odd"][usize::from(label % 2)] && row["label"] == (label % 2).to_string()
    }));

    let flags =
        format!("--images {} --label-column label --shape 28x28 --epochs 1 --code 2", path("named.csv"));
    succeed("custom_data", &flags, &out);
    assert_eq!(rows(out.join("rows.csv"))[0]["class"], table[0]["class"]);

    let out = out.to_str().unwrap();
    let error = fail("custom_data", &["--images", &path("both.npz"), "--out", out], 1);
    assert!(error.contains("x (30, 28, 28) uint8, y (30,) uint8, z (30, 28, 28) uint8"), "{error}");
    let error = fail("custom_data", &["--images", &path("flat.idx"), "--out", out], 1);
    assert!(error.contains("28x28") && error.contains("--shape"), "{error}");
}

/// The benchmarks train by their recipes and write what they promise. Values are compared with the images themselves.
#[test]
fn the_benchmarks_write_their_results() {
    let folder = tempfile::tempdir().unwrap();
    for (name, widths) in [
        ("deep_benchmark", vec![784, 1000, 500, 250, 30, 250, 500, 1000, 784]),
        ("best_denoiser", vec![784, 1024, 1024, 1024, 784]),
    ] {
        let out = folder.path().join(name);
        let said = succeed(name, "--quick --dataset digits --epochs 1 --augmentation 0.5", &out);
        assert!(said.contains("2000 training images") && said.contains("augmentation 0.5"), "{said}");
        let model = Autoencoder::load(out.join("model.safetensors")).unwrap();
        assert_eq!(model.widths(), widths);
        assert!(picture(out.join("pictures.png")).0 > 500);
        let results = rows(out.join("results.csv"));
        let own = results.iter().find(|row| row["source"].starts_with("this run")).unwrap();
        let value: f64 = own["value"].parse().unwrap();
        let test = digits::generate(10_000, 2).unwrap();
        if name == "deep_benchmark" {
            let errors = model.reconstruction_errors(&test).unwrap();
            let expected = 784.0 * errors.iter().sum::<f64>() / errors.len() as f64;
            assert!((value - expected).abs() < 1e-9, "{value} {expected}");
            // Published values are of MNIST.
            assert!(results.iter().all(|row| !row["source"].contains("Hinton")));
        } else {
            let noise = Noise::gaussian(0.5).unwrap();
            let found = evaluate(&model, &test, Some(&noise), 0).unwrap();
            assert!((value - found.output.psnr_pooled_db).abs() < 1e-9, "{value}");
        }
    }
    let out = folder.path().to_str().unwrap();
    for flags in [
        ["--minutes", "0"],
        ["--minutes", "nan"],
        ["--weight-decay", "-1"],
        ["--beta2", "1"],
        ["--augmentation", "-1"],
    ] {
        fail("deep_benchmark", &[&flags[..], &["--quick", "--dataset", "digits", "--out", out]].concat(), 2);
    }
}
