//! Handwritten-looking digits like MNIST's, drawn procedurally.

use std::f32::consts::TAU;

use rand::Rng;
use rand_distr::StandardNormal;

/// Width and height of an image, in pixels.
pub const SIDE: usize = 28;

/// Coordinate of the middle of an image.
const MIDDLE: f32 = (SIDE - 1) as f32 / 2.0;
/// Width of the gray ramp from ink to background, in pixels.
const EDGE: f32 = 1.1;
/// Line segments drawn for each span between two control points.
const STEPS: usize = 8;
/// Waves summed in the displacement field.
const WAVES: usize = 6;

/// A pen stroke: control points (x, y) in hundredths of the digit's height, y downwards.
///
/// A point given twice is a corner.
type Stroke = &'static [[u8; 2]];
/// The strokes of one way to write a digit.
type Skeleton = &'static [Stroke];

/// The ways to write each digit, all equally likely.
#[rustfmt::skip]
const SKELETONS: [&[Skeleton]; 10] = [
    &[ // 0
        &[&[[44, 2], [18, 13], [3, 48], [12, 84], [38, 98], [64, 84], [74, 50], [62, 14], [38, 3]]],
        &[&[[54, 14], [28, 4], [8, 32], [6, 68], [24, 96], [48, 86], [60, 52], [56, 20], [34, 4]]],
        &[&[[28, 6], [8, 26], [4, 60], [20, 90], [48, 96], [70, 72], [70, 34], [50, 8], [20, 10]]],
    ],
    &[ // 1
        &[&[[30, 0], [30, 33], [30, 66], [30, 100]]],
        &[&[[38, 0], [36, 33], [31, 66], [22, 100]]],
        &[&[[34, 0], [28, 33], [26, 66], [28, 100]]],
        &[&[[14, 24], [26, 14], [36, 0], [36, 0], [35, 33], [34, 66], [33, 100]]],
        &[&[[10, 22], [24, 14], [34, 0], [34, 0], [34, 33], [33, 66], [33, 98]],
          &[[6, 99], [34, 98], [62, 98]]],
    ],
    &[ // 2
        &[&[[8, 22], [28, 2], [54, 10], [55, 36], [34, 68], [5, 96], [5, 96], [36, 94], [74, 97]]],
        &[&[[8, 20], [30, 2], [54, 10], [54, 36], [38, 68], [16, 95], [0, 88], [8, 68], [36, 78],
           [56, 95], [82, 86]]],
        &[&[[6, 16], [34, 0], [60, 14], [54, 42], [30, 70], [6, 92], [6, 92], [36, 84], [58, 96],
           [82, 92]]],
    ],
    &[ // 3
        &[&[[8, 12], [32, 1], [56, 14], [46, 38], [22, 46], [22, 46], [52, 54], [62, 76],
           [40, 97], [4, 90]]],
        &[&[[10, 8], [38, 0], [58, 16], [44, 40], [24, 47], [30, 42], [56, 56], [58, 82],
           [34, 99], [2, 86]]],
        &[&[[6, 6], [32, 4], [60, 2], [60, 2], [44, 22], [26, 40], [26, 40], [56, 50], [62, 76],
           [38, 98], [4, 92]]],
    ],
    &[ // 4
        &[&[[12, 4], [8, 28], [5, 52], [5, 52], [34, 53], [68, 47]],
          &[[60, 0], [55, 50], [50, 100]]],
        &[&[[46, 0], [26, 30], [2, 60], [2, 60], [36, 61], [74, 58]],
          &[[48, 2], [47, 50], [46, 100]]],
        &[&[[8, 6], [4, 36], [20, 50], [42, 44], [56, 24]],
          &[[64, 0], [55, 50], [46, 100]]],
    ],
    &[ // 5
        &[&[[16, 3], [14, 22], [11, 43], [11, 43], [36, 38], [57, 58], [50, 86], [26, 99], [2, 90]],
          &[[15, 4], [40, 4], [68, 1]]],
        &[&[[68, 2], [46, 4], [24, 5], [24, 5], [17, 24], [12, 42], [12, 42], [38, 42], [56, 62],
           [48, 88], [22, 98], [0, 88]]],
        &[&[[74, 2], [48, 4], [26, 12], [18, 34], [36, 48], [52, 66], [44, 90], [22, 98], [2, 88]]],
    ],
    &[ // 6
        &[&[[52, 0], [24, 24], [6, 58], [12, 90], [36, 98], [56, 80], [46, 60], [26, 60],
           [10, 78]]],
        &[&[[34, 0], [18, 36], [10, 70], [20, 97], [46, 94], [54, 76], [36, 64], [2, 84]]],
        &[&[[60, 4], [30, 12], [9, 42], [7, 78], [30, 98], [58, 86], [60, 64], [38, 52], [10, 70]]],
    ],
    &[ // 7
        &[&[[4, 8], [32, 6], [62, 4], [62, 4], [48, 34], [36, 66], [28, 100]]],
        &[&[[4, 10], [32, 7], [60, 4], [60, 4], [46, 34], [36, 66], [30, 100]],
          &[[16, 52], [40, 50], [64, 48]]],
        &[&[[4, 22], [8, 6], [8, 6], [36, 6], [62, 6], [62, 6], [44, 34], [34, 66], [32, 100]]],
        &[&[[2, 14], [22, 4], [46, 3], [60, 12], [52, 38], [40, 68], [30, 100]]],
    ],
    &[ // 8
        &[&[[58, 14], [36, 1], [14, 15], [26, 42], [50, 66], [46, 92], [22, 98], [6, 80], [22, 58],
           [46, 36], [70, 4]]],
        &[&[[32, 2], [10, 14], [16, 38], [44, 56], [54, 80], [32, 99], [8, 84], [18, 60],
           [46, 42], [52, 16], [30, 2]]],
        &[&[[32, 46], [12, 28], [24, 4], [48, 5], [52, 28], [30, 50], [8, 74], [22, 98], [48, 96],
           [56, 70], [32, 46]]],
    ],
    &[ // 9
        &[&[[54, 16], [32, 2], [8, 18], [10, 42], [34, 46], [54, 18], [54, 18], [52, 46],
           [49, 72], [46, 100]]],
        &[&[[54, 12], [30, 2], [6, 20], [14, 44], [40, 40], [55, 12], [55, 12], [57, 42],
           [54, 72], [38, 95], [10, 96]]],
        &[&[[52, 14], [32, 3], [10, 22], [14, 44], [38, 40], [56, 12], [50, 40], [38, 70],
           [24, 100]]],
    ],
];

/// A point on a stroke: x, y and half the stroke's width.
type Point = [f32; 3];

/// Draws one digit in white ink on black, as MNIST does: fitted to a box of about 20x20 pixels,
/// with its center of mass in the center of the image.
///
/// `class` is taken modulo 10. The same state of `rng` gives the same image.
pub fn draw(class: u8, rng: &mut impl Rng) -> [u8; SIDE * SIDE] {
    let variants = SKELETONS[usize::from(class % 10)];
    let skeleton = variants[rng.random_range(0..variants.len())];
    let hand = Hand::sample(rng);
    let mut strokes: Vec<Vec<Point>> =
        skeleton.iter().map(|stroke| spline(&hand.write(stroke, rng))).collect();
    fit(&mut strokes, rng.random_range(18.5..20.5));
    let intensity = rng.random_range(0.95..1.15);
    // Where strokes overlap, the center of mass is known only once they are drawn.
    let image = render(&strokes, intensity);
    center(&mut strokes, &image);
    render(&strokes, intensity)
}

/// The handwriting of one image: what varies whatever the digit.
struct Hand {
    /// The linear map of slant, rotation and aspect, by rows.
    linear: [[f32; 2]; 2],
    /// The displacement field, as plane waves: wave vector, phase and amplitude.
    waves: [([f32; 2], f32, [f32; 2]); WAVES],
    /// Half the stroke width, in pixels.
    radius: f32,
}

impl Hand {
    fn sample(rng: &mut impl Rng) -> Self {
        let slant = 0.12 + normal(rng, 0.22);
        let (sin, cos) = normal(rng, 0.10).sin_cos();
        let aspect = (0.08 + normal(rng, 0.2)).exp();
        Self {
            // Widened, then sheared, then rotated.
            linear: [[cos * aspect, -cos * slant - sin], [sin * aspect, cos - sin * slant]],
            waves: std::array::from_fn(|_| {
                let vector = [normal(rng, 2.3), normal(rng, 2.3)];
                let amplitude = [normal(rng, 0.048), normal(rng, 0.048)];
                (vector, rng.random_range(0.0..TAU), amplitude)
            }),
            radius: (1.25 + normal(rng, 0.33)).clamp(0.65, 2.0),
        }
    }

    /// Moves a point by a smooth random displacement field.
    fn warp(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (mut u, mut v) = (x, y);
        for ([kx, ky], phase, [ax, ay]) in self.waves {
            let wave = (kx * x + ky * y + phase).sin();
            u += ax * wave;
            v += ay * wave;
        }
        [u, v]
    }

    /// The control points of `stroke` in this hand.
    fn write(&self, stroke: Stroke, rng: &mut impl Rng) -> Vec<Point> {
        let mut jitter = [0.0; 3];
        let mut previous = None;
        stroke
            .iter()
            .map(|control| {
                // Neighbors move together, so that curves stay smooth; corners stay one point.
                if previous != Some(control) {
                    jitter = jitter.map(|j| 0.8 * j + normal(rng, 0.6));
                }
                previous = Some(control);
                let [x, y] = self.warp(control.map(|c| f32::from(c) / 100.0));
                let (x, y) = (x + 0.028 * jitter[0], y + 0.028 * jitter[1]);
                let [[a, b], [c, d]] = self.linear;
                let pressure = (1.0 + 0.1 * jitter[2]).clamp(0.6, 1.4);
                [a * x + b * y, c * x + d * y, self.radius * pressure]
            })
            .collect()
    }
}

/// A normal deviate with mean 0.
fn normal(rng: &mut impl Rng, deviation: f32) -> f32 {
    deviation * rng.sample::<f32, _>(StandardNormal)
}

/// The Catmull-Rom spline through `controls`, as a polyline.
fn spline(controls: &[Point]) -> Vec<Point> {
    let mut line = Vec::with_capacity(controls.len() * STEPS);
    line.extend(controls.first());
    for (i, span) in controls.windows(2).enumerate() {
        let (p, q) = (span[0], span[1]);
        if p == q {
            continue;
        }
        let before = controls[i.saturating_sub(1)];
        let after = controls[(i + 2).min(controls.len() - 1)];
        for step in 1..=STEPS {
            let t = step as f32 / STEPS as f32;
            line.push(std::array::from_fn(|k| {
                // Hermite form: the tangents m at p and n at q.
                let m = (q[k] - before[k]) / 2.0;
                let n = (after[k] - p[k]) / 2.0;
                let chord = q[k] - p[k];
                let cubic = m + n - 2.0 * chord;
                let square = 3.0 * chord - 2.0 * m - n;
                ((cubic * t + square) * t + m) * t + p[k]
            }));
        }
    }
    line
}

/// Scales the strokes until their longer side, ink included, is `long_side` pixels, and moves
/// their bounding box to the center of the image.
fn fit(strokes: &mut [Vec<Point>], long_side: f32) {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    let mut radius = 0.0;
    for point in strokes.iter().flatten() {
        for k in 0..2 {
            low[k] = low[k].min(point[k]);
            high[k] = high[k].max(point[k]);
        }
        radius = point[2].max(radius);
    }
    let scale = (long_side - 2.0 * radius) / (high[0] - low[0]).max(high[1] - low[1]);

    for point in strokes.iter_mut().flatten() {
        for k in 0..2 {
            point[k] = (point[k] - (low[k] + high[k]) / 2.0) * scale + MIDDLE;
        }
    }
}

/// Moves the strokes so that the center of mass of `image`, which they drew, is in the middle.
fn center(strokes: &mut [Vec<Point>], image: &[u8]) {
    let (mut mass, mut moment) = (0.0, [0.0; 2]);
    for (i, &pixel) in image.iter().enumerate() {
        let ink = f32::from(pixel);
        mass += ink;
        moment[0] += ink * (i % SIDE) as f32;
        moment[1] += ink * (i / SIDE) as f32;
    }
    for point in strokes.iter_mut().flatten() {
        for k in 0..2 {
            point[k] += MIDDLE - moment[k] / mass;
        }
    }
}

/// Draws the strokes, antialiased: a pixel's ink depends on how deep inside a stroke it is.
fn render(strokes: &[Vec<Point>], intensity: f32) -> [u8; SIDE * SIDE] {
    let mut ink = [0.0f32; SIDE * SIDE];
    for pair in strokes.iter().flat_map(|line| line.windows(2)) {
        let ([px, py, pr], [qx, qy, qr]) = (pair[0], pair[1]);
        let (dx, dy) = (qx - px, qy - py);
        let inverse = 1.0 / (dx * dx + dy * dy).max(f32::MIN_POSITIVE);
        let reach = pr.max(qr) + EDGE / 2.0;
        // The pixels the segment can ink; casts from negative numbers give 0.
        let pixels = |a: f32, b: f32| (a.min(b) - reach) as usize..SIDE.min((a.max(b) + reach) as usize + 1);
        for y in pixels(py, qy) {
            for x in pixels(px, qx) {
                let (vx, vy) = (x as f32 - px, y as f32 - py);
                let t = ((vx * dx + vy * dy) * inverse).clamp(0.0, 1.0);
                let (ex, ey) = (vx - t * dx, vy - t * dy);
                let depth = pr + t * (qr - pr) - (ex * ex + ey * ey).sqrt();
                let pixel = &mut ink[y * SIDE + x];
                *pixel = pixel.max(depth / EDGE + 0.5);
            }
        }
    }
    ink.map(|v| (v * intensity * 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn every_class_is_inked_and_centered() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for i in 0..2000 {
            let image = draw((i % 10) as u8, &mut rng);
            let mass: f32 = image.iter().map(|&p| f32::from(p)).sum();
            assert!(mass > 15.0 * 255.0);
            let mean = |coordinate: fn(usize) -> usize| {
                let moment = |(i, &p): (usize, &u8)| f32::from(p) * coordinate(i) as f32;
                image.iter().enumerate().map(moment).sum::<f32>() / mass
            };
            let (x, y) = (mean(|i| i % SIDE), mean(|i| i / SIDE));
            assert!((x - MIDDLE).hypot(y - MIDDLE) < 0.6);
        }
    }

    #[test]
    fn the_rng_decides_the_image() {
        let image = |class, seed| draw(class, &mut ChaCha8Rng::seed_from_u64(seed));
        for class in 0..10 {
            assert_eq!(image(class, 1), image(class, 1));
            assert_eq!(image(class, 1), image(class + 10, 1));
            assert_ne!(image(class, 1), image(class, 2));
        }
    }
}
