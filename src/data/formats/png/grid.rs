use crate::{
    error::{Error, Result},
    files::write_atomic,
};
use ndarray::ArrayView2;
use std::{io, path::Path};

/// Gray level between the images.
const GAP_LEVEL: u8 = 96;

/// Saves a grid of images as one gray PNG file.
///
/// Each array `[images, height * width]` becomes one row of the grid, its images side by side with a thin gap. Each pixel is
/// enlarged to `zoom` x `zoom`. Values are clamped to [0, 1]; NaN becomes black. The file is
/// [written atomically](write_atomic).
///
/// ```
/// use autoencoder::{Noise, data::{digits, png}};
/// let clean = digits::generate(10, 1)?.to_array();
/// let noisy = Noise::gaussian(0.1)?.corrupt(&clean, 2);
/// # let folder = tempfile::tempdir().expect("a scratch folder");
/// # let path = folder.path().join("digits.png");
/// png::save_grid(path, (28, 28), &[clean.view(), noisy.view()], 3)?;
/// # Ok::<(), autoencoder::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if there is nothing to draw, an array does not have height * width columns, or the grid exceeds 2^31
/// pixels; [`Error::Io`] if the file cannot be written.
pub fn save_grid(
    path: impl AsRef<Path>,
    (height, width): (usize, usize),
    rows: &[ArrayView2<f32>],
    zoom: usize,
) -> Result<()> {
    let columns = rows.iter().map(|row| row.nrows()).max().unwrap_or(0);
    if let Some(row) = rows.iter().find(|row| height.checked_mul(width) != Some(row.ncols())) {
        return Err(Error::shape("columns for images of (height, width)", (height, width), row.ncols()));
    }
    let gap = zoom.div_ceil(2);
    let side = |images: usize, pixels: usize| {
        let length = images.checked_mul(pixels.checked_mul(zoom)?.checked_add(gap)?)?.checked_add(gap)?;
        u32::try_from(length).ok().filter(|_| images * pixels * zoom > 0)
    };
    let size = side(columns, width).zip(side(rows.len(), height));
    let Some((across, down)) = size.filter(|&(a, d)| u64::from(a) * u64::from(d) < 1 << 31) else {
        let found = format!("{} x {columns} of {height} x {width}, zoom {zoom}", rows.len());
        return Err(Error::Shape { what: "grid of images", expected: "1 to 2^31 pixels".to_owned(), found });
    };

    let mut pixels = vec![GAP_LEVEL; across as usize * down as usize];
    for (grid_row, row) in rows.iter().enumerate() {
        for (grid_column, image) in row.outer_iter().enumerate() {
            let top = gap + grid_row * (height * zoom + gap);
            let left = gap + grid_column * (width * zoom + gap);
            for y in 0..height * zoom {
                let start = (top + y) * across as usize + left;
                for (x, pixel) in pixels[start..start + width * zoom].iter_mut().enumerate() {
                    *pixel = (image[y / zoom * width + x / zoom] * 255.0).round() as u8;
                }
            }
        }
    }
    write_atomic(path, |file| {
        let mut encoder = ::png::Encoder::new(file, across, down);
        encoder.set_color(::png::ColorType::Grayscale);
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
        assert!(matches!(draw((2, 2), &[image.view()], 1), Err(Error::Io { .. })));
    }
}
