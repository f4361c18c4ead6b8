//! The report as a single HTML file, with inlined pictures and without scripts.

use super::section::{Block, Picture, Section, Table};
use crate::cli::{Failure, files};
use base64::{Engine, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 17px/1.55 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 46rem;
  margin: 0 auto; padding: 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .5rem; border-top: 1px solid #ccc; padding-top: 1.2rem; }
nav ol { padding-left: 1.4rem; }
a { color: #0057a3; }
.caption { font-size: .88rem; font-weight: 600; margin: 1.4rem 0 .3rem; break-after: avoid; }
.table { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
td { white-space: nowrap; }
th, td { padding: .25rem .7rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #e2e2e2; }
th { border-bottom: 2px solid #888; }
figure { margin: 1.5rem 0; break-inside: avoid; }
figure svg, figure img { display: block; max-width: 100%; height: auto; }
figure img { image-rendering: pixelated; }
figcaption { font-size: .88rem; color: #444; margin-top: .4rem; }
.finding { border-left: 4px solid #0072b2; padding: .1rem 0 .1rem .8rem; margin: .7rem 0; }
code { font-size: .88em; background: #f2f2f2; padding: .1em .3em; overflow-wrap: anywhere; }
@media print { body { max-width: none; font-size: 10.5pt; padding: 0; } h2 { break-after: avoid; }
  .table { overflow: visible; } tr { break-inside: avoid; } }
";

/// Returns the page with a title and sections.
pub fn page(title: &str, sections: &[Section]) -> Result<String, Failure> {
    let mut bodies = Vec::new();
    for section in sections {
        bodies.push(section.blocks.iter().map(block).collect::<Result<Vec<_>, _>>()?);
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                nav { ol { @for (index, section) in sections.iter().enumerate() {
                    li { a href=(format!("#section-{index}")) { (section.title) } }
                } } }
                @for (index, (section, blocks)) in sections.iter().zip(bodies).enumerate() {
                    h2 id=(format!("section-{index}")) { (section.title) }
                    @for block in blocks { (block) }
                }
            }
        }
    };
    Ok(page.into_string())
}

fn block(block: &Block) -> Result<Markup, Failure> {
    Ok(match block {
        Block::Text(text) => html! { p { (code(text)) } },
        Block::Finding(text) => html! { p.finding { (text) } },
        Block::Table(table) => self::table(table),
        Block::Picture(picture) => figure(picture)?,
    })
}

/// Renders the parts between backticks as code.
fn code(text: &str) -> Markup {
    html! { @for (index, part) in text.split('`').enumerate() {
        @if index % 2 == 1 { code { (part) } } @else { (part) }
    } }
}

fn table(table: &Table) -> Markup {
    html! {
        p.caption { (table.caption) }
        div.table { table {
            thead { tr { @for column in &table.columns { th { (column) } } } }
            tbody { @for row in &table.rows { tr { @for cell in row { td { (cell) } } } } }
        } }
    }
}

fn figure(picture: &Picture) -> Result<Markup, Failure> {
    let bytes = files::read(&picture.path)?;
    let image = match picture.path.extension().is_some_and(|extension| extension == "svg") {
        true => html! { (PreEscaped(String::from_utf8_lossy(&bytes))) },
        false => {
            let source = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(&bytes));
            html! { img src=(source) alt=(picture.caption); }
        }
    };
    Ok(html! { figure { (image) figcaption { (picture.caption) } } })
}
