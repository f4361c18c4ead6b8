//! MNIST and Fashion-MNIST, if `AUTOENCODER_DATA` names their folder. Otherwise each test reports that it is skipped.

use autoencoder::{
    Autoencoder, TrainConfig, Trainer,
    data::{
        Noise,
        catalog::{DATA_VARIABLE, PublishedDataset, Split},
    },
    metrics::Evaluation,
    nn::Loss,
};
use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The folder of data sets, or a message on standard error, which the test runner does not capture.
fn data(test: &str) -> Option<PathBuf> {
    let folder = env::var_os(DATA_VARIABLE).filter(|value| !value.is_empty());
    if folder.is_none() {
        let word = format!("{test}: skipped, {DATA_VARIABLE} names no data\n");
        io::stderr().write_all(word.as_bytes()).unwrap();
    }
    folder.map(PathBuf::from)
}

/// A server that serves the folder acts as a mirror.
#[cfg(feature = "download")]
#[test]
fn both_sets_are_fetched_once() {
    use crate::server::{Answer, Server};
    use autoencoder::data::download::{Download, DownloadEvent};
    let Some(data) = data("both_sets_are_fetched_once") else { return };
    let server = Server::new(move |path| match fs::read(data.join(path.trim_start_matches('/'))) {
        Ok(bytes) => Answer::Body(bytes),
        Err(_) => Answer::Status(404),
    });
    let folder = tempfile::tempdir().unwrap();
    for set in [PublishedDataset::Mnist, PublishedDataset::FashionMnist] {
        let download = Download::new(set).mirrors([format!("{}{}", server.url(), set.folder())]);
        let run = || {
            let (mut saved, mut present) = (0, 0);
            let paths = download.run(Some(folder.path()), |event| match event {
                DownloadEvent::Saved { .. } => saved += 1,
                DownloadEvent::Present { .. } => present += 1,
                DownloadEvent::Received { bytes, total, .. } => assert!(bytes <= total.unwrap()),
                event => panic!("{event:?}"),
            });
            (paths.unwrap(), saved, present)
        };
        let (paths, saved, present) = run();
        assert_eq!((paths.len(), saved, present), (4, 4, 0));
        assert_eq!(set.load(Split::Train, Some(folder.path())).unwrap().len(), 60_000);
        assert_eq!(set.load(Split::Test, Some(folder.path())).unwrap().len(), 10_000);
        // A truncated file is downloaded again, the others are kept.
        let whole = fs::read(&paths[3]).unwrap();
        fs::write(&paths[3], &whole[..1000]).unwrap();
        assert_eq!(run(), (paths.clone(), 1, 3));
        assert!(fs::read(&paths[3]).unwrap() == whole);
        assert_eq!(run(), (paths, 0, 4));
    }
    assert_eq!(server.asked().len(), 10);
}

#[test]
fn both_sets_are_found_and_whole() {
    let Some(folder) = data("both_sets_are_found_and_whole") else { return };
    for known in [PublishedDataset::Mnist, PublishedDataset::FashionMnist] {
        for (split, images) in [(Split::Train, 60_000), (Split::Test, 10_000)] {
            let set = known.load(split, Some(&folder)).unwrap();
            assert_eq!((set.len(), set.image_shape(), set.name()), (images, (28, 28), known.name()));
            let labels = set.labels().unwrap();
            let count = |class| labels.iter().filter(|&&label| label == class).count();
            match (known, split) {
                (PublishedDataset::Mnist, Split::Test) => assert_eq!((count(0), count(9)), (980, 1009)),
                (PublishedDataset::Mnist, Split::Train) => assert_eq!((count(0), count(9)), (5923, 5949)),
                _ => assert!((0..10).all(|class| count(class) == images / 10)),
            }
        }
    }
}

/// torchvision's folders, decompressed files, and file names with a dot.
#[test]
fn other_places_and_spellings_are_found() {
    let Some(folder) = data("other_places_and_spellings_are_found") else { return };
    let expected = PublishedDataset::Mnist.load(Split::Test, Some(&folder)).unwrap();
    let other = tempfile::tempdir().unwrap();
    let raw = other.path().join("MNIST/raw");
    fs::create_dir_all(&raw).unwrap();
    let source = |name: &str| -> Box<dyn io::Read> {
        let folder = folder.join("mnist");
        match fs::File::open(folder.join(format!("{name}.gz"))) {
            Ok(file) => Box::new(flate2::read::MultiGzDecoder::new(file)),
            Err(_) => Box::new(fs::File::open(folder.join(name)).unwrap()),
        }
    };
    for (from, to) in [
        ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
        ("t10k-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"),
    ] {
        io::copy(&mut source(from), &mut fs::File::create(raw.join(to)).unwrap()).unwrap();
    }
    assert_eq!(PublishedDataset::Mnist.load(Split::Test, Some(other.path())).unwrap(), expected);
}

fn one_epoch(folder: &Path, known: PublishedDataset, config: TrainConfig) -> Evaluation {
    let [train, test] = [Split::Train, Split::Test].map(|split| known.load(split, Some(folder)).unwrap());
    let mut model = Autoencoder::builder(784).hidden(&[512, 256]).code(100).build().unwrap();
    let history = Trainer::new(config.epochs(1)).validation(&test).fit(&mut model, &train).unwrap();
    history.epochs[0].validation.unwrap()
}

/// One epoch with the study's widths. The bounds are half a dB below the results of three seeds.
#[test]
fn one_epoch_reaches_what_it_should() {
    let Some(folder) = data("one_epoch_reaches_what_it_should") else { return };
    let plain = one_epoch(&folder, PublishedDataset::Mnist, TrainConfig::new()).output;
    assert!(plain.psnr_pooled_db > 19.0 && plain.psnr_mean_db > plain.psnr_pooled_db, "{plain:?}");
    let noise = Noise::gaussian(0.5).unwrap();
    let denoising =
        one_epoch(&folder, PublishedDataset::Mnist, TrainConfig::new().noise(noise).loss(Loss::Bce));
    assert!(denoising.output.psnr_pooled_db > 14.0, "{denoising:?}");
    let fashion = one_epoch(&folder, PublishedDataset::FashionMnist, TrainConfig::new()).output;
    assert!(fashion.psnr_pooled_db > 17.0, "{fashion:?}");
}
