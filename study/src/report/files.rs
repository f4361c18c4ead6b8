//! The numbers of the report as files: CSV beside the page, and all of it as JSON.

use super::section::{Answer, Data, Section};
use crate::{
    cli::{Failure, files},
    sweep::Record,
};
use serde_json::{Map, Value, json as value};
use std::path::Path;

/// Writes one CSV file per table of numbers.
pub fn write_data(folder: &Path, section: &Section) -> Result<(), Failure> {
    section.data.iter().try_for_each(|data| {
        let rows = data.rows.iter().map(|row| row.iter().map(cell).collect());
        files::write_csv(&folder.join(data.name).with_extension("csv"), data.columns, rows)
    })
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns everything in the report: conditions, answers, numbers, and the record of each run.
pub fn json(
    conditions: &[(String, String)],
    warning: Option<&str>,
    sections: &[Section],
    records: &[Record],
) -> Value {
    let conditions: Map<String, Value> =
        conditions.iter().map(|(name, text)| (name.to_lowercase(), text.clone().into())).collect();
    let answers: Vec<&Answer> = sections.iter().flat_map(Section::answers).collect();
    let tables: Map<String, Value> = sections
        .iter()
        .flat_map(|section| &section.data)
        .map(|data| (data.name.to_owned(), objects(data)))
        .collect();
    value!({
        "conditions": conditions,
        "warning": warning,
        "answers": answers,
        "tables": tables,
        "runs": records,
    })
}

/// Returns one object per row.
fn objects(data: &Data) -> Value {
    let object = |row: &Vec<Value>| -> Map<String, Value> {
        data.columns.iter().map(|&column| column.to_owned()).zip(row.iter().cloned()).collect()
    };
    data.rows.iter().map(object).map(Value::Object).collect()
}
