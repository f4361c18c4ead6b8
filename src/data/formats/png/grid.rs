use crate::{
    data::channels,
    error::{Error, Result},
    files::write_atomic,
};
use ndarray::ArrayView2;
use std::{io, path::Path};

/// Gray level between the images.
const GAP_LEVEL: u8 = 96;

/// Saves a grid of images as one PNG file.
///
/// Each array becomes one row of the grid, its images side by side with a thin gap. It is `[images, height * width]` for gray
/// images, or `[images, height * width * 3]` for color, the channels of a pixel together. If any row is in color, the file
/// is. Each pixel is enlarged to `zoom` x `zoom`. Values are clamped to [0, 1]; NaN becomes black. The file is
/// [written atomically](write_atomic).
///
/// ```
/// use autoencoder::{Noise, data::{digits, png}};
/// let clean = digits::generate(10, 1)?.to_array()?;
/// let noisy = Noise::gaussian(0.1)?.corrupt(&clean, 2);
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// # let path = folder.path().join("digits.png");
/// png::save_grid(path, (28, 28), &[clean.view(), noisy.view()], 3)?;
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if there is nothing to draw, an array has another number of columns, or the grid exceeds 2^31
/// bytes; [`Error::Io`] if the file cannot be written.
pub fn save_grid(
    path: impl AsRef<Path>,
    (height, width): (usize, usize),
    rows: &[ArrayView2<f32>],
    zoom: usize,
) -> Result<()> {
    if rows.iter().all(|row| row.nrows() == 0) {
        return Err(Error::shape("grid of images", format_args!("at least one image"), 0));
    }
    let columns = rows.iter().map(|row| row.nrows()).max().unwrap_or(0);
    let channels =
        rows.iter().map(|row| channels((height, width), row.ncols())).collect::<Result<Vec<_>>>()?;
    let depth = channels.iter().copied().max().unwrap_or(1);
    let gap = zoom.div_ceil(2);
    let side = |images: usize, pixels: usize| {
        let length = images.checked_mul(pixels.checked_mul(zoom)?.checked_add(gap)?)?.checked_add(gap)?;
        u32::try_from(length).ok().filter(|_| images * pixels * zoom > 0)
    };
    let size = side(columns, width).zip(side(rows.len(), height));
    let Some((across, down)) =
        size.filter(|&(a, d)| (u64::from(a) * u64::from(d)).saturating_mul(depth as u64) < 1 << 31)
    else {
        let found = format!("{} x {columns} of {height} x {width}, zoom {zoom}", rows.len());
        return Err(Error::Shape { what: "grid of images", expected: "1 to 2^31 bytes".to_owned(), found });
    };

    let stride = across as usize * depth;
    let mut pixels = vec![GAP_LEVEL; stride * down as usize];
    for (grid_row, (row, channels)) in rows.iter().zip(channels).enumerate() {
        for (grid_column, image) in row.outer_iter().enumerate() {
            let top = gap + grid_row * (height * zoom + gap);
            let left = gap + grid_column * (width * zoom + gap);
            for y in 0..height * zoom {
                let start = (top + y) * stride + left * depth;
                let line = &mut pixels[start..start + width * zoom * depth];
                for (x, color) in line.chunks_exact_mut(depth).enumerate() {
                    let pixel = (y / zoom * width + x / zoom) * channels;
                    for (channel, level) in color.iter_mut().enumerate() {
                        *level = (image[pixel + channel.min(channels - 1)] * 255.0).round() as u8;
                    }
                }
            }
        }
    }
    write_atomic(path, |file| {
        let mut encoder = ::png::Encoder::new(file, across, down);
        let gray = depth == 1;
        encoder.set_color(if gray { ::png::ColorType::Grayscale } else { ::png::ColorType::Rgb });
        let mut writer = encoder.write_header().map_err(io::Error::other)?;
        writer.write_image_data(&pixels).map_err(io::Error::other)?;
        writer.finish().map_err(io::Error::other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use std::fs::File;

    #[test]
    fn pixels_are_at_their_positions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.png");
        let (upper, lower) = (array![[0.0, 1.0], [0.2, f32::NAN]], array![[2.0, -1.0]]);
        save_grid(&path, (1, 2), &[upper.view(), lower.view()], 2).unwrap();

        let mut reader =
            ::png::Decoder::new(io::BufReader::new(File::open(&path).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (11, 7));
        let row = |y: usize| &pixels[y * 11..(y + 1) * 11];
        let g = GAP_LEVEL;
        assert_eq!(row(0), [g; 11]);
        assert_eq!(row(1), [g, 0, 0, 255, 255, g, 51, 51, 0, 0, g]);
        assert_eq!(row(2), row(1));
        assert_eq!(row(4), [g, 255, 255, 0, 0, g, g, g, g, g, g]);
    }

    #[test]
    fn one_row_in_color_makes_a_grid_in_color() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.png");
        let (color, gray) = (array![[1.0, 0.0, 0.2, 0.0, 1.0, 0.0]], array![[0.4, 1.0]]);
        save_grid(&path, (1, 2), &[color.view(), gray.view()], 1).unwrap();
        let mut reader =
            ::png::Decoder::new(io::BufReader::new(File::open(&path).unwrap())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height, info.color_type), (4, 5, ::png::ColorType::Rgb));
        assert_eq!(pixels[12..24], [96, 96, 96, 255, 0, 51, 0, 255, 0, 96, 96, 96]);
        assert_eq!(pixels[36..48], [96, 96, 96, 102, 102, 102, 255, 255, 255, 96, 96, 96]);
    }

    #[test]
    fn impossible_grids_are_errors() {
        let image = Array2::zeros((1, 4));
        let draw = |shape, rows: &[ArrayView2<f32>], zoom| save_grid("/nowhere/grid.png", shape, rows, zoom);
        for (shape, rows, zoom) in [
            ((2, 3), vec![image.view()], 1),
            ((2, 2), vec![], 1),
            ((2, 2), vec![image.view()], 0),
            ((2, 2), vec![image.view()], usize::MAX),
            ((2, 2), vec![image.view()], 1 << 20),
        ] {
            let error = draw(shape, &rows, zoom).unwrap_err();
            assert!(!matches!(error, Error::Io { .. }), "{error}");
        }
        let error = draw((2, 2), &[], 1).unwrap_err().to_string();
        assert_eq!(error, "grid of images: expected at least one image, found 0");
        assert!(matches!(draw((2, 2), &[image.view()], 1), Err(Error::Io { .. })));
    }
}
