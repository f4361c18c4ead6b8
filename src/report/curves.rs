use crate::{
    atomic,
    error::{Error, Result},
};
use plotters::prelude::*;
use std::{io, ops::Range, path::Path};

const SIZE: (u32, u32) = (820, 480);
/// Okabe and Ito's colours, which colour-blind people tell apart, without yellow, too light for lines.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// A line through points, with markers.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What it shows, for the legend.
    pub label: String,
    /// Its points, in the order of x. Those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

/// Curves over common axes.
///
/// ```
/// use autoencoder::report::{Chart, Curve};
/// let curve = |label: &str, points| Curve { label: label.to_owned(), points };
/// let chart = Chart {
///     title: "Loss".to_owned(),
///     x_label: "epoch".to_owned(),
///     y_label: "mean squared error".to_owned(),
///     curves: vec![curve("plain", vec![(1.0, 0.3), (2.0, 0.2)]), curve("deep", vec![(1.0, 0.4), (2.0, 0.1)])],
/// };
/// assert!(chart.to_svg()?.contains("mean squared error"));
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What the curves show together.
    pub title: String,
    /// The horizontal axis, with its unit.
    pub x_label: String,
    /// The vertical axis, with its unit.
    pub y_label: String,
    /// The curves, in the order of the legend.
    pub curves: Vec<Curve>,
}

impl Chart {
    /// The chart as an SVG document. The legend stands beside the curves and hides nothing.
    ///
    /// # Errors
    /// If no point is finite.
    pub fn to_svg(&self) -> Result<String> {
        let points = || self.curves.iter().flat_map(|curve| &curve.points).filter(|p| is_finite(p));
        let (Some(x), Some(y)) = (range(points().map(|p| p.0)), range(points().map(|p| p.1))) else {
            return Err(Error::setting("curves", self.curves.len(), "at least one finite point"));
        };
        let mut svg = String::new();
        self.draw(&mut svg, x, y).map_err(|error| {
            Error::setting("curves", error.to_string(), "points that the plotting crate can draw")
        })?;
        Ok(svg)
    }

    /// Writes the chart as an SVG file.
    ///
    /// # Errors
    /// As [`to_svg`](Self::to_svg), and if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let svg = self.to_svg()?;
        atomic::write(path.as_ref(), |file| file.write_all(svg.as_bytes()))
    }

    fn draw(&self, svg: &mut String, x: Range<f64>, y: Range<f64>) -> Result<(), DrawError> {
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(io::Error::other)?;
        let longest = self.curves.iter().map(|curve| curve.label.chars().count()).max().unwrap_or(0) as u32;
        let (left, legend) = root.split_horizontally(SIZE.0.saturating_sub(60 + 8 * longest).max(SIZE.0 / 2));
        // Epochs and widths have no halves.
        let whole = self.curves.iter().flat_map(|curve| &curve.points).all(|(x, _)| x.fract() == 0.0);
        let mut chart = ChartBuilder::on(&left)
            .caption(&self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(x, y)
            .map_err(io::Error::other)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(&self.x_label)
            .x_label_formatter(&|x| if whole && x.fract() != 0.0 { String::new() } else { x.to_string() })
            .y_desc(&self.y_label)
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 14))
            .draw()
            .map_err(io::Error::other)?;
        for (index, curve) in self.curves.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let points: Vec<_> = curve.points.iter().copied().filter(is_finite).collect();
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))
                .map_err(io::Error::other)?;
            let markers = points.into_iter().map(|point| Circle::new(point, 3, colour.filled()));
            chart.draw_series(markers).map_err(io::Error::other)?;

            let y = 52 + 22 * index as i32;
            let line = PathElement::new(vec![(4, y), (28, y)], colour.stroke_width(3));
            legend.draw(&line).map_err(io::Error::other)?;
            let text = Text::new(curve.label.clone(), (34, y - 7), ("sans-serif", 14));
            legend.draw(&text).map_err(io::Error::other)?;
        }
        root.present().map_err(io::Error::other)
    }
}

type DrawError = io::Error;

fn is_finite((x, y): &(f64, f64)) -> bool {
    x.is_finite() && y.is_finite()
}

/// The values' range with a little room, if there are any.
fn range(values: impl Iterator<Item = f64> + Clone) -> Option<Range<f64>> {
    let (low, high) = (values.clone().reduce(f64::min)?, values.reduce(f64::max)?);
    let room = (0.05 * (high - low)).max(1e-9 * high.abs()).max(1e-12);
    Some(low - room..high + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(curves: Vec<Vec<(f64, f64)>>) -> Chart {
        let curves = curves.into_iter().enumerate();
        Chart {
            title: "T & <t>".to_owned(),
            x_label: "x".to_owned(),
            y_label: "y".to_owned(),
            curves: curves.map(|(i, points)| Curve { label: format!("curve {i}"), points }).collect(),
        }
    }

    #[test]
    fn every_curve_and_finite_point_is_drawn() {
        let svg = chart(vec![vec![(1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0)], vec![(1.0, 1.0)], vec![]])
            .to_svg()
            .unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!((0..3).all(|i| svg.contains(&format!("curve {i}"))));
        assert!(svg.contains("T &amp; &lt;t&gt;"));
    }

    #[test]
    fn flat_single_and_huge_values_can_be_drawn_and_nothing_cannot() {
        for value in [0.0, 1.0, -1e300, 1e-300] {
            assert!(chart(vec![vec![(value, value)]]).to_svg().is_ok(), "{value}");
        }
        assert!(chart(vec![]).to_svg().is_err());
        assert!(chart(vec![vec![(f64::INFINITY, 0.0)]]).to_svg().is_err());
    }
}
