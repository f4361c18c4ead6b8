//! A section of the report: answers, text, tables, pictures, and the numbers behind them.

use super::verdict::capitalized;
use serde::Serialize;
use serde_json::Value;
use std::{fmt, path::PathBuf};

/// A section of the report.
#[derive(Debug, Default)]
pub struct Section {
    pub title: String,
    pub blocks: Vec<Block>,
    /// Numbers for files beside the page.
    pub data: Vec<Data>,
}

#[derive(Debug)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A list with numbers.
    List(Vec<String>),
    /// Lines of a terminal.
    Terminal(String),
    /// Files beside the page: name and content.
    Files(Vec<(String, String)>),
    Answer(Answer),
    Table(Table),
    Picture(Picture),
}

/// The answer to one of the study's questions, for one data set.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    pub question: String,
    /// Title of the data set.
    pub dataset: String,
    /// Sentences of which the first is the verdict.
    pub text: String,
}

#[derive(Debug)]
pub struct Table {
    pub caption: String,
    /// The files with the numbers, beside the page.
    pub files: &'static [&'static str],
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// A picture in a file.
#[derive(Debug)]
pub struct Picture {
    pub path: PathBuf,
    pub caption: String,
    /// Labels of the rows and columns of a grid of images; empty for a chart.
    pub rows: Vec<String>,
    pub columns: Vec<String>,
}

/// A table of numbers for a CSV file.
#[derive(Debug)]
pub struct Data {
    /// Name of the file, without extension.
    pub name: &'static str,
    /// A description of the file.
    pub content: &'static str,
    pub columns: &'static [&'static str],
    pub rows: Vec<Vec<Value>>,
}

impl Data {
    /// Returns the name of the file.
    pub fn file(&self) -> String {
        format!("{}.csv", self.name)
    }
}

impl Section {
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    /// Adds an answer. Its text begins with the verdict.
    pub fn answer(&mut self, question: &str, dataset: &str, text: impl Into<String>) {
        let answer = Answer { question: question.to_owned(), dataset: dataset.to_owned(), text: text.into() };
        self.blocks.push(Block::Answer(answer));
    }

    pub fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Answer(answer) => Some(answer),
            _ => None,
        })
    }

    /// Adds a table. `files` have its numbers.
    pub fn table(
        &mut self,
        caption: impl Into<String>,
        files: &'static [&'static str],
        columns: &[&str],
        rows: Vec<Vec<String>>,
    ) {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        self.blocks.push(Block::Table(Table { caption: caption.into(), files, columns, rows }));
    }

    pub fn picture(&mut self, picture: Picture) {
        self.blocks.push(Block::Picture(picture));
    }

    /// Adds rows to the file of that name.
    pub fn data(&mut self, data: Data) {
        match self.data.iter_mut().find(|other| other.name == data.name) {
            Some(other) => other.rows.extend(data.rows),
            None => self.data.push(data),
        }
    }

    /// Returns everything except pictures as Markdown; the title is a heading of the given level.
    pub fn markdown(&self, level: usize) -> String {
        let mut text = format!("{} {}\n", "#".repeat(level), self.title);
        let named = several(self.answers());
        for block in &self.blocks {
            match block {
                Block::Text(paragraph) => text += &format!("\n{paragraph}\n"),
                Block::List(items) => {
                    text.push('\n');
                    (1..).zip(items).for_each(|(number, item)| text += &format!("{number}. {item}\n"));
                }
                Block::Terminal(lines) => text += &format!("\n```sh\n{lines}\n```\n"),
                Block::Files(files) => {
                    text.push('\n');
                    files
                        .iter()
                        .for_each(|(name, content)| text += &format!("- [{name}]({name}): {content}\n"));
                }
                Block::Answer(answer) => text += &format!("\n{}\n", answer.paragraph(named)),
                Block::Table(table) => text += &format!("\n{}{}\n\n{table}", table.caption, table.links()),
                Block::Picture(_) => {}
            }
        }
        text
    }

    /// Returns answers and tables for a terminal.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        let named = several(self.answers());
        for block in &self.blocks {
            match block {
                Block::Answer(answer) => text += &format!("{}\n\n", answer.paragraph(named)),
                Block::Table(table) => text += &format!("{}\n\n{table}\n", table.caption),
                _ => {}
            }
        }
        text.trim_end().to_owned()
    }
}

/// Returns whether answers are about several data sets, so that each must name its own.
pub fn several<'a>(mut answers: impl Iterator<Item = &'a Answer>) -> bool {
    let first = answers.next().map(|answer| &answer.dataset);
    answers.any(|answer| Some(&answer.dataset) != first)
}

impl Answer {
    /// Returns question and answer as one paragraph, with the data set if `named`.
    fn paragraph(&self, named: bool) -> String {
        let dataset = if named { format!("{}: ", capitalized(&self.dataset)) } else { String::new() };
        format!("{} {dataset}{}", self.question, self.text)
    }
}

impl Table {
    /// Returns links to the files as Markdown.
    fn links(&self) -> String {
        let links: Vec<_> = self.files.iter().map(|name| format!("[{name}]({name})")).collect();
        if links.is_empty() { String::new() } else { format!(" ({})", links.join(", ")) }
    }

    /// Returns whether the cells of a column are numbers, with or without a range, so that it is aligned to the right.
    pub fn is_numeric(&self, column: usize) -> bool {
        let mut cells =
            self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| *cell != "-").peekable();
        let number = |cell: &str| cell.parse::<f64>().is_ok();
        let spread =
            |cell: &str| cell.ends_with(')') && cell.split_once(" (").is_some_and(|(mean, _)| number(mean));
        cells.peek().is_some() && cells.all(|cell| number(cell) || spread(cell))
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
    pub low: f64,
    pub high: f64,
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

/// Returns the mean, or `None` if there are no values.
pub fn mean(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    Spread::of(figures).map(|spread| spread.mean)
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

/// Formats a count with commas: 60,000.
pub fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(
            [0, 999, 1_000, 60_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "60,000", "1,234,567"]
        );
    }

    #[test]
    fn columns_of_numbers_are_found() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let table = Table {
            caption: String::new(),
            files: &[],
            columns: row(["a", "b", "c"]),
            rows: vec![row(["1.5 (1.4 to 1.6)", "-", "3 layers"]), row(["-2e-5", "-", "5 layers"])],
        };
        assert_eq!([0, 1, 2, 3].map(|column| table.is_numeric(column)), [true, false, false, false]);
    }
    #[test]
    fn answers_name_their_data_set_only_if_there_are_several() {
        let mut section = Section::new("Depth");
        section.answer("Better?", "MNIST", "Yes.");
        assert!(section.markdown(1).contains("\nBetter? Yes.\n"));
        section.answer("Better?", "digits", "No.");
        assert!(section.tables().contains("Better? MNIST: Yes.\n\nBetter? Digits: No."));
    }

    #[test]
    fn lists_commands_and_files_are_markdown() {
        let mut section = Section::new("Files");
        section.blocks = vec![
            Block::List(vec!["one".to_owned(), "two".to_owned()]),
            Block::Terminal("cargo run".to_owned()),
            Block::Files(vec![("a.csv".to_owned(), "numbers".to_owned())]),
        ];
        section.table("Numbers", &["a.csv", "b.csv"], &["x"], vec![]);
        let text = section.markdown(2);
        assert!(
            text.starts_with(
                "## Files\n\n1. one\n2. two\n\n```sh\ncargo run\n```\n\n- [a.csv](a.csv): numbers\n"
            ),
            "{text}"
        );
        assert!(text.contains("\nNumbers ([a.csv](a.csv), [b.csv](b.csv))\n"), "{text}");
    }
}
