//! Images, with the labels and targets that belong to them.

use super::{
    load::{LoadFlags, Loaded},
    order,
};
use crate::cli::{Failure, files, say};
use autoencoder::{Error, ImageSet};
use clap::Args;
use std::path::{Path, PathBuf};

/// Flags for the images to train on.
#[derive(Debug, Args)]
pub(super) struct InputFlags {
    /// Folder of PNG files or of one folder per class; or an IDX file (plain or gzip), a NumPy file (.npy), an archive
    /// (.npz), or a table with one image per line (CSV)
    #[arg(long)]
    pub images: PathBuf,
    /// Target of each image, such as the clean image of a noisy one: a folder or file like --images
    #[arg(long)]
    pub targets: Option<PathBuf>,
    /// File with one label per image (NumPy, IDX or CSV), in place of those from folders or tables
    #[arg(long)]
    labels: Option<PathBuf>,
    #[command(flatten)]
    load: LoadFlags,
}

/// Images and, perhaps, the target of each.
pub(super) struct Inputs {
    pub loaded: Loaded,
    pub targets: Option<ImageSet>,
}

impl InputFlags {
    /// Refuses a folder for the results in which they would become images of the next run.
    pub fn check_results(&self, out: &Path) -> Result<(), Error> {
        if self
            .targets
            .iter()
            .chain([&self.images])
            .any(|input| input.is_dir() && files::is_inside(out, input))
        {
            let value = out.display().to_string();
            let expected = "a folder outside that of the images, where pictures would become images";
            return Err(Error::Setting { name: "out", value, expected });
        }
        Ok(())
    }

    /// Loads everything and checks that it belongs together.
    pub fn load(&self) -> Result<Inputs, Failure> {
        let mut loaded = self.load.load(&self.images)?;
        if let Some(path) = &self.labels {
            self.check_order(&self.images, &loaded)?;
            let labels = self.load.labels(path)?;
            let count = loaded.images.len();
            if labels.len() != count {
                let expected = format!("{count}, one per image");
                return Err(wrong(path, "number of labels", expected, labels.len().to_string()));
            }
            if !loaded.classes.is_empty() {
                say(&format!("{}: these labels replace the names of the folders", path.display()))?;
                loaded.classes.clear();
            }
            loaded.images = loaded.images.with_labels(labels)?;
        }
        let targets = self.targets.as_ref().map(|path| self.load_targets(path, &loaded)).transpose()?;
        Ok(Inputs { loaded, targets })
    }

    fn load_targets(&self, path: &Path, inputs: &Loaded) -> Result<ImageSet, Failure> {
        let targets = self.load.load(path)?;
        if targets.files.is_empty() {
            self.check_order(&self.images, inputs)?;
        } else if inputs.files.is_empty() {
            self.check_order(path, &targets)?;
        }
        let [expected, found] = [&inputs.images, &targets.images].map(describe);
        if expected != found {
            return Err(wrong(path, "targets", expected, found));
        }
        let mut names = inputs.files.iter().zip(&targets.files);
        if let Some((input, target)) = names.find(|(input, target)| input != target) {
            let expected = format!("{}, the same names as in {}", input.display(), self.images.display());
            return Err(wrong(path, "names of files", expected, target.display().to_string()));
        }
        Ok(targets.images)
    }

    /// Refuses a folder whose files have two orders, unless the user has chosen one.
    fn check_order(&self, path: &Path, loaded: &Loaded) -> Result<(), Failure> {
        if self.load.order.is_none() { Ok(order::check(path, &loaded.files)?) } else { Ok(()) }
    }
}

/// Number, color and size of images. Sets with equal descriptions can be paired.
fn describe(images: &ImageSet) -> String {
    let (height, width) = images.image_shape();
    let color = if images.channels() == 1 { "gray" } else { "color" };
    format!("{} {color} images of {height} x {width}", images.len())
}

fn wrong(path: &Path, field: &'static str, expected: String, found: String) -> Failure {
    Error::Format { file: path.display().to_string(), field, expected, found }.into()
}
