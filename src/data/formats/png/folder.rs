use super::decode::{self, Conversions, Image};
use crate::{
    data::{COLORS, ImageSet},
    error::{Error, Result},
    files::content,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Labels are bytes.
const MAX_CLASSES: usize = 256;
/// Files and folders that operating systems and storage servers create by themselves, in lower case.
const CLUTTER: [&str; 5] = ["thumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r"];
/// Names of folders with a part of a data set or one side of its pairs, in lower case.
const PARTS: [&str; 23] = [
    "train",
    "training",
    "test",
    "testing",
    "val",
    "valid",
    "validation",
    "dev",
    "noisy",
    "clean",
    "image",
    "images",
    "img",
    "imgs",
    "mask",
    "masks",
    "label",
    "labels",
    "annotations",
    "input",
    "inputs",
    "target",
    "targets",
];

/// The color behind transparent pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Background {
    /// Level 0, the default.
    #[default]
    Black,
    /// Level 255.
    White,
}

/// A folder of PNG files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Folder {
    /// The images, with labels if there are classes.
    pub images: ImageSet,
    /// The names of the classes, by label.
    pub classes: Vec<String>,
    /// The file of each image, relative to the folder.
    pub files: Vec<PathBuf>,
}

/// Loads a folder of PNG files.
///
/// Either the folder holds the images and there are no classes, or each of its subfolders holds the images of one class.
/// Images follow in the order of their names. So do classes, in the order of their numbers if all names are numbers; a label is
/// the index of a class.
///
/// All images have the same size. They are in color if a pixel of any of them is; gray images among them get three equal
/// channels. Use [`ImageSet::into_gray`] for gray levels. Transparent pixels are blended with the background, and
/// 16 bits become the nearest of 256 levels. Of an animation, the first frame counts. [`ImageSet::notices`] says what was
/// converted.
///
/// Hidden files, files that operating systems leave, and files that are no images are skipped. Notices count all but
/// the hidden ones.
///
/// ```no_run
/// use autoencoder::data::png::{self, Background};
/// let leaves = png::load_folder("leaves", Background::White)?; // leaves/ash/*.png, leaves/oak/*.png
/// println!("{} images of {:?}", leaves.images.len(), leaves.classes);
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if a file or folder cannot be read. [`Error::Format`] if a PNG file is invalid, differs in size from
/// the first one or has more than 2^24 pixels; if a file is an image of another format; or if a folder has no images, both
/// images and subfolders, subfolders of subfolders, more than 256 subfolders, or only subfolders with names such as `train`
/// and `test` or `noisy` and `clean`.
pub fn load_folder(path: impl AsRef<Path>, background: Background) -> Result<Folder> {
    let path = path.as_ref();
    let mut loader = Loader { root: path.to_owned(), background, channels: 1, ..Loader::default() };
    let (mut folders, files) = loader.entries(path)?;
    if folders.is_empty() {
        loader.add(&files, None)?;
    } else {
        if let Some(image) = files.iter().find(|file| content::describe_file(file) == Some(content::PNG)) {
            let found = format!("both, such as {}", image.display());
            return Err(loader.wrong("PNG files or subfolders of them", found));
        }
        loader.skipped += files.len();
        in_order(&mut folders);
    }
    if folders.len() > MAX_CLASSES {
        return Err(loader.wrong(format!("at most {MAX_CLASSES} subfolders"), folders.len()));
    }
    if folders.len() > 1 && folders.iter().all(|folder| PARTS.contains(&&*name(folder).to_lowercase())) {
        let names = list(&folders);
        let found = format!("{names}: these look like splits (or pairs), not classes; pass one of them");
        return Err(loader.wrong("one subfolder per class", found));
    }
    for (label, folder) in (0_u8..=u8::MAX).zip(&folders) {
        let (nested, files) = loader.entries(folder)?;
        if let Some(nested) = nested.first() {
            let one_of = if folders.len() > 1 { "one of " } else { "" };
            let found =
                format!("a folder in a subfolder, {}; pass {one_of}{}", nested.display(), list(&folders));
            return Err(loader.wrong("one level of subfolders, one per class", found));
        }
        loader.add(&files, Some((folder, label)))?;
    }
    loader.finish(folders)
}

/// Sorts folders by number if all their names are numbers.
fn in_order(folders: &mut [PathBuf]) {
    let number = |folder: &PathBuf| name(folder).parse::<u64>().ok();
    if folders.iter().all(|folder| number(folder).is_some()) {
        folders.sort_by_key(number);
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The names of the first folders, for errors.
fn list(folders: &[PathBuf]) -> String {
    const MOST: usize = 4;
    let mut names: Vec<_> = folders.iter().take(MOST).map(|folder| name(folder) + "/").collect();
    names.extend((folders.len() > MOST).then(|| "...".to_owned()));
    names.join(", ")
}

/// The images so far. The first one sets the size.
#[derive(Default)]
struct Loader {
    root: PathBuf,
    background: Background,
    shape: (usize, usize),
    channels: usize,
    pixels: Vec<u8>,
    labels: Vec<u8>,
    files: Vec<PathBuf>,
    skipped: usize,
    /// A skipped file that another reader loads.
    array: Option<PathBuf>,
    notices: Vec<String>,
    in_color: usize,
    transparent: usize,
    sixteen_bits: usize,
    animated: usize,
    cut_short: Vec<String>,
}

impl Loader {
    fn wrong(&self, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
        Error::format(&self.root.display().to_string(), "folder", expected, found)
    }

    /// Returns the folders and the files in a folder, in the order of their names, without what is skipped.
    fn entries(&mut self, folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let names: Result<Vec<_>, _> =
            fs::read_dir(folder).and_then(|found| found.map(|entry| entry.map(|e| e.file_name())).collect());
        let mut names = names.map_err(Error::io(folder))?;
        names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
        let count = names.len();
        names.retain(|name| !CLUTTER.iter().any(|clutter| name.eq_ignore_ascii_case(clutter)));
        self.skipped += count - names.len();
        names.sort_unstable();
        Ok(names.into_iter().map(|name| folder.join(name)).partition(|entry| entry.is_dir()))
    }

    /// Adds the images of a class, or of the whole folder if there are no classes.
    fn add(&mut self, files: &[PathBuf], class: Option<(&Path, u8)>) -> Result<()> {
        let before = self.files.len();
        for file in files {
            // Without this name, text and the like is no damaged image.
            let named = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
            // Images of other formats are better refused than skipped.
            if !named && file.is_file() && !content::is_image(file) {
                self.skipped += 1;
                self.array = self.array.take().or_else(|| content::is_array(file).then(|| file.clone()));
                continue;
            }
            let expected = Some(self.shape).filter(|_| !self.files.is_empty());
            self.push(decode::read(file, expected, self.background)?, file);
            self.labels.extend(class.map(|(_, label)| label));
        }
        if let Some((folder, _)) = class.filter(|_| self.files.len() == before) {
            self.notices.push(format!("class {} has no images", name(folder)));
        }
        Ok(())
    }

    fn push(&mut self, image: Image, file: &Path) {
        let Image { shape, channels, pixels, conversions } = image;
        self.shape = shape;
        if channels > self.channels {
            self.pixels = in_three_channels(&self.pixels);
            self.channels = channels;
        }
        self.in_color += usize::from(channels == COLORS);
        self.pixels.extend(if channels < self.channels { in_three_channels(&pixels) } else { pixels });
        self.files.push(file.strip_prefix(&self.root).unwrap_or(file).to_owned());
        let Conversions { transparent, sixteen_bits, animated, cut_short } = conversions;
        self.transparent += usize::from(transparent);
        self.sixteen_bits += usize::from(sixteen_bits);
        self.animated += usize::from(animated);
        self.cut_short.extend(cut_short.then(|| file.display().to_string()));
    }

    fn finish(mut self, folders: Vec<PathBuf>) -> Result<Folder> {
        if self.files.is_empty() {
            let found = match (self.skipped, &self.array) {
                (0, _) => "none".to_owned(),
                (1, Some(array)) => format!("the file {} alone; pass the file itself", array.display()),
                (count, Some(array)) => {
                    format!(
                        "{}, such as {}; pass a file itself",
                        counted(count, "other file"),
                        array.display()
                    )
                }
                (count, None) => counted(count, "other file"),
            };
            return Err(self.wrong("PNG files", found));
        }
        let notices = self.all_notices();
        let name_of_set = self.root.display().to_string();
        let set = ImageSet::with_channels(name_of_set, self.shape, self.channels, self.pixels)?;
        let set = set.with_notices(notices);
        let images = if folders.is_empty() { set } else { set.with_labels(self.labels)? };
        Ok(Folder { images, classes: folders.iter().map(|folder| name(folder)).collect(), files: self.files })
    }

    fn all_notices(&mut self) -> Vec<String> {
        let root = self.root.display();
        let gray = self.files.len() - self.in_color;
        let background = if self.background == Background::White { "white" } else { "black" };
        let mut notices = std::mem::take(&mut self.notices);
        let mut count = |count: usize, what: &str, text: &str| {
            if count > 0 {
                notices.push(format!("{root}: {}{text}", counted(count, what)));
            }
        };
        if self.channels == COLORS {
            count(gray, "gray image", " among color images: three equal channels");
        }
        let blended = format!(" with transparent pixels: blended with a {background} background");
        count(self.transparent, "image", &blended);
        count(self.sixteen_bits, "image", " of 16 bits per sample: rounded to 8 bits");
        count(self.animated, "animation", ": only the first frame is used");
        count(self.skipped, "other file", " without an image: skipped");
        if let Some(file) = self.cut_short.first() {
            let count = counted(self.cut_short.len(), "file");
            notices.push(format!("{root}: {count} cut short, such as {file}; all pixels are there"));
        }
        notices
    }
}

/// A number of things, as in "1 image" and "2 images".
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Gray pixels as colors.
fn in_three_channels(pixels: &[u8]) -> Vec<u8> {
    pixels.iter().flat_map(|&level| [level; COLORS]).collect()
}
