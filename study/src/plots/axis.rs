//! An axis: from values to pixels, and its ticks.

use super::Scale;

/// Ticks that an axis aims for.
const TICKS: f64 = 6.0;
/// An axis with at most this many different values has its ticks at them.
const OWN_TICKS: usize = 6;

/// Values beyond this are drawn at it, so that differences do not overflow.
const HUGE: f64 = 1e300;

/// A range of values on a range of pixels.
pub struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    pixels: (f64, f64),
}

impl Axis {
    /// Returns an axis that shows all values, with a margin.
    pub fn new(scale: Scale, values: impl Iterator<Item = f64>, pixels: (f64, f64)) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.map(|value| forward(scale, value)) {
            (low, high) = (low.min(value), high.max(value));
        }
        let room = (0.08 * (high - low)).max(1e-9 * high.abs()).max(1e-12);
        Self { scale, low: low - room, high: high + room, pixels }
    }

    /// Returns the pixel of a value.
    pub fn pixel(&self, value: f64) -> f64 {
        let part = ((forward(self.scale, value) - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.pixels.0 + part * (self.pixels.1 - self.pixels.0)
    }

    /// Returns ticks at the values themselves if there are few, and otherwise at round values.
    pub fn ticks_at(&self, values: impl Iterator<Item = f64>, gap: f64) -> Vec<f64> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        if values.len() > OWN_TICKS {
            let whole = values.iter().all(|value| value.fract() == 0.0);
            return self.ticks(whole);
        }
        let mut kept: Vec<f64> = Vec::new();
        for value in values {
            if kept.last().is_none_or(|&last| self.pixel(value) - self.pixel(last) >= gap) {
                kept.push(value);
            }
        }
        kept
    }

    /// Returns ticks at round values, which are integers if `whole`.
    pub fn ticks(&self, whole: bool) -> Vec<f64> {
        if self.scale == Scale::Log {
            let decades = self.low.floor() as i32..=self.high.ceil() as i32;
            let steps: &[f64] = if self.high - self.low > 2.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let round = decades.flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)));
            let ticks: Vec<f64> = round.filter(|&tick| self.shows(tick)).collect();
            if ticks.len() >= 3 {
                return ticks;
            }
        }
        let (low, high) = (self.value(self.low), self.value(self.high));
        let rough = high / TICKS - low / TICKS;
        let power = 10_f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].into_iter().find(|step| step * power >= rough).unwrap_or(10.0) * power;
        let step = if whole { step.max(1.0) } else { step };
        let first = (low / step).ceil();
        let count = ((high / step).floor() - first).clamp(0.0, 2.0 * TICKS) as usize;
        (0..=count).map(|index| (first + index as f64) * step).filter(|&tick| self.shows(tick)).collect()
    }

    fn shows(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&forward(self.scale, value))
    }

    fn value(&self, position: f64) -> f64 {
        match self.scale {
            Scale::Linear => position,
            Scale::Log => 10_f64.powf(position),
        }
    }
}

fn forward(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value.clamp(-HUGE, HUGE),
        Scale::Log => value.log10(),
    }
}

/// Formats a number for an axis, without the noise of binary fractions.
pub fn tick(value: f64) -> String {
    let rounded = format!("{value:.6}").parse().unwrap_or(value);
    if value != 0.0 && !(1e-4..1e7).contains(&value.abs()) {
        let power = value.abs().log10().round();
        let digits = usize::from((value.abs() / 10_f64.powf(power) - 1.0).abs() > 1e-6);
        format!("{value:.digits$e}")
    } else {
        format!("{rounded}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_short() {
        for (value, text) in [
            (0.1 + 0.2, "0.3"),
            (-5.9, "-5.9"),
            (0.0, "0"),
            (20.0, "20"),
            (1e-5, "1e-5"),
            (f64::from(1e-7_f32), "1e-7"),
            (2.5e-5, "2.5e-5"),
        ] {
            assert_eq!(tick(value), text);
        }
    }

    #[test]
    fn epochs_have_ticks_at_integers_and_widths_at_themselves() {
        let axis = |last: usize| Axis::new(Scale::Linear, (1..=last).map(|epoch| epoch as f64), (0.0, 300.0));
        let ticks = |last: usize| axis(last).ticks_at((1..=last).map(|epoch| epoch as f64), 10.0);
        assert_eq!(ticks(2), [1.0, 2.0]);
        assert_eq!(ticks(10), [2.0, 4.0, 6.0, 8.0, 10.0]);
        assert!(ticks(7).iter().all(|tick| tick.fract() == 0.0));
        let widths = [15.0, 30.0, 50.0, 100.0];
        let axis = Axis::new(Scale::Linear, widths.into_iter(), (0.0, 300.0));
        assert_eq!(axis.ticks_at(widths.into_iter(), 28.0), widths);
        assert_eq!(axis.ticks_at(widths.into_iter(), 60.0), [15.0, 50.0, 100.0]);
    }

    #[test]
    fn logarithmic_ticks_are_decades_or_their_parts() {
        let ticks =
            |low: f64, high: f64| Axis::new(Scale::Log, [low, high].into_iter(), (0.0, 1.0)).ticks(false);
        assert_eq!(ticks(1e-7, 1e-4).len(), 4);
        assert_eq!(ticks(0.01, 0.1), [0.01, 0.02, 0.05, 0.1]);
        let narrow = ticks(0.0051, 0.0079);
        assert!(narrow.len() >= 3 && narrow.iter().all(|tick| (0.005..0.0082).contains(tick)), "{narrow:?}");
    }
}
