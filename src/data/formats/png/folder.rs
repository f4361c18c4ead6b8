use crate::{
    data::ImageSet,
    error::{Error, Result},
    files::content,
};
use png::{BitDepth, ColorType, Decoder, Transformations};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

/// Maximum pixels of an image. The decoder allocates what the header claims, up to 8 bytes per pixel.
const MAX_PIXELS: usize = 1 << 24;
/// Labels are bytes.
const MAX_CLASSES: usize = 256;

/// Loads a folder of PNG files, and the names of its classes.
///
/// Either the folder holds the images and there are no classes, or each of its subfolders holds the images of one class.
/// Classes and images follow in the order of their names, and labels are indices of classes. Names that start with a dot
/// are skipped; anything else that is not a PNG file of the right size is an error.
///
/// All images have the same size. Color becomes gray by Rec. 601's luma as Pillow's `convert("L")` computes it,
/// `(19595 R + 38470 G + 7471 B + 32768) / 65536`, and alpha is ignored, as there. Values of 16 bits become the nearest of
/// 256 levels after that.
///
/// ```no_run
/// use autoencoder::data::png;
/// let (leaves, classes) = png::load_folder("leaves")?; // leaves/ash/*.png, leaves/oak/*.png
/// println!("{} images of {:?} in {} classes", leaves.len(), leaves.image_shape(), classes.len());
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if a file or folder cannot be read. [`Error::Format`] if a file is not a valid PNG file, is an animation,
/// differs in size from the first one or has more than 2^24 pixels; or if a folder has no images, both images and
/// subfolders, or more than 256 subfolders.
pub fn load_folder(path: impl AsRef<Path>) -> Result<(ImageSet, Vec<String>)> {
    let path = path.as_ref();
    let mut images = Loader::default();
    let (folders, files): (Vec<_>, Vec<_>) = entries(path)?.into_iter().partition(|entry| entry.is_dir());
    let wrong = |expected: String, found: String| {
        Err(Error::format(&path.display().to_string(), "folder", expected, found))
    };
    if !folders.is_empty() && !files.is_empty() {
        return wrong("PNG files or subfolders of them".to_owned(), "both".to_owned());
    }
    if folders.len() > MAX_CLASSES {
        return wrong(format!("at most {MAX_CLASSES} subfolders"), folders.len().to_string());
    }
    images.add(path, &files, folders.is_empty())?;
    let mut labels = Vec::new();
    let mut classes = Vec::new();
    for (label, folder) in (0_u8..=u8::MAX).zip(&folders) {
        let files = entries(folder)?;
        images.add(folder, &files, true)?;
        labels.extend(vec![label; files.len()]);
        classes.push(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    let set = ImageSet::new(path.display().to_string(), images.shape, images.pixels)?;
    Ok((if folders.is_empty() { set } else { set.with_labels(labels)? }, classes))
}

/// The entries of a folder in the order of their names, without hidden ones.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let names: Result<Vec<OsString>, _> =
        fs::read_dir(folder).and_then(|found| found.map(|entry| entry.map(|e| e.file_name())).collect());
    let mut names = names.map_err(Error::io(folder))?;
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    names.sort_unstable();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// The images so far. The first one sets the size.
#[derive(Default)]
struct Loader {
    shape: (usize, usize),
    pixels: Vec<u8>,
}

impl Loader {
    fn add(&mut self, folder: &Path, files: &[PathBuf], needed: bool) -> Result<()> {
        if needed && files.is_empty() {
            return Err(Error::format(&folder.display().to_string(), "folder", "PNG files", "none"));
        }
        for file in files {
            let expected = Some(self.shape).filter(|_| !self.pixels.is_empty());
            self.shape = read(file, expected, &mut self.pixels)?;
        }
        Ok(())
    }
}

/// Appends the gray pixels of a file and returns its size, which must be the expected one, if any.
fn read(path: &Path, expected: Option<(usize, usize)>, pixels: &mut Vec<u8>) -> Result<(usize, usize)> {
    let name = path.display().to_string();
    // A pipe or a device might never end.
    if !fs::metadata(path).map_err(Error::io(path))?.is_file() {
        return Err(Error::format(&name, "PNG", "a regular file", "something else"));
    }
    let bad = |error: png::DecodingError| match error {
        png::DecodingError::IoError(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
            Error::Io { path: path.to_owned(), cause: source }
        }
        error => match content::describe_file(path).filter(|&found| found != content::PNG) {
            Some(found) => Error::format(&name, "content", "PNG", found),
            None => Error::format(&name, "PNG", "a valid image", error),
        },
    };
    let mut decoder = Decoder::new(BufReader::new(File::open(path).map_err(Error::io(path))?));
    // Expands palettes to colors and fewer than 8 bits to 8.
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(bad)?;
    let info = reader.info();
    let shape = (info.height as usize, info.width as usize);
    if info.animation_control().is_some() {
        return Err(Error::format(&name, "PNG", "one image", "an animation"));
    }
    if let Some((height, width)) = expected.filter(|&expected| expected != shape) {
        let expected = format!("{height} x {width}, as in the images before");
        return Err(Error::format(&name, "size", expected, format!("{} x {}", shape.0, shape.1)));
    }
    let size = reader.output_buffer_size();
    let count = shape.0.checked_mul(shape.1).filter(|&count| count <= MAX_PIXELS);
    let (Some(size), Some(_)) = (size, count) else {
        let found = format!("{} x {}", shape.0, shape.1);
        return Err(Error::format(&name, "size", format!("at most {MAX_PIXELS} pixels"), found));
    };
    let mut bytes = vec![0; size];
    let frame = reader.next_frame(&mut bytes).map_err(bad)?;
    reader.finish().map_err(bad)?;

    let channels = match frame.color_type {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
        ColorType::Indexed => {
            return Err(Error::format(&name, "PNG", "colors", "a palette that was not expanded"));
        }
    };
    if frame.bit_depth == BitDepth::Sixteen {
        let sample = |bytes: &[u8]| u32::from(u16::from_be_bytes([bytes[0], bytes[1]]));
        let level = |pixel: &[u8]| ((gray(pixel, 2, sample) + 128) / 257) as u8;
        pixels.extend(bytes.chunks_exact(2 * channels).map(level));
    } else {
        let level = |pixel: &[u8]| gray(pixel, 1, |bytes| bytes[0].into()) as u8;
        pixels.extend(bytes.chunks_exact(channels).map(level));
    }
    Ok(shape)
}

/// The gray level of a pixel whose samples have `width` bytes each. Alpha comes last and is ignored.
fn gray(pixel: &[u8], width: usize, sample: impl Fn(&[u8]) -> u32) -> u32 {
    let at = |channel: usize| sample(&pixel[channel * width..]);
    // The weights sum to 2^16, so sums of 16-bit samples stay below 2^32.
    if pixel.len() < 3 * width {
        at(0)
    } else {
        (19_595 * at(0) + 38_470 * at(1) + 7_471 * at(2) + 32_768) >> 16
    }
}
