//! The meaning of one cell.

/// A cell as a number.
pub(super) enum Cell {
    Number(f32),
    Missing,
    /// Numbers as people write them, but not programs, and what to do.
    Odd(&'static str),
    Text,
}

/// Interprets a cell without spaces around it.
pub(super) fn interpret(cell: &str) -> Cell {
    const MISSING: [&str; 9] = ["", "nan", "na", "n/a", "#n/a", "null", "none", "?", "-"];
    if MISSING.iter().any(|word| cell.eq_ignore_ascii_case(word)) || cell.eq_ignore_ascii_case("-nan") {
        return Cell::Missing;
    }
    match cell.parse::<f32>() {
        Ok(number) if number.is_finite() => Cell::Number(number),
        Ok(_) => Cell::Odd("replace infinite values, or numbers beyond the range of f32"),
        Err(_) => odd(cell),
    }
}

fn odd(cell: &str) -> Cell {
    let numeric = |cell: &str| cell.parse::<f32>().is_ok();
    if cell.contains(',') && numeric(&cell.replace('.', "").replace(',', "."))
        || numeric(&cell.replace(',', ""))
    {
        return Cell::Odd("write a decimal point, and no commas");
    }
    if cell.strip_suffix('%').is_some_and(|number| numeric(number.trim())) {
        return Cell::Odd("write fractions instead of percentages");
    }
    if cell.contains(' ') && cell.split(' ').filter(|part| !part.is_empty()).all(numeric) {
        return Cell::Odd("separate the cells by commas; NumPy's savetxt does so with delimiter=\",\"");
    }
    Cell::Text
}

/// The beginning of a cell, for errors.
pub(super) fn excerpt(cell: &str) -> String {
    let mut start: String = cell.chars().take(40).collect();
    if start.len() < cell.len() {
        start.push_str("...");
    }
    start
}
