//! The report as a single HTML file, with inlined pictures and without scripts.

use super::{
    convergence::Warning,
    grid,
    section::{Answer, Block, Picture, Section, Table, several},
};
use crate::cli::{Failure, files};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

/// The whole report.
pub struct Report {
    pub title: String,
    /// Name and value of each condition of the runs.
    pub conditions: Vec<(String, String)>,
    pub warning: Option<Warning>,
    pub sections: Vec<Section>,
}

impl Report {
    /// Returns the questions in the order of the sections, each with its section and answers.
    fn questions(&self) -> Vec<(&str, usize, Vec<&Answer>)> {
        let mut questions: Vec<(&str, usize, Vec<&Answer>)> = Vec::new();
        for (index, section) in self.sections.iter().enumerate() {
            for answer in section.answers() {
                match questions.iter_mut().find(|question| question.0 == answer.question) {
                    Some(question) => question.2.push(answer),
                    None => questions.push((&answer.question, index, vec![answer])),
                }
            }
        }
        questions
    }

    /// Returns whether the answers are about several data sets.
    fn is_of_several(&self) -> bool {
        several(self.sections.iter().flat_map(Section::answers))
    }

    /// Returns the page.
    pub fn html(&self) -> Result<String, Failure> {
        let named = self.is_of_several();
        let bodies =
            self.sections.iter().map(|section| body(section, named)).collect::<Result<Vec<_>, _>>()?;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (self.title) }
                    dl.conditions { @for (name, value) in &self.conditions { dt { (name) } dd { (code(value)) } } }
                    @if let Some(warning) = &self.warning { div.warning role="note" {
                        p { strong { "Warning. " (warning.verdict) } }
                        ul { @for reason in &warning.reasons { li { (reason) } } }
                        p { (code(&warning.remedy)) }
                    } }
                    h2 id="answers" { "Answers" }
                    div.answers { @for (question, section, answers) in self.questions() { div {
                        h3 { a href=(format!("#section-{section}")) { (question) } }
                        @for answer in answers { (sentence(answer, named)) }
                    } } }
                    nav aria-label="Contents" { ol { @for (index, section) in self.sections.iter().enumerate() {
                        li { a href=(format!("#section-{index}")) { (section.title) } }
                    } } }
                    @for (index, (section, body)) in self.sections.iter().zip(bodies).enumerate() {
                        h2 id=(format!("section-{index}")) { (section.title) }
                        (body)
                    }
                }
            }
        };
        Ok(page.into_string())
    }

    /// Returns the report without pictures as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        for (name, value) in &self.conditions {
            text += &format!("- {name}: {value}\n");
        }
        if let Some(warning) = &self.warning {
            text += &format!("\n**Warning:** {}\n", warning.text());
        }
        text += "\n## Answers\n";
        for (question, _, answers) in self.questions() {
            text += &format!("\n{question}\n\n");
            for answer in answers {
                if self.is_of_several() {
                    text += &format!("- {}: {}\n", answer.dataset, answer.text);
                } else {
                    text += &format!("{}\n", answer.text);
                }
            }
        }
        for section in &self.sections {
            text += &format!("\n{}", section.markdown(2));
        }
        text
    }
}

fn body(section: &Section, named: bool) -> Result<Markup, Failure> {
    let mut parts = Vec::new();
    // Consecutive pictures are beside each other where there is room.
    for run in section.blocks.chunk_by(|a, b| is_picture(a) && is_picture(b)) {
        let blocks = run.iter().map(|one| block(one, named)).collect::<Result<Vec<_>, _>>()?;
        parts.push(match run.first().is_some_and(is_picture) {
            true => html! { div.pictures { @for block in blocks { (block) } } },
            false => html! { @for block in blocks { (block) } },
        });
    }
    Ok(html! { @for part in parts { (part) } })
}

fn is_picture(block: &Block) -> bool {
    matches!(block, Block::Picture(_))
}

fn block(block: &Block, named: bool) -> Result<Markup, Failure> {
    Ok(match block {
        Block::Text(text) => html! { p { (code(text)) } },
        Block::List(items) => html! { ol { @for item in items { li { (code(item)) } } } },
        Block::Terminal(lines) => html! { pre { code { (lines) } } },
        Block::Files(files) => {
            html! { ul { @for (name, content) in files { li { (link(name)) ": " (content) } } } }
        }
        Block::Answer(answer) => {
            html! { div.answer { p.question { (answer.question) } (sentence(answer, named)) } }
        }
        Block::Table(table) => self::table(table),
        Block::Picture(picture) => figure(picture)?,
    })
}

/// Links to a file beside the page.
fn link(name: &str) -> Markup {
    html! { a href=(name) { (name) } }
}

/// Shows an answer with its verdict in bold, and its data set if `named`.
fn sentence(answer: &Answer, named: bool) -> Markup {
    let (verdict, rest) =
        answer.text.split_at(answer.text.find(". ").map_or(answer.text.len(), |end| end + 1));
    html! { p { @if named { span.dataset { (answer.dataset) ":" } " " } strong { (verdict) } (code(rest)) } }
}

/// Renders the parts between backticks as code.
fn code(text: &str) -> Markup {
    html! { @for (index, part) in text.split('`').enumerate() {
        @if index % 2 == 1 { code { (part) } } @else { (part) }
    } }
}

fn table(table: &Table) -> Markup {
    let numeric: Vec<bool> = (0..table.columns.len()).map(|column| table.is_numeric(column)).collect();
    let class = |column: usize| numeric.get(column).is_some_and(|&numeric| numeric).then_some("number");
    html! {
        p.caption { (table.caption)
            @if !table.files.is_empty() { span.files { @for name in table.files { " " (link(name)) } } }
        }
        div.table tabindex="0" role="region" aria-label=(table.caption) { table {
            thead { tr { @for (index, column) in table.columns.iter().enumerate() {
                th scope="col" class=[class(index)] { (column) }
            } } }
            tbody { @for row in &table.rows { tr { @for (index, cell) in row.iter().enumerate() {
                td class=[class(index)] { (cell) }
            } } } }
        } }
    }
}

fn figure(picture: &Picture) -> Result<Markup, Failure> {
    let bytes = files::read(&picture.path)?;
    let image = match picture.path.extension().is_some_and(|extension| extension == "svg") {
        true => String::from_utf8_lossy(&bytes).into_owned(),
        false => grid::svg(&bytes, &picture.caption, &picture.rows, &picture.columns),
    };
    Ok(html! { figure { (PreEscaped(image)) figcaption { (picture.caption) } } })
}
