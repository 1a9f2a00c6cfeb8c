//! Throughput relative to the bare handler, by contestant and number of connections.

use std::ops::Range;

use plotters::{
    chart::{ChartBuilder, LabelAreaPosition},
    coord::Shift,
    prelude::{
        BLACK, Circle, DrawingArea, IntoDrawingArea, IntoLogRange, PathElement, RGBColor,
        SVGBackend, Text, WHITE,
    },
    series::{DashedLineSeries, LineSeries},
    style::{
        Color, IntoFont, ShapeStyle, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{contestants::Contestant, error::Error, results::Results, workload::Workload};

const SIZE: (u32, u32) = (1000, 580);
/// The height of the title, and of the legend with the caption below it.
const TITLE: u32 = 40;
const LEGEND: u32 = 130;
/// How the legend is laid out.
const COLUMNS: i32 = 4;
const COLUMN: i32 = 240;
const LINE: i32 = 22;
const SAMPLE: i32 = 30;
/// Of what is drawn dashed: the length of a dash and of what is between.
const DASH: (i32, i32) = (6, 4);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The colors of Okabe and Ito, which most people can tell apart. What is not idem is dashed.
fn look(contestant: Contestant) -> (ShapeStyle, bool) {
    let color = match contestant {
        Contestant::Bare => BLACK,
        Contestant::Memory | Contestant::PeerMemory => RGBColor(0, 158, 115),
        Contestant::Sqlite => RGBColor(204, 121, 167),
        Contestant::Redis | Contestant::ByHand => RGBColor(213, 94, 0),
        Contestant::Cached | Contestant::ByHandFenced => RGBColor(128, 128, 128),
        Contestant::PeerRedis => RGBColor(230, 159, 0),
        Contestant::Postgres => RGBColor(86, 180, 233),
        Contestant::Transaction | Contestant::Tx => RGBColor(0, 114, 178),
    };
    (color.stroke_width(2), !contestant.is_idem())
}

/// The SVG.
pub(crate) fn draw(results: &Results) -> Result<String, Error> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        picture(&root, results).map_err(|error| Error::Plot(error.to_string()))?;
    }
    Ok(svg)
}

type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn picture(root: &Area<'_>, results: &Results) -> Drawn {
    root.fill(&WHITE)?;
    let (title, below) = root.split_vertically(TITLE);
    let (charts, legend_area) = below.split_vertically(SIZE.1 - TITLE - LEGEND);
    title.draw(&Text::new(
        "Throughput relative to the bare handler, over HTTP",
        (SIZE.0.cast_signed() / 2, 24),
        text(22).pos(Pos::new(HPos::Center, VPos::Center)),
    ))?;
    let range = range(results);
    let (fresh, replays) = charts.split_horizontally(SIZE.0 / 2);
    chart(root, &fresh, results, Workload::Fresh, &range)?;
    chart(root, &replays, results, Workload::Replay, &range)?;
    legend(&legend_area, results)?;
    root.present()?;
    Ok(())
}

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&BLACK)
}

fn chart(
    root: &Area<'_>,
    area: &Area<'_>,
    results: &Results,
    workload: Workload,
    range: &Range<f64>,
) -> Drawn {
    let last = results.connections.len().saturating_sub(1) as f64;
    let (left, right) = (-0.25, last + 0.25);
    let title = match workload {
        Workload::Fresh => "fresh keys",
        Workload::Replay => "replays",
    };
    let mut chart = ChartBuilder::on(area)
        .caption(title, text(18))
        .margin_left(10)
        .margin_right(20)
        .x_label_area_size(46)
        .y_label_area_size(58)
        .build_cartesian_2d(left..right, range.clone().log_scale())?;
    chart
        .configure_mesh()
        // The library's own marks of a logarithmic axis are many above and none below.
        .disable_mesh()
        .x_labels(0)
        .y_label_formatter(&|_| String::new())
        .set_tick_mark_size(LabelAreaPosition::Left, 0)
        .x_desc("connections")
        .y_desc("÷ bare handler")
        .axis_desc_style(text(16))
        .draw()?;
    for mark in marks(range) {
        let style = BLACK.mix(if mark == 1.0 { 0.5 } else { 0.15 });
        let ends = [(left, mark), (right, mark)];
        chart.draw_series([PathElement::new(ends, style)])?;
        let (x, y) = chart.plotting_area().map_coordinate(&(left, mark));
        let beside = text(15).pos(Pos::new(HPos::Right, VPos::Center));
        root.draw(&Text::new(mark.to_string(), (x - 8, y), beside))?;
    }
    for (place, connections) in results.connections.iter().enumerate() {
        let corner = (place as f64, range.start);
        let (x, y) = chart.plotting_area().map_coordinate(&corner);
        let below = text(15).pos(Pos::new(HPos::Center, VPos::Top));
        root.draw(&Text::new(connections.to_string(), (x, y + 8), below))?;
    }
    for &contestant in &results.contestants {
        let points: Vec<(f64, f64)> = results
            .connections
            .iter()
            .enumerate()
            .filter_map(|(place, &connections)| {
                let summary = results.summary(contestant, workload, connections)?;
                let bare = results.summary(Contestant::Bare, Workload::Fresh, connections)?;
                Some((place as f64, summary.per_second / bare.per_second))
            })
            .collect();
        let (style, is_dashed) = look(contestant);
        if is_dashed {
            let (dash, gap) = DASH;
            let line = DashedLineSeries::new(points.clone(), dash, gap, style);
            chart.draw_series(line)?;
        } else {
            chart.draw_series(LineSeries::new(points.clone(), style))?;
        }
        chart.draw_series(
            points
                .into_iter()
                .map(|point| Circle::new(point, 4, style.filled())),
        )?;
    }
    Ok(())
}

/// 0.01, 0.1, 1 and the like, and twice and five times that.
fn marks(range: &Range<f64>) -> Vec<f64> {
    let first = range.start.log10().round() as i32;
    (first..=1)
        .flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| mark(digit, decade)))
        .filter(|mark| (range.start..=range.end).contains(mark))
        .collect()
}

/// A number whose text is as short as it looks: 2 · 10⁻² is 0.02, and 2 · 0.01 need not be.
fn mark(digit: f64, decade: i32) -> f64 {
    if decade < 0 {
        digit / 10_f64.powi(-decade)
    } else {
        digit * 10_f64.powi(decade)
    }
}

/// From a power of ten below everything to a little above it.
fn range(results: &Results) -> Range<f64> {
    let bare = |connections| results.summary(Contestant::Bare, Workload::Fresh, connections);
    let ratios = results
        .cells
        .iter()
        .filter_map(|cell| Some(cell.summary.per_second / bare(cell.connections)?.per_second));
    let (least, most) = ratios.fold((0.5, 1.0), |(least, most), ratio| {
        (f64::min(least, ratio), f64::max(most, ratio))
    });
    let floor = 10_f64.powf((least * 0.9).log10().floor());
    floor.max(1e-4)..most * 1.25
}

fn legend(area: &Area<'_>, results: &Results) -> Drawn {
    for (place, &contestant) in (0_i32..).zip(&results.contestants) {
        let (column, row) = (place % COLUMNS, place / COLUMNS);
        let (x, y) = (24 + column * COLUMN, 14 + row * LINE);
        let (style, is_dashed) = look(contestant);
        let dashes = if is_dashed {
            [(0, 6), (12, 18), (24, SAMPLE)].as_slice()
        } else {
            [(0, SAMPLE)].as_slice()
        };
        for (from, to) in dashes {
            area.draw(&PathElement::new([(x + from, y), (x + to, y)], style))?;
        }
        area.draw(&Circle::new((x + SAMPLE / 2, y), 4, style.filled()))?;
        let left = text(15).pos(Pos::new(HPos::Left, VPos::Center));
        let name = contestant.title().replace('`', "");
        area.draw(&Text::new(name, (x + SAMPLE + 8, y), left))?;
    }
    let caption = text(14).pos(Pos::new(HPos::Center, VPos::Center));
    let middle = SIZE.0.cast_signed() / 2;
    let bottom = LEGEND.cast_signed();
    for (line, y) in [
        (results.machine.date.clone(), bottom - 32),
        (results.machine.line(), bottom - 14),
    ] {
        area.draw(&Text::new(line, (middle, y), caption.clone()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_of_ones_twos_and_fives() {
        let texts = |range| marks(&range).iter().map(f64::to_string).collect::<Vec<_>>();
        let from_hundredths = ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"];
        assert_eq!(texts(0.01..1.3), from_hundredths);
        assert_eq!(texts(0.1..6.0), ["0.1", "0.2", "0.5", "1", "2", "5"]);
        assert_eq!(texts(0.0001..0.0003), ["0.0001", "0.0002"]);
    }
}
