//! The latent space: test codes in two dimensions, walks, strongest directions, nearest neighbors.

use super::{
    lab::{Experiment, Lab, Set},
    layers,
};
use crate::{
    baseline::Pca,
    cli::{Failure, files},
    plots::{Chart, Curve, Mark},
    report::{Picture, Section},
    sweep::Record,
};
use autoencoder::{
    Autoencoder,
    ndarray::{Array1, Array2, ArrayView1, Axis, s},
};
use clap::Args;

/// Dots in the scatter plot of the codes.
const DOTS: usize = 2_000;
/// Test images whose nearest neighbors are compared by label.
const QUERIES: usize = 1_000;
const STEPS: usize = 10;
const DIRECTIONS: usize = 8;
const NEIGHBOURS: usize = 9;

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
            "The encoder ({}) has never seen a label. Where does it put the images in its code of width {}? Seed {}.",
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

        let variances = pca.variances();
        let share = |count: usize| {
            100.0 * variances.iter().take(count).sum::<f64>() / variances.sum().max(f64::MIN_POSITIVE)
        };
        if self.code > 1 {
            let flat = pca.project(codes.slice(s![..DOTS.min(codes.nrows()), ..]), 2)?;
            section.picture(self.scatter(lab, set, &flat, labels, share(2))?);
        }

        let places = files::places_of_classes(&set.test);
        let first = images.select(Axis(0), &places);
        let first_codes = model.encode(&first)?;
        self.walks(lab, set, model, &first_codes)?.into_iter().for_each(|picture| section.picture(picture));
        section.picture(self.directions(lab, set, model, &pca)?);

        let code_neighbours = nearest(&places, &codes);
        let mut rows = vec![first.clone()];
        for place in 0..NEIGHBOURS {
            let neighbours = code_neighbours.iter().filter_map(|found| found.get(place).copied());
            rows.push(images.select(Axis(0), &neighbours.collect::<Vec<_>>()));
        }
        let views: Vec<_> = rows.iter().map(|row| row.view()).filter(|row| row.nrows() > 0).collect();
        let caption = format!(
            "{}: one image per class at the top, and below it its nearest neighbors among the test images, by code.",
            set.title()
        );
        section.picture(lab.grid(&format!("{}-neighbours", set.name), &caption, set, &views)?);

        if !labels.is_empty() && images.nrows() > 1 {
            let queries: Vec<usize> = (0..QUERIES.min(images.nrows())).collect();
            let same = |rows: &Array2<f32>| {
                let found = nearest(&queries, rows);
                let hits =
                    queries.iter().zip(&found).filter(|(query, near)| labels[**query] == labels[near[0]]);
                100.0 * hits.count() as f64 / queries.len() as f64
            };
            let (by_code, by_pixel) = (same(&codes), same(&images));
            section.table(
                format!("{}: the code, measured on the test images", set.title()),
                &["metric", "value"],
                vec![
                    vec![
                        "variance along the first 2 directions of the code, %".to_owned(),
                        format!("{:.1}", share(2)),
                    ],
                    vec!["variance along the first 10, %".to_owned(), format!("{:.1}", share(10))],
                    vec![
                        "nearest neighbor by code has the same label, %".to_owned(),
                        format!("{by_code:.1}"),
                    ],
                    vec!["nearest neighbor by pixels has it, %".to_owned(), format!("{by_pixel:.1}")],
                ],
            );
            section.finding(format!(
                "{}: the nearest test image by code shows the same class in {by_code:.1} % of all cases, and the nearest by \
                 pixels in {by_pixel:.1} %.",
                set.title()
            ));
        }
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
        };
        let curves = if classes.is_empty() {
            let points = (0..flat.nrows()).map(point).collect();
            vec![Curve { label: "test images".to_owned(), points, mark: Mark::Dots }]
        } else {
            classes.iter().map(of).collect()
        };
        let chart = Chart {
            title: format!("Codes of {} test images, {}", flat.nrows(), set.title()),
            x_label: "first principal direction".to_owned(),
            y_label: "second principal direction".to_owned(),
            curves,
        };
        let caption = format!(
            "{}: test codes along their two strongest directions ({share:.0} % of the variance), colored by label.",
            set.title()
        );
        lab.chart(&format!("{}-codes", set.name), &caption, &chart)
    }

    /// Decodes equal steps from the code of one image to the code of an image of the next class.
    fn walks(
        &self,
        lab: &Lab,
        set: &Set,
        model: &Autoencoder,
        codes: &Array2<f32>,
    ) -> Result<Option<Picture>, Failure> {
        let mut rows = Vec::new();
        for pair in 0..codes.nrows() / 2 {
            let (from, to) = (codes.row(2 * pair), codes.row(2 * pair + 1));
            let share = |step: usize| step as f32 / (STEPS - 1) as f32;
            let code = |step: usize| &from * (1.0 - share(step)) + &to * share(step);
            rows.push(decoded(model, (0..STEPS).map(code))?);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
        let caption = format!(
            "{}: decoded straight lines through the latent space, each from an image of one class (left) to an image of \
             the next (right).",
            set.title()
        );
        lab.grid(&format!("{}-walks", set.name), &caption, set, &views).map(Some)
    }

    /// Decodes steps of one standard deviation from the mean code along the strongest directions.
    fn directions(&self, lab: &Lab, set: &Set, model: &Autoencoder, pca: &Pca) -> Result<Picture, Failure> {
        let mean = pca.mean().mapv(|m| m as f32);
        let mut rows = Vec::new();
        for direction in 0..DIRECTIONS.min(self.code) {
            let unit = pca.components().column(direction).mapv(|x| x as f32);
            let deviation = pca.variances()[direction].sqrt() as f32;
            rows.push(decoded(model, (-3..=3).map(|step| &mean + &unit * (step as f32 * deviation)))?);
        }
        let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
        let caption = format!(
            "{}: decoded steps of one standard deviation, from -3 to +3, from the mean code along its {} strongest \
             directions (strongest at the top).",
            set.title(),
            rows.len()
        );
        lab.grid(&format!("{}-directions", set.name), &caption, set, &views)
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
