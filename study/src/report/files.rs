//! The numbers of the report as files: CSV and JSON beside the page.

use super::{
    convergence::Warning,
    section::{Answer, Data, Section},
};
use crate::{
    cli::{Failure, files},
    sweep::Record,
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::Path;

/// Writes one CSV file per table of numbers.
pub fn write_data(folder: &Path, section: &Section) -> Result<(), Failure> {
    section.data.iter().try_for_each(|data| {
        let rows = data.rows.iter().map(|row| row.iter().map(cell).collect());
        files::write_csv(&folder.join(data.file()), data.columns, rows)
    })
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Everything in the report except its pictures, for `study.json`.
///
/// Runs are not converted to a [`Value`] first, because that would widen their settings to 64 bits: 0.1 would become
/// 0.10000000149011612.
#[derive(Serialize)]
pub struct Contents<'a> {
    provenance: Value,
    conditions: Map<String, Value>,
    warning: Option<String>,
    answers: Vec<&'a Answer>,
    tables: Map<String, Value>,
    runs: &'a [Record],
}

impl<'a> Contents<'a> {
    /// Collects the contents. `provenance` has the command and the versions.
    pub fn new(
        provenance: Value,
        conditions: &[(String, String)],
        warning: Option<&Warning>,
        sections: &'a [Section],
        runs: &'a [Record],
    ) -> Self {
        let tables = sections.iter().flat_map(|section| &section.data);
        Self {
            provenance,
            conditions: conditions
                .iter()
                .map(|(name, text)| (name.to_lowercase(), text.clone().into()))
                .collect(),
            warning: warning.map(Warning::text),
            answers: sections.iter().flat_map(Section::answers).collect(),
            tables: tables.map(|data| (data.name.to_owned(), objects(data))).collect(),
            runs,
        }
    }
}

/// Returns one object per row.
fn objects(data: &Data) -> Value {
    let object = |row: &Vec<Value>| -> Map<String, Value> {
        data.columns.iter().map(|&column| column.to_owned()).zip(row.iter().cloned()).collect()
    };
    data.rows.iter().map(object).map(Value::Object).collect()
}
