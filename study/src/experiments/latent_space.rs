//! The latent space: test codes in two dimensions, walks, strongest directions, nearest neighbors.

use super::{
    lab::{Experiment, Lab, Set},
    layers, widened,
};
use crate::{
    baseline::Pca,
    cli::{Failure, files},
    plots::{Chart, Curve, Mark},
    report::{Data, Picture, Section, grouped},
    sweep::Record,
};
use autoencoder::{
    Autoencoder,
    ndarray::{Array1, Array2, ArrayView1, Axis, s},
};
use clap::Args;
use serde_json::Value;

/// Dots in the scatter plot of the codes.
const DOTS: usize = 2_000;
/// Test images whose nearest neighbors are compared by label.
const QUERIES: usize = 1_000;
const STEPS: usize = 10;
const DIRECTIONS: usize = 8;
const NEIGHBOURS: usize = 9;
/// Steps along a direction, in standard deviations.
const STEPS_ALONG: [i32; 7] = [-3, -2, -1, 0, 1, 2, 3];
const CLASSES: &str = "Does the code separate the classes better than the pixels do?";
const TIE: &str = "No clear difference.";

/// Explores the codes of test images.
#[derive(Debug, Clone, Args)]
pub struct LatentSpace {
    /// Widths of the encoder's hidden layers
    #[arg(long, value_delimiter = ',', num_args = 1, default_value = "512,256")]
    pub hidden: Vec<usize>,
    /// Width of the code
    #[arg(long, default_value_t = 30)]
    pub code: usize,
}

impl Experiment for LatentSpace {
    fn run(&self, lab: &Lab) -> Result<(Section, Vec<Record>), Failure> {
        let first_seed = |set: &Set| lab.flags.runs(&set.name, &self.hidden, self.code).next();
        let runs: Vec<_> = lab.sets.iter().filter_map(first_seed).collect();
        let records = lab.sweep(&runs, lab.sets)?;
        let mut section = Section::new("Latent space");
        section.text(format!(
            "The encoder ({}, code {}, seed {}) has never seen a label. Everything here uses the codes of the test images. The \
             nearest images are those at the smallest Euclidean distance, among all other test images.",
            layers(&self.hidden),
            self.code,
            lab.flags.first_seed()
        ));
        for set in lab.sets {
            if let Some(record) = records.iter().find(|record| record.run.dataset == set.name) {
                self.report(lab, set, &lab.model(record)?, &mut section)?;
            }
        }
        Ok((section, records))
    }
}

impl LatentSpace {
    fn report(
        &self,
        lab: &Lab,
        set: &Set,
        model: &Autoencoder,
        section: &mut Section,
    ) -> Result<(), Failure> {
        let images = set.test.to_array()?;
        let codes = model.encode(&images)?;
        let pca = Pca::fit(&codes)?;
        let labels = set.test.labels().unwrap_or_default();

        if !labels.is_empty() && images.nrows() > 1 {
            neighbors(set, labels, &codes, &images, section);
        }
        let variances = pca.variances();
        let share = |count: usize| {
            100.0 * variances.iter().take(count).sum::<f64>() / variances.sum().max(f64::MIN_POSITIVE)
        };
        if self.code > 1 {
            let flat = pca.project(codes.slice(s![..DOTS.min(codes.nrows()), ..]), 2)?;
            section.picture(self.scatter(lab, set, &flat, labels, share(2))?);
            let class =
                |image: usize| labels.get(image).map_or(Value::Null, |&label| set.class(label).into());
            let row = |(image, point): (usize, ArrayView1<f32>)| {
                vec![
                    set.name.clone().into(),
                    image.into(),
                    class(image),
                    widened(point[0]).into(),
                    widened(point[1]).into(),
                ]
            };
            section.data(Data {
                name: "codes",
                content: "coordinates of the test codes along their first two principal directions, as in the chart",
                columns: &["dataset", "image", "class", "first", "second"],
                rows: flat.outer_iter().enumerate().map(row).collect(),
            });
        }

        let places = files::places_of_classes(&set.test);
        let first = images.select(Axis(0), &places);
        let first_codes = model.encode(&first)?;
        let names: Vec<String> = places
            .iter()
            .map(|&place| labels.get(place).map_or_else(String::new, |&label| set.class(label)))
            .collect();
        self.walks(lab, set, model, &first_codes, &names)?
            .into_iter()
            .for_each(|picture| section.picture(picture));
        section.picture(self.directions(lab, set, model, &pca)?);

        let code_neighbors = nearest(&places, &codes);
        let mut rows = vec![("image".to_owned(), first.clone())];
        for place in 0..NEIGHBOURS {
            let neighbors = code_neighbors.iter().filter_map(|found| found.get(place).copied());
            rows.push((
                format!("nearest {}", place + 1),
                images.select(Axis(0), &neighbors.collect::<Vec<_>>()),
            ));
        }
        rows.retain(|row| row.1.nrows() > 0);
        let caption = set.caption(format!(
            "one image per class and its nearest by Euclidean distance of the codes, among all {} test images. Look for \
             neighbors of another class: these are the images that the code confuses.",
            grouped(images.nrows())
        ));
        section.picture(lab.grid(&format!("{}-neighbors", set.name), &caption, set, &rows)?);

        let mut total = 0.0;
        let row = |(direction, &variance): (usize, &f64)| {
            total += variance / variances.sum().max(f64::MIN_POSITIVE);
            vec![set.name.clone().into(), (direction + 1).into(), variance.into(), total.into()]
        };
        section.data(Data {
            name: "code_variance",
            content: "variance of the test codes along their principal directions",
            columns: &["dataset", "direction", "variance", "cumulative_fraction"],
            rows: variances.iter().enumerate().map(row).collect(),
        });
        Ok(())
    }

    fn scatter(
        &self,
        lab: &Lab,
        set: &Set,
        flat: &Array2<f32>,
        labels: &[u8],
        share: f64,
    ) -> Result<Picture, Failure> {
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        let point = |row: usize| (f64::from(flat[(row, 0)]), f64::from(flat[(row, 1)]));
        let of = |class: &u8| Curve {
            label: set.class(*class),
            points: (0..flat.nrows()).filter(|&row| labels[row] == *class).map(point).collect(),
            mark: Mark::Dots,
            ..Curve::default()
        };
        let curves = if classes.is_empty() {
            let points = (0..flat.nrows()).map(point).collect();
            vec![Curve { label: "test images".to_owned(), points, mark: Mark::Dots, ..Curve::default() }]
        } else {
            classes.iter().map(of).collect()
        };
        let chart = Chart {
            title: format!("Codes of {} test images, {}", grouped(flat.nrows()), set.title()),
            x_label: "first principal direction".to_owned(),
            y_label: "second principal direction".to_owned(),
            curves,
            ..Chart::default()
        };
        let caption = set.caption(format!(
            "test codes along their two strongest directions ({share:.0}% of the variance), colored by class. Look for classes \
             that lie apart; classes that overlap here may still be separate in the other directions."
        ));
        lab.chart(&format!("{}-codes", set.name), &caption, &chart)
    }

    /// Decodes equal steps from the code of one image to the code of an image of the next class.
    fn walks(
        &self,
        lab: &Lab,
        set: &Set,
        model: &Autoencoder,
        codes: &Array2<f32>,
        names: &[String],
    ) -> Result<Option<Picture>, Failure> {
        let mut rows = Vec::new();
        for pair in 0..codes.nrows() / 2 {
            let (from, to) = (codes.row(2 * pair), codes.row(2 * pair + 1));
            let share = |step: usize| step as f32 / (STEPS - 1) as f32;
            let code = |step: usize| &from * (1.0 - share(step)) + &to * share(step);
            let label = match [&names[2 * pair][..], &names[2 * pair + 1]] {
                ["", _] | [_, ""] => format!("walk {}", pair + 1),
                [from, to] => format!("{from} to {to}"),
            };
            rows.push((label, decoded(model, (0..STEPS).map(code))?));
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let caption = set.caption(
            "decoded straight lines through the latent space, from the code of one image to that of another. Look at the \
             middle: a clear image there means that the codes between the two classes are meaningful, a blend of both images \
             that they are not.",
        );
        lab.grid(&format!("{}-walks", set.name), &caption, set, &rows).map(Some)
    }

    /// Decodes steps of one standard deviation from the mean code along the strongest directions.
    fn directions(&self, lab: &Lab, set: &Set, model: &Autoencoder, pca: &Pca) -> Result<Picture, Failure> {
        let mean = pca.mean().mapv(|m| m as f32);
        let mut rows = Vec::new();
        for direction in 0..DIRECTIONS.min(self.code) {
            let unit = pca.components().column(direction).mapv(|x| x as f32);
            let deviation = pca.variances()[direction].sqrt() as f32;
            let steps = STEPS_ALONG.map(|step| &mean + &unit * (step as f32 * deviation));
            rows.push((format!("direction {}", direction + 1), decoded(model, steps.into_iter())?));
        }
        let caption = set.caption(format!(
            "decoded steps from the mean code along its {} strongest directions. Columns: offset in standard deviations. Look \
             for what changes along a row, such as slant, width or class.",
            rows.len()
        ));
        let picture = lab.grid(&format!("{}-directions", set.name), &caption, set, &rows)?;
        Ok(Picture { columns: STEPS_ALONG.map(|step| step.to_string()).into(), ..picture })
    }
}

/// Compares how often the nearest image has the same label, by code and by pixels.
fn neighbors(set: &Set, labels: &[u8], codes: &Array2<f32>, images: &Array2<f32>, section: &mut Section) {
    let queries: Vec<usize> = (0..QUERIES.min(images.nrows())).collect();
    let hits = |rows: &Array2<f32>| -> Vec<bool> {
        let found = nearest(&queries, rows);
        queries.iter().zip(&found).map(|(&query, near)| labels[query] == labels[near[0]]).collect()
    };
    let found = Neighbors::count(&hits(codes), &hits(images));
    let [code, pixels] =
        [found.by_code, found.by_pixels].map(|hits| 100.0 * hits as f64 / found.queries as f64);
    let rows = [("code", found.by_code, code), ("pixels", found.by_pixels, pixels)];
    let row = |&(space, hits, _): &(&str, usize, f64)| {
        vec![set.name.clone().into(), space.into(), hits.into(), found.queries.into()]
    };
    section.data(Data {
        name: "neighbors",
        content: "how often the nearest test image has the same label",
        columns: &["dataset", "nearest_by", "same_label", "queries"],
        rows: rows.iter().map(row).collect(),
    });
    section.answer(
        CLASSES,
        set.title(),
        format!(
            "{} For {code:.1}% of {} test images, the nearest of all {} by code (Euclidean distance) shows the same class; by \
             pixels it is {pixels:.1}%{}.",
            found.opening(),
            grouped(found.queries),
            grouped(images.nrows()),
            if found.opening() == TIE { ", which is within two standard errors" } else { "" }
        ),
    );
    section.table(
        set.caption("how often the nearest test image has the same label"),
        &["neighbors.csv"],
        &["nearest by", "same label, %"],
        rows.iter().map(|row| vec![row.0.to_owned(), format!("{:.1}", row.2)]).collect(),
    );
}

/// Numbers of queries whose nearest image has the same label.
struct Neighbors {
    queries: usize,
    by_code: usize,
    by_pixels: usize,
    /// Queries for which one of the two is right and the other is wrong.
    discordant: usize,
}

impl Neighbors {
    fn count(code: &[bool], pixels: &[bool]) -> Self {
        let count = |hits: &[bool]| hits.iter().filter(|&&hit| hit).count();
        let discordant = code.iter().zip(pixels).filter(|(code, pixels)| code != pixels).count();
        Self { queries: code.len(), by_code: count(code), by_pixels: count(pixels), discordant }
    }

    /// Returns the verdict. Under equal accuracy, the difference has a standard error of the root of the discordant queries
    /// (McNemar's test).
    fn opening(&self) -> &'static str {
        let difference = self.by_code as f64 - self.by_pixels as f64;
        match difference.abs() > 2.0 * (self.discordant as f64).sqrt() {
            true if difference > 0.0 => "Yes.",
            true => "No.",
            false => TIE,
        }
    }
}

fn decoded(model: &Autoencoder, codes: impl Iterator<Item = Array1<f32>>) -> Result<Array2<f32>, Failure> {
    let mut rows = Array2::zeros((0, model.code_width()));
    codes.for_each(|code| rows.push_row(code.view()).expect("a code is as wide as the model's"));
    Ok(model.decode(&rows)?)
}

/// Returns, for each of the given rows, the indices of its nearest other rows by Euclidean distance, nearest first.
fn nearest(places: &[usize], rows: &Array2<f32>) -> Vec<Vec<usize>> {
    let squares = rows.map_axis(Axis(1), |row| row.dot(&row));
    let products = rows.select(Axis(0), places).dot(&rows.t());
    let of = |(&place, products): (&usize, ArrayView1<f32>)| {
        let distances = &squares - &(&products * 2.0);
        let mut order: Vec<usize> = (0..rows.nrows()).filter(|&row| row != place).collect();
        let by_distance = |a: &usize, b: &usize| distances[*a].total_cmp(&distances[*b]).then(a.cmp(b));
        let kept = NEIGHBOURS.min(order.len());
        if kept < order.len() {
            order.select_nth_unstable_by(kept, by_distance);
        }
        order.truncate(kept);
        order.sort_by(by_distance);
        order
    };
    places.iter().zip(products.outer_iter()).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With 16 discordant queries, a difference counts from 9 on: two standard errors are 8.
    #[test]
    fn a_small_difference_between_code_and_pixels_is_no_difference() {
        let hits = |right: usize| (0..100).map(|query| query < right).collect::<Vec<_>>();
        assert_eq!(Neighbors::count(&hits(90), &hits(86)).opening(), TIE);
        assert_eq!(Neighbors::count(&hits(90), &hits(80)).opening(), "Yes.");
        assert_eq!(Neighbors::count(&hits(80), &hits(90)).opening(), "No.");
        let found = Neighbors { queries: 100, by_code: 58, by_pixels: 50, discordant: 16 };
        assert_eq!(found.opening(), TIE);
        assert_eq!(Neighbors { by_code: 59, ..found }.opening(), "Yes.");
    }
}
