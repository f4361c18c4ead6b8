//! Curves and scatter plots as SVG, with labels beside the curves and a dark scheme.

mod axis;
mod svg;

use crate::errors::setting;
use autoencoder::{Result, files::write_atomic};
use std::path::Path;

pub(crate) use svg::escape;

/// How points are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mark {
    /// A line through the points, with markers if there are few.
    #[default]
    Line,
    /// A dashed line without markers.
    Dashed,
    /// One dot per point, and the label at their center and beside the plot.
    Dots,
    /// A thin gray line, such as the performance of chance.
    Guide,
}

/// Scale of an axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scale {
    #[default]
    /// Equal steps for equal differences.
    Linear,
    /// Logarithmic; points at 0 or below are skipped.
    Log,
}

/// Points that are drawn together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// Label beside the curve. Default: empty, for no label.
    pub label: String,
    /// Points, in ascending order of x. Non-finite points are skipped.
    pub points: Vec<(f64, f64)>,
    /// Band around the curve, such as the range over seeds: x, the lowest and the highest y. Default: none.
    pub band: Vec<(f64, f64, f64)>,
    /// How the points are drawn.
    pub mark: Mark,
    /// Index of the color. Default: the curve's index in the chart.
    pub color: Option<usize>,
}

/// A chart of several curves.
///
/// ```
/// use autoencoder_study::plots::{Chart, Curve, Scale};
/// let curve = |label: &str, points| Curve { label: label.to_owned(), points, ..Curve::default() };
/// let chart = Chart {
///     title: "Loss".to_owned(),
///     x_label: "epoch".to_owned(),
///     y_label: "mean squared error".to_owned(),
///     y_scale: Scale::Log,
///     curves: vec![curve("plain", vec![(1.0, 0.3), (2.0, 0.2)]), curve("deep", vec![(1.0, 0.4), (2.0, 0.1)])],
///     ..Chart::default()
/// };
/// assert!(chart.to_svg()?.contains("mean squared error"));
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chart {
    /// Title.
    pub title: String,
    /// Label of the horizontal axis, with its unit.
    pub x_label: String,
    /// Label of the vertical axis, with its unit.
    pub y_label: String,
    /// Scale of the horizontal axis. Default: linear.
    pub x_scale: Scale,
    /// Scale of the vertical axis. Default: linear.
    pub y_scale: Scale,
    /// Curves, in the order of their colors.
    pub curves: Vec<Curve>,
}

impl Chart {
    /// Returns the chart as an SVG document.
    ///
    /// # Errors
    /// If no point can be drawn.
    pub fn to_svg(&self) -> Result<String> {
        let chart =
            Self { curves: self.curves.iter().map(|curve| self.drawable(curve)).collect(), ..self.clone() };
        if chart.curves.iter().all(|curve| curve.points.is_empty()) {
            return Err(setting("curves", self.curves.len(), "at least one finite point"));
        }
        Ok(svg::draw(&chart))
    }

    /// Writes the chart as an SVG file.
    ///
    /// # Errors
    /// As [`to_svg`](Self::to_svg), and if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let svg = self.to_svg()?;
        write_atomic(path, |file| file.write_all(svg.as_bytes()))
    }

    /// Returns a curve without the points that the axes cannot show.
    fn drawable(&self, curve: &Curve) -> Curve {
        let shows = |scale: Scale, value: f64| value.is_finite() && (scale == Scale::Linear || value > 0.0);
        let mut curve = curve.clone();
        curve.points.retain(|&(x, y)| shows(self.x_scale, x) && shows(self.y_scale, y));
        curve.band.retain(|&(x, low, high)| {
            shows(self.x_scale, x) && shows(self.y_scale, low) && shows(self.y_scale, high)
        });
        curve
    }
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
            ..Chart::default()
        }
    }

    #[test]
    fn every_finite_point_is_drawn_and_every_curve_with_points_is_labeled() {
        let svg = chart(vec![vec![(1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0)], vec![(1.0, 1.0)], vec![]])
            .to_svg()
            .unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains(">curve 0<") && svg.contains(">curve 1<") && !svg.contains(">curve 2<"));
        assert!(svg.contains("T &amp; &lt;t&gt;") && svg.contains("role=\"img\"") && svg.contains("<title"));
    }

    #[test]
    fn marks_decide_between_lines_and_dots() {
        let mut chart = chart(vec![vec![(0.0, 0.0), (1.0, 2.0)], vec![(0.0, 1.0), (1.0, 1.0)]]);
        let count = |chart: &Chart| {
            let svg = chart.to_svg().unwrap();
            [svg.matches("<circle").count(), svg.matches("<polyline").count()]
        };
        assert_eq!(count(&chart), [4, 2]);
        chart.curves[0].mark = Mark::Dots;
        assert_eq!(count(&chart), [4, 1]);
        // The label of the dots is at their center and in the legend, with a square of their color.
        let svg = chart.to_svg().unwrap();
        assert_eq!(svg.matches(">curve 0</text>").count(), 2);
        assert_eq!(svg.matches("<rect class=\"a0\"").count(), 1);
        chart.curves[1].mark = Mark::Dashed;
        assert_eq!(count(&chart), [2, 1]);
        chart.curves[1].band = vec![(0.0, 0.5, 1.5), (1.0, 0.5, 1.5)];
        assert_eq!(chart.to_svg().unwrap().matches("<polygon").count(), 1);
    }

    #[test]
    fn a_logarithmic_axis_skips_what_has_no_logarithm() {
        let mut chart = chart(vec![vec![(1.0, 0.0), (2.0, 0.1), (3.0, 0.01)]]);
        chart.y_scale = Scale::Log;
        let svg = chart.to_svg().unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains(">y (log scale)<") && svg.contains(">x<"), "{svg}");
        chart.curves[0].points.truncate(1);
        assert!(chart.to_svg().is_err());
    }

    #[test]
    fn flat_single_and_huge_values_can_be_drawn_and_nothing_cannot() {
        for value in [0.0, 1.0, -1e300, 1e-300, f64::MAX, f64::MIN_POSITIVE] {
            let svg = chart(vec![vec![(value, value)]]).to_svg().unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{value}");
        }
        let svg = chart(vec![vec![(f64::MIN, f64::MIN), (f64::MAX, f64::MAX)]]).to_svg().unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        assert!(chart(vec![]).to_svg().is_err());
        assert!(chart(vec![vec![(f64::INFINITY, 0.0)]]).to_svg().is_err());
    }
}
