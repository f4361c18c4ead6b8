//! Curves and scatter plots as SVG.

use crate::errors::setting;
use autoencoder::{Result, files::write_atomic};
use plotters::prelude::*;
use std::{io, ops::Range, path::Path};

/// Width and height of the plot, without the legend below it. Small, so that text stays readable on a phone.
const SIZE: (u32, u32) = (640, 400);
/// Height of a row of the legend.
const LEGEND_ROW: u32 = 24;
/// Okabe and Ito's colors, which color-blind people can tell apart, without yellow, which is too light for lines.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// Colors for more than seven curves, from Tol's muted scheme.
const MANY_COLOURS: [RGBColor; 10] = [
    RGBColor(51, 34, 136),
    RGBColor(204, 102, 119),
    RGBColor(17, 119, 51),
    RGBColor(221, 204, 119),
    RGBColor(136, 204, 238),
    RGBColor(136, 34, 85),
    RGBColor(68, 170, 153),
    RGBColor(153, 153, 51),
    RGBColor(170, 68, 153),
    RGBColor(102, 102, 102),
];
/// Height of the label of a group of dots.
const LABEL: i32 = 18;
/// A line with more points has no markers.
const MAX_MARKERS: usize = 60;

/// How points are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mark {
    /// A line through the points, with markers if there are few.
    #[default]
    Line,
    /// One dot per point, and the label at their center.
    Dots,
}

/// Points that are drawn together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// Label in the legend.
    pub label: String,
    /// Points, in ascending order of x. Non-finite points are skipped.
    pub points: Vec<(f64, f64)>,
    /// How the points are drawn.
    pub mark: Mark,
}

/// A chart of several curves.
///
/// ```
/// use autoencoder_study::plots::{Chart, Curve};
/// let curve = |label: &str, points| Curve { label: label.to_owned(), points, ..Curve::default() };
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
    /// Title.
    pub title: String,
    /// Label of the horizontal axis, with its unit.
    pub x_label: String,
    /// Label of the vertical axis, with its unit.
    pub y_label: String,
    /// Curves, in the order of the legend.
    pub curves: Vec<Curve>,
}

impl Chart {
    /// Returns the chart as an SVG document. The legend is below the plot.
    ///
    /// # Errors
    /// If no point is finite.
    pub fn to_svg(&self) -> Result<String> {
        let points = || self.curves.iter().flat_map(|curve| &curve.points).filter(|p| is_finite(p));
        let (Some(x), Some(y)) = (range(points().map(|p| p.0)), range(points().map(|p| p.1))) else {
            return Err(setting("curves", self.curves.len(), "at least one finite point"));
        };
        let mut svg = String::new();
        self.draw(&mut svg, x, y)
            .map_err(|error| setting("curves", error.to_string(), "points that can be drawn"))?;
        Ok(svg)
    }

    /// Writes the chart as an SVG file.
    ///
    /// # Errors
    /// As [`to_svg`](Self::to_svg), and if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let svg = self.to_svg()?;
        write_atomic(path, |file| file.write_all(svg.as_bytes()))
    }

    fn draw(&self, svg: &mut String, x: Range<f64>, y: Range<f64>) -> Result<(), DrawError> {
        let places = self.legend();
        let rows = places.last().map_or(0, |&(_, row)| row + 1);
        let size = (SIZE.0, SIZE.1 + LEGEND_ROW * rows + 8);
        let root = SVGBackend::with_string(svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(io::Error::other)?;
        let (axes, legend) = root.split_vertically(SIZE.1);
        // Epochs and widths are integers.
        let whole = self.curves.iter().flat_map(|curve| &curve.points).all(|(x, _)| x.fract() == 0.0);
        let mut chart = ChartBuilder::on(&axes)
            .caption(&self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(x, y)
            .map_err(io::Error::other)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc(&self.x_label)
            .x_label_formatter(&|x| if whole && x.fract() != 0.0 { String::new() } else { tick(*x) })
            .y_label_formatter(&|y| tick(*y))
            .y_desc(&self.y_label)
            .label_style(("sans-serif", 16))
            .axis_desc_style(("sans-serif", 17))
            .draw()
            .map_err(io::Error::other)?;
        for (index, curve) in self.curves.iter().enumerate() {
            let colour = self.colour(index);
            let points: Vec<_> = curve.points.iter().copied().filter(is_finite).collect();
            if curve.mark == Mark::Line {
                let line = LineSeries::new(points.clone(), colour.stroke_width(2));
                chart.draw_series(line).map_err(io::Error::other)?;
            }
            let (radius, style) = match curve.mark {
                Mark::Line => (3, colour.filled()),
                Mark::Dots => (2, colour.mix(0.6).filled()),
            };
            let few = curve.mark == Mark::Dots || points.len() <= MAX_MARKERS;
            let markers = points.into_iter().filter(|_| few).map(|point| Circle::new(point, radius, style));
            chart.draw_series(markers).map_err(io::Error::other)?;

            let (x, row) = places[index];
            let (x, y) = (x as i32, (LEGEND_ROW * row + LEGEND_ROW / 2) as i32);
            match curve.mark {
                Mark::Line => {
                    legend.draw(&PathElement::new(vec![(x, y), (x + 24, y)], colour.stroke_width(3)))
                }
                Mark::Dots => legend.draw(&Circle::new((x + 18, y), 5, colour.filled())),
            }
            .map_err(io::Error::other)?;
            let text = Text::new(curve.label.clone(), (x + 30, y - 8), ("sans-serif", 17));
            legend.draw(&text).map_err(io::Error::other)?;
        }
        for (place, label) in self.dot_labels(|centre| chart.backend_coord(centre)) {
            let half = half_width(label);
            let plate = [(place.0 - half, place.1 - LABEL / 2), (place.0 + half, place.1 + LABEL / 2)];
            axes.draw(&Rectangle::new(plate, WHITE.mix(0.8).filled())).map_err(io::Error::other)?;
            let at = (place.0 - half + 4, place.1 - LABEL / 2 + 1);
            axes.draw(&Text::new(label, at, ("sans-serif", 15))).map_err(io::Error::other)?;
        }
        root.present().map_err(io::Error::other)
    }
}

impl Chart {
    /// Returns the position of each label of the legend: pixels from the left, and the row.
    fn legend(&self) -> Vec<(u32, u32)> {
        let (mut x, mut row) = (24, 0);
        let mut place = |curve: &Curve| {
            let width = 54 + 9 * curve.label.chars().count() as u32;
            if x > 24 && x + width > SIZE.0 {
                (x, row) = (24, row + 1);
            }
            let place = (x, row);
            x += width;
            place
        };
        self.curves.iter().map(&mut place).collect()
    }

    /// Returns the positions of the dots' labels in pixels: at the center, or lower if another label is there.
    fn dot_labels(&self, pixels: impl Fn(&(f64, f64)) -> (i32, i32)) -> Vec<((i32, i32), &str)> {
        let dots = self.curves.iter().filter(|curve| curve.mark == Mark::Dots);
        let mut wanted: Vec<_> =
            dots.filter_map(|curve| Some((pixels(&centre(&curve.points)?), curve.label.as_str()))).collect();
        wanted.sort_by_key(|(place, _)| place.1);
        let mut placed: Vec<((i32, i32), &str)> = Vec::new();
        for ((x, mut y), label) in wanted {
            let hits = |y: i32, &((other_x, other_y), other): &((i32, i32), &str)| {
                (x - other_x).abs() < half_width(label) + half_width(other) && (y - other_y).abs() < LABEL
            };
            while placed.iter().any(|other| hits(y, other)) {
                y += 1;
            }
            placed.push(((x, y), label));
        }
        placed
    }

    fn colour(&self, index: usize) -> RGBColor {
        match self.curves.len() <= COLOURS.len() {
            true => COLOURS[index % COLOURS.len()],
            false => MANY_COLOURS[index % MANY_COLOURS.len()],
        }
    }
}

/// Returns half the width of a label of dots, in pixels.
fn half_width(label: &str) -> i32 {
    4 * label.chars().count() as i32 + 4
}

/// Returns the mean of the finite points.
fn centre(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let finite: Vec<_> = points.iter().filter(|point| is_finite(point)).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| finite.iter().map(|p| of(p) / finite.len() as f64).sum();
    (!finite.is_empty()).then(|| (mean(|p| p.0), mean(|p| p.1)))
}

/// Formats a number for an axis, without the noise of binary fractions.
fn tick(value: f64) -> String {
    let rounded = format!("{value:.6}").parse().unwrap_or(value);
    if value != 0.0 && !(1e-4..1e7).contains(&value.abs()) {
        format!("{value:e}")
    } else {
        format!("{rounded}")
    }
}

type DrawError = io::Error;

fn is_finite((x, y): &(f64, f64)) -> bool {
    x.is_finite() && y.is_finite()
}

/// Returns the range of the values with a small margin, if there are any.
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
            curves: curves
                .map(|(i, points)| Curve { label: format!("curve {i}"), points, ..Curve::default() })
                .collect(),
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
    fn ticks_are_short() {
        for (value, text) in [(0.1 + 0.2, "0.3"), (-5.9, "-5.9"), (0.0, "0"), (20.0, "20"), (1e-5, "1e-5")] {
            assert_eq!(tick(value), text);
        }
    }

    #[test]
    fn dots_have_no_line_and_their_label_twice() {
        let mut chart = chart(vec![vec![(0.0, 0.0), (1.0, 2.0)], vec![(f64::NAN, 0.0)]]);
        chart.curves.iter_mut().for_each(|curve| curve.mark = Mark::Dots);
        let svg = chart.to_svg().unwrap();
        // Two dots, and two in the legend.
        assert_eq!((svg.matches("<circle").count(), svg.matches("curve 0").count()), (4, 2));
        assert_eq!(svg.matches("curve 1").count(), 1);
        let line = |svg: &str| svg.matches("stroke-width=\"2\"").count();
        chart.curves[0].mark = Mark::Line;
        assert_eq!((line(&svg), line(&chart.to_svg().unwrap())), (0, 1));
    }

    #[test]
    fn labels_of_dots_do_not_cover_each_other() {
        let mut chart = chart(vec![vec![(0.5, 0.5)], vec![(0.5, 0.51)], vec![(0.52, 0.5)], vec![(5.0, 0.5)]]);
        chart.curves.iter_mut().for_each(|curve| curve.mark = Mark::Dots);
        let placed = chart.dot_labels(|point| ((100.0 * point.0) as i32, (100.0 * point.1) as i32));
        let mut heights: Vec<_> = placed.iter().filter(|(place, _)| place.0 < 100).map(|p| p.0.1).collect();
        heights.sort_unstable();
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= LABEL), "{heights:?}");
        assert!(placed.contains(&((500, 50), "curve 3")));
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
