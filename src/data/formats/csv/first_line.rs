//! The first line of a table: its delimiter, its header and its column of labels.

use super::{
    CsvOptions,
    cells::{self, Cell},
};
use crate::error::{Error, Result};
use std::borrow::Cow;

/// Returns the separator of the cells of a text that starts with `start`.
pub(super) fn delimiter(start: &[u8]) -> u8 {
    let text = start.trim_ascii_start();
    let mut quoted = false;
    let mut found = [b'\t', b';', b','].map(|delimiter| (delimiter, false));
    for &byte in text {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if !quoted => found.iter_mut().for_each(|(delimiter, seen)| *seen |= byte == *delimiter),
            _ => {}
        }
    }
    found.into_iter().find(|(_, seen)| *seen).map_or(b',', |(delimiter, _)| delimiter)
}

/// Returns the separator that the line `sep=;` of Excel states, and the text behind that line.
pub(super) fn stated_delimiter(start: &[u8]) -> Option<(u8, &[u8])> {
    let [delimiter, rest @ ..] = start.strip_prefix(b"sep=")? else { return None };
    let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
    Some((*delimiter, rest.strip_prefix(b"\n")?))
}

/// The columns of a table.
pub(super) struct Columns {
    /// Names of all columns. Empty without a header.
    pub names: Vec<String>,
    /// Index of the column of labels.
    pub label: Option<usize>,
}

impl Columns {
    /// Interprets the cells of the first line.
    pub fn new<'a>(
        name: &str,
        line: u64,
        cells: impl Iterator<Item = Cow<'a, str>> + Clone,
        options: &CsvOptions,
    ) -> Result<Self> {
        let number: Option<usize> = options.label.as_ref().and_then(|label| label.parse().ok());
        let is_text = |(index, cell): (usize, Cow<str>)| {
            number != Some(index + 1) && matches!(cells::interpret(&cell), Cell::Text)
        };
        if options.header.is_none() && counts_rows(cells.clone()) {
            return Err(row_numbers(name, line, 1));
        }
        let header = options
            .header
            .unwrap_or_else(|| cells.clone().enumerate().any(is_text) || counts_columns(cells.clone()));
        if header {
            return Self::named(name, line, cells.map(Cow::into_owned).collect(), options);
        }
        let Some(label) = &options.label else { return Ok(Self { names: vec![], label: None }) };
        let width = cells.count();
        match number.filter(|number| (1..=width).contains(number)) {
            Some(number) => Ok(Self { names: vec![], label: Some(number - 1) }),
            None => {
                let expected = format!("a number from 1 to {width}, as there is no header");
                let found = format!("`{}`", cells::excerpt(label));
                Err(Error::format(name, "column of labels", expected, found))
            }
        }
    }

    fn named(name: &str, line: u64, first: Vec<String>, options: &CsvOptions) -> Result<Self> {
        if let Some(index) = first.iter().position(String::is_empty) {
            return Err(row_numbers(name, line, index + 1));
        }
        let named = |wanted: &str| {
            let mut columns = (0..first.len()).filter(|&index| first[index].eq_ignore_ascii_case(wanted));
            (columns.next(), columns.next())
        };
        let (label, second) = named(options.label.as_deref().unwrap_or("label"));
        if let Some(second) = second {
            let found = format!("columns {} and {}", label.map_or(0, |index| index + 1), second + 1);
            return Err(Error::format(name, "column of labels", "one of this name", found));
        }
        if let (None, Some(wanted)) = (label, &options.label) {
            let list: Vec<_> = first.iter().take(10).map(|name| cells::excerpt(name)).collect();
            let found = format!("the columns {}", list.join(", "));
            let expected = format!("`{}`", cells::excerpt(wanted));
            return Err(Error::format(name, "column of labels", expected, found));
        }
        Ok(Self { names: first, label })
    }

    /// Says where a cell is.
    pub fn position(&self, line: u64, index: usize) -> String {
        let name = self.names.get(index).map(|name| format!(" ({})", cells::excerpt(name)));
        format!("line {line}, column {}{}", index + 1, name.unwrap_or_default())
    }
}

/// Returns whether the cells are 0, 1, 2, ... or 1, 2, 3, ..., the header that pandas gives to columns without names. A
/// header shorter than 3 could as well be a row of numbers.
fn counts_columns<'a>(mut cells: impl Iterator<Item = Cow<'a, str>> + Clone) -> bool {
    let width = cells.clone().count();
    let Some(first) = cells.clone().next().filter(|first| width >= 3 && ["0", "1"].contains(&&**first))
    else {
        return false;
    };
    let offset = usize::from(first == "1");
    (offset..).zip(&mut cells).all(|(number, cell)| *cell == *number.to_string())
}

/// Returns whether the first cell is blank and the others count columns, as in a table that pandas saved with its row
/// numbers.
fn counts_rows<'a>(mut cells: impl Iterator<Item = Cow<'a, str>> + Clone) -> bool {
    cells.next().is_some_and(|cell| cell.is_empty())
        && cells.clone().count() > 0
        && (0..).zip(&mut cells).all(|(number, cell): (usize, _)| *cell == *number.to_string())
}

fn row_numbers(name: &str, line: u64, column: usize) -> Error {
    let found = format!(
        "none at line {line}, column {column}; if these are row numbers of pandas, save with index=False"
    );
    Error::format(name, "name of a column", "text", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_found_outside_quotes() {
        for (start, expected) in [
            ("a,b\n1;2", b','),
            ("1,5;2,5\n", b';'),
            ("a\tb;c", b'\t'),
            ("\"a;b\",c\r\n", b','),
            ("\"a\n;\",b\n", b','),
            ("\n\n1;2", b';'),
            ("1\r2;3", b','),
            ("", b','),
        ] {
            assert_eq!(delimiter(start.as_bytes()), expected, "{start:?}");
        }
    }
}
