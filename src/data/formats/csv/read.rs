use super::{
    CsvOptions, Table,
    cells::{self, Cell},
    first_line::{self, Columns},
};
use crate::{
    error::{Error, Result},
    files::{content, gzip, memory},
};
use ::csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use ndarray::Array2;
use std::{
    borrow::Cow,
    io::{self, Read},
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const PADDED: &str = "; the file has zero bytes (NUL), perhaps padding; remove them, or fetch the file again";
/// Bytes in which to look for the delimiter.
const START: usize = 1 << 16;

pub(super) fn table(stream: impl Read, name: &str, options: &CsvOptions) -> Result<Table> {
    let mut stream = gzip::decompressed(stream).map_err(|error| stream_error(name, error))?;
    let start = memory::read(&mut stream, START).map_err(|error| stream_error(name, error))?;
    if let Some(found) = another_format(&start) {
        return Err(Error::format(name, "content", "a CSV table", found));
    }
    let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&start);
    let stated = first_line::stated_delimiter(start);
    let (skipped, start) = stated.map_or((0, start), |(_, rest)| (1, rest));
    let delimiter = options.delimiter.or(stated.map(|(delimiter, _)| delimiter));
    let delimiter = delimiter.unwrap_or_else(|| first_line::delimiter(start));
    if matches!(delimiter, b'"' | b'\n' | b'\r') {
        let expected = "a byte other than a quote or the end of a line";
        return Err(Error::setting("delimiter", char::from(delimiter), expected));
    }
    let reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(start.chain(stream));
    rows(&mut Records { reader, record: ByteRecord::new(), name, skipped }, options)
}

fn rows<R: Read>(records: &mut Records<R>, options: &CsvOptions) -> Result<Table> {
    let name = records.name;
    let Some(first) = records.next()? else {
        return Err(Error::format(name, "table", "rows", "blank lines only"));
    };
    // Some programs write a separator behind the last cell, too.
    let trailing = records.ends_empty() && records.cells().any(|cell| !cell.is_empty());
    if trailing {
        records.trim_end();
    }
    let columns = Columns::new(name, first, records.cells(), options)?;
    let width = records.record.len();
    let mut numbers = vec![];
    let mut labels = vec![];
    let mut next = if columns.names.is_empty() { Some(first) } else { records.next()? };
    let mut rows = 0;
    let mut blank = None;
    while let Some(line) = next {
        if trailing && line != first {
            records.trim_end();
        }
        if width > 1 && records.cells().all(|cell| cell.is_empty()) {
            // Excel writes such lines at the end.
            blank = blank.or(Some(line));
            next = records.next()?;
            continue;
        }
        if let Some(line) = blank {
            number(name, &columns, line, 0, "")?;
        }
        if records.record.len() != width {
            let expected = format!("{width}, as in line {first}");
            let found = format!("{} in line {line}{}", records.record.len(), records.defect());
            return Err(Error::format(name, "number of cells", expected, found));
        }
        for (index, cell) in records.cells().enumerate() {
            if columns.label == Some(index) {
                labels.push(label(name, &columns, line, index, &cell)?);
            } else {
                numbers.push(number(name, &columns, line, index, &cell)?);
            }
        }
        rows += 1;
        next = records.next()?;
    }
    if rows == 0 {
        let counts =
            !columns.names.is_empty() && columns.names.iter().all(|name| name.parse::<u32>().is_ok());
        let remedy = if counts { "; a first line of 0, 1, 2, ... or 1, 2, 3, ... is a header" } else { "" };
        let found = format!("none{remedy}");
        return Err(Error::format(name, "table", "rows below the header", found));
    }
    let mut names = columns.names;
    if let Some(label) = columns.label.filter(|_| !names.is_empty()) {
        names.remove(label);
    }
    let features = width - usize::from(columns.label.is_some());
    if features == 0 {
        return Err(Error::format(name, "table", "columns of numbers", "a column of labels only"));
    }
    let rows = Array2::from_shape_vec((rows, features), numbers)
        .map_err(|error| Error::format(name, "table", "a size that fits in memory", error))?;
    Ok(Table { name: name.to_owned(), rows, columns: names, labels: columns.label.map(|_| labels) })
}

/// Names the format of a text that is no table.
fn another_format(start: &[u8]) -> Option<&'static str> {
    let start = &start[..start.len().min(content::START)];
    match content::describe(start) {
        Some(content::TEXT | content::TABLE) => None,
        None if has_zeros_only_behind_text(start) => Some(
            "text with zero bytes (NUL) behind it, perhaps padding; remove them, or fetch the file again",
        ),
        None if start.contains(&0) => Some("binary data, or text in UTF-16; save it as UTF-8"),
        found => found,
    }
}

fn has_zeros_only_behind_text(start: &[u8]) -> bool {
    let text = start.iter().position(|&byte| byte == 0).unwrap_or(start.len());
    text > 0 && text < start.len() && start[text..].iter().all(|&byte| byte == 0)
}

fn number(name: &str, columns: &Columns, line: u64, index: usize, cell: &str) -> Result<f32> {
    let remedy = match cells::interpret(cell) {
        Cell::Number(number) => return Ok(number),
        Cell::Missing => "; fill or drop missing values first",
        Cell::Odd(remedy) => &format!("; {remedy}"),
        Cell::Text if cell.contains('\0') => PADDED,
        Cell::Text if cell.contains('\n') => "; is a quote not closed?",
        Cell::Text if columns.label.is_none() => "; if these are labels, name their column",
        Cell::Text => "",
    };
    let found = format!("`{}` at {}{remedy}", cells::excerpt(cell), columns.position(line, index));
    Err(Error::format(name, "cell", "a finite number", found))
}

fn label(name: &str, columns: &Columns, line: u64, index: usize, cell: &str) -> Result<String> {
    if matches!(cells::interpret(cell), Cell::Missing) {
        let found =
            format!("`{cell}` at {}; fill or drop missing values first", columns.position(line, index));
        return Err(Error::format(name, "label", "text", found));
    }
    Ok(cell.to_owned())
}

/// The lines of a table.
struct Records<'a, R> {
    reader: Reader<R>,
    record: ByteRecord,
    name: &'a str,
    /// Lines before those of the reader.
    skipped: u64,
}

impl<R: Read> Records<'_, R> {
    /// Reads the next line that is not blank and returns its number, from 1.
    fn next(&mut self) -> Result<Option<u64>> {
        let more = self.reader.read_byte_record(&mut self.record).map_err(|error| {
            let text = error.to_string();
            match error.into_kind() {
                ErrorKind::Io(cause) => stream_error(self.name, cause),
                _ => Error::format(self.name, "table", "CSV", text),
            }
        })?;
        if self.record.get(0).is_some_and(|cell| cell.len() > 1 && cell.starts_with(b"#")) {
            let remedy = "remove the lines with `#`, or save by numpy.savetxt(comments=\"\")";
            let found = format!("a comment in line {}; {remedy}", self.line());
            return Err(Error::format(self.name, "table", "cells", found));
        }
        Ok(more.then(|| self.line()))
    }

    fn line(&self) -> u64 {
        self.skipped + self.record.position().map_or(1, ::csv::Position::line)
    }

    /// Removes an empty last cell.
    fn trim_end(&mut self) {
        if self.ends_empty() {
            self.record.truncate(self.record.len() - 1);
        }
    }

    /// Returns whether the line ends with a separator.
    fn ends_empty(&self) -> bool {
        self.record.len() > 1 && self.cells().last().is_some_and(|cell| cell.is_empty())
    }

    fn cells(&self) -> impl Iterator<Item = Cow<'_, str>> + Clone {
        self.record.iter().map(|cell| String::from_utf8_lossy(cell.trim_ascii()))
    }

    /// Says why a line may have another number of cells.
    fn defect(&self) -> &'static str {
        if self.record.iter().any(|cell| cell.contains(&0)) {
            PADDED
        } else if self.record.iter().any(|cell| cell.contains(&b'\n')) {
            "; is a quote not closed?"
        } else {
            ""
        }
    }
}

fn stream_error(name: &str, cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::InvalidData => Error::format(name, "content", "sound gzip", cause),
        _ => Error::Io { path: name.into(), cause },
    }
}
