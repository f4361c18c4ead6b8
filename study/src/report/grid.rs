//! A grid of images as SVG, with labels of its rows and columns.

use crate::plots::escape;
use base64::{Engine, prelude::BASE64_STANDARD};
use std::fmt::Write;

/// As charts: letters of 15 units are 11 pixels high on a phone.
const WIDTH: f64 = 480.0;
const LETTER: f64 = 8.4;
const LINE: f64 = 19.0;

/// Returns the SVG of a PNG file that is a grid of as many rows as there are labels.
pub fn svg(png: &[u8], title: &str, rows: &[String], columns: &[String]) -> String {
    let letters = rows.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let left = if letters > 0 { letters as f64 * LETTER + 8.0 } else { 0.0 };
    let top = if columns.is_empty() { 0.0 } else { LINE };
    let (across, down) = size(png);
    let grid = (WIDTH - left, (WIDTH - left) * down / across);
    let height = top + grid.1;
    let mut svg = format!(
        "<svg class=\"rows\" role=\"img\" viewBox=\"0 0 {WIDTH} {height:.0}\" aria-label=\"{}\"><title>{0}</title>",
        escape(title)
    );
    for (index, label) in rows.iter().enumerate() {
        let y = top + grid.1 * (index as f64 + 0.5) / rows.len() as f64 + 5.0;
        let _ = write!(svg, "<text x=\"0\" y=\"{y:.1}\">{}</text>", escape(label));
    }
    for (index, label) in columns.iter().enumerate() {
        let x = left + grid.0 * (index as f64 + 0.5) / columns.len() as f64;
        let _ = write!(svg, "<text text-anchor=\"middle\" x=\"{x:.1}\" y=\"14\">{}</text>", escape(label));
    }
    let _ = write!(
        svg,
        "<image x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" href=\"data:image/png;base64,{}\"/></svg>",
        grid.0,
        grid.1,
        BASE64_STANDARD.encode(png)
    );
    svg
}

/// Reads width and height from the header of a PNG file.
fn size(png: &[u8]) -> (f64, f64) {
    let number = |at: usize| {
        let bytes = png.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        f64::from(bytes.map_or(1, u32::from_be_bytes).max(1))
    };
    (number(16), number(20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_beside_their_rows() {
        let mut png = vec![0; 24];
        png[16..24].copy_from_slice(&[0, 0, 0, 200, 0, 0, 0, 100]);
        let svg = svg(&png, "a < b", &["one".to_owned(), "four".to_owned()], &[]);
        // The labels take 4 * 8.4 + 8 of 480 units, the grid 438.4 by 219.2.
        assert!(svg.contains("viewBox=\"0 0 480 219\"") && svg.contains("a &lt; b"), "{svg}");
        assert!(svg.contains("y=\"59.8\">one<") && svg.contains("y=\"169.4\">four<"), "{svg}");
    }
}
