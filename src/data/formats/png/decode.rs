use super::Background;
use crate::{
    data::COLORS,
    error::{Error, Result},
    files::content,
};
use png::{BitDepth, ColorType, Decoder, DecodingError, Transformations};
use std::{fs, io::Cursor, path::Path};

/// Maximum pixels of an image. The decoder allocates what the header claims, up to 8 bytes per pixel.
const MAX_PIXELS: usize = 1 << 24;

/// A decoded image, in color unless all its pixels are gray.
pub(super) struct Image {
    pub shape: (usize, usize),
    pub channels: usize,
    pub pixels: Vec<u8>,
    pub conversions: Conversions,
}

/// The changes that decoding made.
#[derive(Default)]
pub(super) struct Conversions {
    pub transparent: bool,
    pub sixteen_bits: bool,
    pub animated: bool,
    pub cut_short: bool,
}

/// The chunk that ends every file.
const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// Reads a file, whose size must be the expected one, if any.
pub(super) fn read(path: &Path, expected: Option<(usize, usize)>, background: Background) -> Result<Image> {
    let name = path.display().to_string();
    // A pipe or a device might never end.
    if !fs::metadata(path).map_err(Error::io(path))?.is_file() {
        return Err(Error::format(&name, "PNG", "a regular file", "something else"));
    }
    let file = fs::read(path).map_err(Error::io(path))?;
    let error = match decode(&file, &name, expected, background) {
        Err(error) if !has_end(&file) => error,
        result => return result,
    };
    // Without its end, the decoder does not return the pixels before it.
    let kept = (0..END.len()).rev().find(|&kept| file.ends_with(&END[..kept])).unwrap_or(0);
    let repaired = [&file, &END[kept..]].concat();
    let mut image = decode(&repaired, &name, expected, background).map_err(|_| error)?;
    image.conversions.cut_short = true;
    Ok(image)
}

fn has_end(file: &[u8]) -> bool {
    file.windows(END.len()).any(|part| part == END)
}

fn decode(
    file: &[u8],
    name: &str,
    expected: Option<(usize, usize)>,
    background: Background,
) -> Result<Image> {
    let bad = |error: DecodingError| match content::describe(file).filter(|&found| found != content::PNG) {
        Some(found) => Error::format(name, "content", "PNG", found),
        None => Error::format(name, "PNG", "a valid image", damage(&error)),
    };
    let mut decoder = Decoder::new(Cursor::new(file));
    // Expands palettes to colors and fewer than 8 bits to 8.
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(bad)?;
    let info = reader.info();
    let shape = (info.height as usize, info.width as usize);
    let animated = info.animation_control().is_some();
    if let Some((height, width)) = expected.filter(|&expected| expected != shape) {
        let expected = format!("{height} x {width}, as in the images before");
        let found = format!("{} x {}; resize the images first", shape.0, shape.1);
        return Err(Error::format(name, "size", expected, found));
    }
    let size = reader.output_buffer_size();
    let count = shape.0.checked_mul(shape.1).filter(|&count| count <= MAX_PIXELS);
    let (Some(size), Some(_)) = (size, count) else {
        let found = format!("{} x {}; resize the images first", shape.0, shape.1);
        return Err(Error::format(name, "size", format!("at most {MAX_PIXELS} pixels"), found));
    };
    let mut bytes = vec![0; size];
    let frame = reader.next_frame(&mut bytes).map_err(bad)?;
    if (frame.height as usize, frame.width as usize) != shape {
        let found = "an animation whose first frame is smaller";
        return Err(Error::format(name, "PNG", "a whole image", found));
    }
    // Frames after the first one have no effect.
    if let Err(error) = reader.finish()
        && !animated
    {
        return Err(bad(error));
    }

    let channels = match frame.color_type {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
        ColorType::Indexed => {
            return Err(Error::format(name, "PNG", "colors", "a palette that was not expanded"));
        }
    };
    let sixteen_bits = frame.bit_depth == BitDepth::Sixteen;
    let samples = Samples { channels, sixteen_bits, background };
    let (pixels, transparent) = samples.levels(&bytes);
    let conversions = Conversions { transparent, sixteen_bits, animated, cut_short: false };
    if channels < COLORS {
        return Ok(Image { shape, channels: 1, pixels, conversions });
    }
    let gray = pixels.chunks_exact(COLORS).all(|color| color[0] == color[1] && color[1] == color[2]);
    if gray {
        let pixels = pixels.into_iter().step_by(COLORS).collect();
        return Ok(Image { shape, channels: 1, pixels, conversions });
    }
    Ok(Image { shape, channels: COLORS, pixels, conversions })
}

/// Says what is wrong with a file. The decoder's own words about chunks show its internals.
fn damage(error: &DecodingError) -> String {
    let text = error.to_string();
    if text.starts_with("CRC error") {
        "a wrong checksum: the file is damaged; fetch or save it again".to_owned()
    } else if text.contains("ChunkType") {
        "parts in a wrong order; save the image again".to_owned()
    } else {
        text
    }
}

/// The format of decoded samples: 1 or 3 channels, and alpha after them if the number is even.
struct Samples {
    channels: usize,
    sixteen_bits: bool,
    background: Background,
}

impl Samples {
    /// Returns levels of 8 bits without alpha, and whether any pixel was transparent.
    fn levels(&self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let width = if self.sixteen_bits { 2 } else { 1 };
        let white: u64 = if self.sixteen_bits { u16::MAX.into() } else { u8::MAX.into() };
        let behind = if self.background == Background::White { white } else { 0 };
        let sample = |bytes: &[u8]| bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
        let has_alpha = self.channels.is_multiple_of(2);
        let colors = self.channels - usize::from(has_alpha);

        let mut levels = Vec::with_capacity(bytes.len() / (width * self.channels) * colors);
        let mut transparent = false;
        for pixel in bytes.chunks_exact(width * self.channels) {
            let alpha = if has_alpha { sample(&pixel[colors * width..]) } else { white };
            transparent |= alpha < white;
            for channel in pixel[..colors * width].chunks_exact(width) {
                let level = (sample(channel) * alpha + behind * (white - alpha) + white / 2) / white;
                levels.push(if self.sixteen_bits { ((level + 128) / 257) as u8 } else { level as u8 });
            }
        }
        (levels, transparent)
    }
}
