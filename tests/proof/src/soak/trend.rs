//! Whether a series of measurements grows.

/// What a series does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// The slope of the first half, per second.
    pub first: f64,
    /// The slope of the second half, per second.
    pub second: f64,
    /// Whether it still grows: over the second half by more than `floor` and by more than a
    /// twentieth, and not much more slowly than over the first.
    pub grows: bool,
}

/// The trend of measurements (seconds, value), of which changes up to `floor` mean nothing.
///
/// What warms up grows in the first half only. What leaks grows as fast in the second: a slope that
/// has fallen to a quarter is on its way to a plateau.
#[must_use]
pub fn trend(points: &[(f64, f64)], floor: f64) -> Trend {
    let (early, late) = points.split_at(points.len() / 2);
    let (first, second) = (slope(early), slope(late));
    let span = |half: &[(f64, f64)]| match half {
        [start, .., end] => end.0 - start.0,
        _ => 0.0,
    };
    let rise = second * span(late);
    let grows = rise > floor && rise > mean(late) / 20.0 && second > first / 4.0;
    Trend {
        first,
        second,
        grows,
    }
}

fn mean(points: &[(f64, f64)]) -> f64 {
    let sum: f64 = points.iter().map(|point| point.1).sum();
    sum / count(points)
}

fn count(points: &[(f64, f64)]) -> f64 {
    f64::from(u32::try_from(points.len().max(1)).unwrap_or(u32::MAX))
}

/// By least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let middle = points.iter().map(|point| point.0).sum::<f64>() / count(points);
    let level = mean(points);
    let above: f64 = points
        .iter()
        .map(|(at, value)| (at - middle) * (value - level))
        .sum();
    let below: f64 = points.iter().map(|(at, _)| (at - middle).powi(2)).sum();
    if below == 0.0 { 0.0 } else { above / below }
}
