//! Draws a chart as SVG. Colors are classes, so that one file suits a light and a dark page.

use super::{
    Chart, Curve, Mark, Scale,
    axis::{Axis, tick},
};
use std::fmt::Write;

/// Width of the drawing. Letters of 15 units are 11 pixels high on a phone that is 390 pixels wide.
const WIDTH: f64 = 480.0;
const LINE: f64 = 18.0;
/// Mean width of a letter.
const LETTER: f64 = 7.6;
/// Letters in a line of the title, and of a label.
const TITLE_LETTERS: usize = 50;
const LABEL_LETTERS: usize = 17;
const MIN_PLOT: f64 = 210.0;
/// A line with more points has no markers.
const MAX_MARKERS: usize = 40;

/// Letters, colors for up to seven curves (Okabe and Ito's, which color-blind people can tell apart), and for more (Tol's
/// muted scheme).
const STYLE: &str = "\
.chart{color:#1a1a1a;font:15px system-ui,sans-serif}.chart text{fill:currentColor}.chart .head{font-weight:600;font-size:16px}
.chart .paper{fill:#fff}.chart .grid{stroke:#ddd}.chart .axis{stroke:#777}.chart .soft{color:#555}.chart .plate{fill:#fff;opacity:.8}
.chart .a0{color:#0072b2}.chart .a1{color:#d55e00}.chart .a2{color:#009e73}.chart .a3{color:#b8528a}.chart .a4{color:#000}
.chart .a5{color:#c78500}.chart .a6{color:#56b4e9}
.chart .b0{color:#332288}.chart .b1{color:#cc6677}.chart .b2{color:#117733}.chart .b3{color:#b09a2e}.chart .b4{color:#4aa3c7}
.chart .b5{color:#882255}.chart .b6{color:#44aa99}.chart .b7{color:#87871f}.chart .b8{color:#aa4499}.chart .b9{color:#666}
@media screen and (prefers-color-scheme:dark){.chart{color:#e8e8e8}.chart .paper{fill:#17191d}.chart .grid{stroke:#33373d}
.chart .axis{stroke:#8a8f98}.chart .soft{color:#b4b9c2}.chart .plate{fill:#17191d}
.chart .a0{color:#4db3ff}.chart .a1{color:#ff8f3d}.chart .a2{color:#2fd3a0}.chart .a3{color:#e9a3cb}.chart .a4{color:#fff}
.chart .a5{color:#ffc04d}.chart .a6{color:#9ad9ff}
.chart .b0{color:#9a8cff}.chart .b1{color:#ff9aa8}.chart .b2{color:#5fd488}.chart .b3{color:#e6d07a}.chart .b4{color:#9adcf5}
.chart .b5{color:#ee7fb4}.chart .b6{color:#7fe0d0}.chart .b7{color:#cfcf66}.chart .b8{color:#e28ad8}.chart .b9{color:#b0b0b0}}
";

/// A label beside the plot: its lines, and the height of its center.
struct Label<'a> {
    curve: &'a Curve,
    lines: Vec<String>,
    y: f64,
}

/// Draws a chart whose points can all be shown, of which there is at least one.
pub fn draw(chart: &Chart) -> String {
    let title = wrapped(&chart.title, TITLE_LETTERS);
    let aside = || {
        let labeled = |curve: &&Curve| !curve.label.is_empty();
        chart.curves.iter().filter(labeled).filter(|curve| !curve.points.is_empty())
    };
    let labels: Vec<Vec<String>> = aside().map(|curve| wrapped(&curve.label, LABEL_LETTERS)).collect();
    let letters = labels.iter().flatten().map(|line| line.chars().count()).max().unwrap_or(0);
    let lines: usize = labels.iter().map(Vec::len).sum();

    let top = LINE * title.len() as f64 + 2.0 * LINE;
    let bottom = top + MIN_PLOT.max(LINE * lines as f64 + 4.0);
    let right = WIDTH - 8.0 - if letters > 0 { letters as f64 * LETTER + 30.0 } else { 8.0 };
    let height = bottom + 2.7 * LINE;
    let points = || chart.curves.iter().flat_map(|curve| &curve.points);
    let bands = || chart.curves.iter().flat_map(|curve| &curve.band);
    let heights = points().map(|point| point.1).chain(bands().flat_map(|band| [band.1, band.2]));
    let x = Axis::new(chart.x_scale, points().map(|point| point.0), (58.0, right));
    let y = Axis::new(chart.y_scale, heights, (bottom, top));

    let id = identifier(&chart.title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" role=\"img\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         aria-labelledby=\"{id}-title {id}-text\">\n<title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-text\">{}</desc>\n\
         <style>{STYLE}</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height:.0}\"/>\n",
        escape(&chart.title),
        escape(&description(chart))
    );
    for (index, line) in title.iter().enumerate() {
        text(&mut svg, "head", "start", (8.0, LINE * (index as f64 + 1.0)), line);
    }
    text(&mut svg, "soft", "start", (8.0, top - 0.8 * LINE), &scaled(&chart.y_label, chart.y_scale));
    for value in y.ticks(false) {
        let height = y.pixel(value);
        line(&mut svg, "grid", (58.0, height), (right, height));
        text(&mut svg, "soft", "end", (52.0, height + 5.0), &tick(value));
    }
    line(&mut svg, "axis", (58.0, bottom), (right, bottom));
    for value in x.ticks_at(points().map(|point| point.0), 34.0) {
        line(&mut svg, "axis", (x.pixel(value), bottom), (x.pixel(value), bottom + 5.0));
        text(&mut svg, "soft", "middle", (x.pixel(value), bottom + 1.2 * LINE), &tick(value));
    }
    text(
        &mut svg,
        "soft",
        "middle",
        ((58.0 + right) / 2.0, bottom + 2.2 * LINE),
        &scaled(&chart.x_label, chart.x_scale),
    );

    for (index, curve) in chart.curves.iter().enumerate() {
        self::curve(&mut svg, curve, &class(chart, index), &x, &y);
    }
    let mut placed: Vec<Label> = aside()
        .zip(labels)
        .map(|(curve, lines)| {
            // Groups of dots have no end, so that their labels are in the order of the groups.
            let end = curve.points.last().filter(|_| curve.mark != Mark::Dots);
            Label { curve, lines, y: end.map_or(top, |point| y.pixel(point.1)) }
        })
        .collect();
    stack(&mut placed, top, bottom);
    for label in &placed {
        let index = chart.curves.iter().position(|curve| std::ptr::eq(curve, label.curve)).unwrap_or(0);
        sample(&mut svg, label.curve.mark, &class(chart, index), (right + 6.0, label.y));
        let first = label.y - LINE * (label.lines.len() as f64 - 1.0) / 2.0 + 5.0;
        for (row, line) in label.lines.iter().enumerate() {
            text(&mut svg, "", "start", (right + 27.0, first + LINE * row as f64), line);
        }
    }
    dot_labels(&mut svg, chart, &x, &y);
    svg + "</svg>\n"
}

fn curve(svg: &mut String, curve: &Curve, class: &str, x: &Axis, y: &Axis) {
    if curve.band.iter().any(|band| band.1 < band.2) {
        let upper = curve.band.iter().map(|band| (x.pixel(band.0), y.pixel(band.2)));
        let lower = curve.band.iter().rev().map(|band| (x.pixel(band.0), y.pixel(band.1)));
        let outline = coordinates(&upper.chain(lower).collect::<Vec<_>>());
        let _ = writeln!(
            svg,
            "<polygon class=\"{class}\" fill=\"currentColor\" opacity=\".18\" points=\"{outline}\"/>"
        );
    }
    let pixels: Vec<_> = curve.points.iter().map(|point| (x.pixel(point.0), y.pixel(point.1))).collect();
    if curve.mark != Mark::Dots && !pixels.is_empty() {
        stroke(svg, "polyline", curve.mark, class, &pixels);
    }
    let (radius, opacity) = if curve.mark == Mark::Dots { (2.2, 0.6) } else { (3.0, 1.0) };
    if curve.mark == Mark::Dots || curve.mark == Mark::Line && pixels.len() <= MAX_MARKERS {
        for (x, y) in pixels {
            let _ = writeln!(
                svg,
                "<circle class=\"{class}\" fill=\"currentColor\" opacity=\"{opacity}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
            );
        }
    }
}

/// Draws a line as a curve (`polyline`) or as the sample beside its label (`line`).
fn stroke(svg: &mut String, element: &str, mark: Mark, class: &str, pixels: &[(f64, f64)]) {
    let style = match mark {
        Mark::Dashed => "stroke-width=\"2\" stroke-dasharray=\"6 4\"",
        Mark::Guide => "stroke-width=\"1.5\" stroke-dasharray=\"2 3\"",
        Mark::Line | Mark::Dots => "stroke-width=\"2.2\"",
    };
    let place = match (element, pixels) {
        ("line", [from, to]) => {
            format!("x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"", from.0, from.1, to.0, to.1)
        }
        _ => format!("points=\"{}\"", coordinates(pixels)),
    };
    let _ =
        writeln!(svg, "<{element} class=\"{class}\" fill=\"none\" stroke=\"currentColor\" {style} {place}/>");
}

/// Draws the sample beside a label: 16 units of the line, or a square in the color of the dots.
fn sample(svg: &mut String, mark: Mark, class: &str, start: (f64, f64)) {
    if mark == Mark::Dots {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" fill=\"currentColor\" x=\"{:.1}\" y=\"{:.1}\" width=\"10\" height=\"10\"/>",
            start.0 + 6.0,
            start.1 - 5.0
        );
    } else {
        stroke(svg, "line", mark, class, &[start, (start.0 + 16.0, start.1)]);
    }
}

/// Adds the scale to the label of an axis, unless it is linear.
fn scaled(label: &str, scale: Scale) -> String {
    match scale {
        Scale::Linear => label.to_owned(),
        Scale::Log => format!("{label} (log scale)"),
    }
}

/// Writes the label of each group of dots at its center, or lower if another label is there.
fn dot_labels(svg: &mut String, chart: &Chart, x: &Axis, y: &Axis) {
    let mut wanted: Vec<(f64, f64, &str)> = Vec::new();
    for curve in chart.curves.iter().filter(|curve| curve.mark == Mark::Dots && !curve.points.is_empty()) {
        let mean = |of: fn(&(f64, f64)) -> f64| {
            curve.points.iter().map(|point| of(point) / curve.points.len() as f64).sum::<f64>()
        };
        wanted.push((x.pixel(mean(|p| p.0)), y.pixel(mean(|p| p.1)), &curve.label));
    }
    for (x, y, label) in apart(wanted) {
        let half = half_width(label);
        let _ = writeln!(
            svg,
            "<rect class=\"plate\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{LINE}\" rx=\"3\"/>",
            x - half,
            y - LINE / 2.0,
            2.0 * half
        );
        text(svg, "head", "middle", (x, y + 5.0), label);
    }
}

fn half_width(label: &str) -> f64 {
    LETTER * label.chars().count() as f64 / 2.0 + 4.0
}

/// Moves labels (center and text) down until none covers another.
fn apart(mut wanted: Vec<(f64, f64, &str)>) -> Vec<(f64, f64, &str)> {
    wanted.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut placed: Vec<(f64, f64, &str)> = Vec::new();
    for (x, mut y, label) in wanted {
        let hits = |y: f64, other: &(f64, f64, &str)| {
            (x - other.0).abs() < half_width(label) + half_width(other.2) && (y - other.1).abs() < LINE
        };
        while placed.iter().any(|other| hits(y, other)) {
            y += 1.0;
        }
        placed.push((x, y, label));
    }
    placed
}

/// Spreads labels over the height of the plot, in the order of their curves' ends.
fn stack(labels: &mut [Label], top: f64, bottom: f64) {
    labels.sort_by(|a, b| a.y.total_cmp(&b.y));
    let half = |label: &Label| LINE * label.lines.len() as f64 / 2.0;
    let mut free = top;
    for label in labels.iter_mut() {
        label.y = label.y.max(free + half(label));
        free = label.y + half(label);
    }
    let mut free = bottom;
    for label in labels.iter_mut().rev() {
        label.y = label.y.min(free - half(label));
        free = label.y - half(label);
    }
}

fn class(chart: &Chart, index: usize) -> String {
    let curve = &chart.curves[index];
    if curve.mark == Mark::Guide {
        return "soft".to_owned();
    }
    let color = |index: usize| chart.curves[index].color.unwrap_or(index);
    let colors = (0..chart.curves.len()).map(color).max().map_or(1, |last| last + 1);
    if colors <= 7 { format!("a{}", color(index)) } else { format!("b{}", color(index) % 10) }
}

/// Describes the chart for people who cannot see it.
fn description(chart: &Chart) -> String {
    let mut text = format!("{} by {}.", chart.y_label, chart.x_label);
    for curve in chart.curves.iter().filter(|curve| curve.mark != Mark::Guide && !curve.label.is_empty()) {
        match (curve.mark, curve.points.first(), curve.points.last()) {
            (Mark::Dots, Some(_), _) => {
                let _ = write!(text, " {}: {} points.", curve.label, curve.points.len());
            }
            (_, Some(first), Some(last)) => {
                let [x0, y0, x1, y1] = [first.0, first.1, last.0, last.1].map(brief);
                let _ = write!(text, " {}: {y0} at {x0}, {y1} at {x1}.", curve.label);
            }
            _ => {}
        }
    }
    text
}

fn brief(value: f64) -> String {
    tick(format!("{:.3e}", value.clamp(-1e300, 1e300)).parse().unwrap_or(value))
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, class: &str, anchor: &str, at: (f64, f64), text: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        at.0,
        at.1,
        escape(text)
    );
}

fn coordinates(pixels: &[(f64, f64)]) -> String {
    pixels.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

/// Escapes text for HTML and SVG.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Returns an identifier that is unique on a page as long as titles are.
fn identifier(title: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    format!("chart-{}", title.chars().map(letter).collect::<String>())
}

/// Breaks a text into lines between words.
fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= letters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_dots_do_not_cover_each_other() {
        let placed = apart(vec![(50.0, 50.0, "a"), (50.0, 51.0, "b"), (52.0, 50.0, "c"), (500.0, 50.0, "d")]);
        let mut heights: Vec<f64> =
            placed.iter().filter(|label| label.0 < 100.0).map(|label| label.1).collect();
        heights.sort_by(f64::total_cmp);
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= LINE), "{heights:?}");
        assert!(placed.contains(&(500.0, 50.0, "d")));
    }

    #[test]
    fn labels_beside_the_plot_stay_in_it_and_in_order() {
        let curve = Curve::default();
        let mut labels: Vec<Label> = [200.0, 100.0, 199.0, 198.0]
            .map(|y| Label { curve: &curve, lines: vec!["label".to_owned()], y })
            .into();
        stack(&mut labels, 0.0, 200.0);
        let heights: Vec<f64> = labels.iter().map(|label| label.y).collect();
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= LINE), "{heights:?}");
        assert!(heights[0] == 100.0 && heights[3] + LINE / 2.0 <= 200.0, "{heights:?}");
    }

    #[test]
    fn long_texts_are_wrapped_between_words() {
        assert_eq!(wrapped("one model per variance", 10), ["one model", "per", "variance"]);
        assert_eq!(wrapped("", 10), Vec::<String>::new());
    }
}
