//! A section of the report: text, tables, pictures.

use std::{fmt, path::PathBuf};

/// A section of the report.
#[derive(Debug, Default)]
pub struct Section {
    pub title: String,
    pub blocks: Vec<Block>,
}

#[derive(Debug)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A conclusion from the metrics.
    Finding(String),
    Table(Table),
    Picture(Picture),
}

#[derive(Debug)]
pub struct Table {
    pub caption: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// A picture in a file.
#[derive(Debug)]
pub struct Picture {
    pub path: PathBuf,
    pub caption: String,
}

impl Section {
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), blocks: Vec::new() }
    }

    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    pub fn finding(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Finding(text.into()));
    }

    pub fn table(&mut self, caption: impl Into<String>, columns: &[&str], rows: Vec<Vec<String>>) {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        self.blocks.push(Block::Table(Table { caption: caption.into(), columns, rows }));
    }

    pub fn picture(&mut self, picture: Picture) {
        self.blocks.push(Block::Picture(picture));
    }

    /// Returns text, findings and tables as Markdown; the title is a heading of the given level.
    pub fn markdown(&self, level: usize) -> String {
        let mut text = format!("{} {}\n", "#".repeat(level), self.title);
        for block in &self.blocks {
            match block {
                Block::Text(paragraph) | Block::Finding(paragraph) => text += &format!("\n{paragraph}\n"),
                Block::Table(table) => text += &format!("\n{}\n\n{table}", table.caption),
                Block::Picture(_) => {}
            }
        }
        text
    }

    /// Returns findings and tables for a terminal.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        for block in &self.blocks {
            match block {
                Block::Finding(finding) => text += &format!("{finding}\n\n"),
                Block::Table(table) => text += &format!("{}\n\n{table}\n", table.caption),
                Block::Text(_) | Block::Picture(_) => {}
            }
        }
        text.trim_end().to_owned()
    }
}

/// Formats a Markdown table with aligned columns.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).chain(self.columns.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut line = |cells: &[String]| {
            for (cell, &width) in cells.iter().zip(&widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")
        };
        line(&self.columns)?;
        line(&widths.iter().map(|&width| "-".repeat(width)).collect::<Vec<_>>())?;
        self.rows.iter().try_for_each(|row| line(row))
    }
}

/// The mean and the range of a metric over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub mean: f64,
    low: f64,
    high: f64,
}

impl Spread {
    /// Returns the spread of some values, or `None` if there are none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let figures: Vec<f64> = figures.into_iter().collect();
        let (low, high) =
            (figures.iter().copied().reduce(f64::min)?, figures.iter().copied().reduce(f64::max)?);
        Some(Self { mean: figures.iter().sum::<f64>() / figures.len() as f64, low, high })
    }

    /// Formats the mean, followed by the range if it is visible with these digits.
    pub fn text(self, digits: usize) -> String {
        let [mean, low, high] = [self.mean, self.low, self.high].map(|figure| decimal(figure, digits));
        if low == high { mean } else { format!("{mean} ({low} to {high})") }
    }
}

/// Formats a cell: the spread of the values, or a dash.
pub fn cell(figures: impl IntoIterator<Item = f64>, digits: usize) -> String {
    Spread::of(figures).map_or_else(|| "-".to_owned(), |spread| spread.text(digits))
}

/// Formats a value with `digits` decimals, without a sign if it rounds to 0.
pub fn decimal(figure: f64, digits: usize) -> String {
    let text = format!("{figure:.digits$}");
    match text.strip_prefix('-') {
        Some(size) if size.chars().all(|c| matches!(c, '0' | '.')) => size.to_owned(),
        _ => text,
    }
}

/// Formats a difference with its sign.
pub fn signed(difference: f64) -> String {
    let text = decimal(difference, 2);
    if text.starts_with('-') { text } else { format!("+{text}") }
}
