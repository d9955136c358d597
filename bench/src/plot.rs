//! Plots as SVG, in colours that are legible on light and on dark pages.

use anyhow::{Context, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::report::{Plot, Table, figure, folder};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

const GRAY: RGBColor = RGBColor(0x80, 0x88, 0x90);
const COLOURS: [RGBColor; 4] =
    [GRAY, RGBColor(0xe0, 0x8a, 0x1e), RGBColor(0x2d, 0xa4, 0x4e), RGBColor(0x21, 0x8b, 0xff)];

/// Draws the table into the file that has its name.
pub(crate) fn draw(table: &Table) -> anyhow::Result<()> {
    let path = folder().join(&table.name).with_extension("svg");
    let height = match table.plot {
        Plot::Bars => 60 + 24 * table.rows.len() as u32,
        Plot::Lines => 360,
    };
    let area = SVGBackend::new(&path, (760, height)).into_drawing_area();
    let drawn = match &table.plot {
        Plot::Bars => bars(table, &area),
        Plot::Lines => lines(table, &area),
    };
    let drawn = drawn.and_then(|()| area.present());
    drawn.map_err(|error| anyhow!("{error}")).context("cannot draw a plot")
}

fn text(colour: &RGBColor) -> TextStyle<'_> {
    ("sans-serif", 14).into_font().color(colour)
}

fn bars<'a>(table: &Table, area: &Area<'a>) -> Drawn<'a> {
    let values = table.rows.iter().filter_map(|row| row.values[0]);
    let most = values.fold(f64::MIN_POSITIVE, f64::max);
    let longest = table.rows.iter().map(|row| row.label.chars().count()).max();
    let left = 24 + 7 * longest.unwrap_or_default() as i32;
    let full = f64::from(680 - left);
    let title = format!("{}: {}", table.caption, table.columns[0]);
    area.draw(&Text::new(title, (10, 10), text(&GRAY)))?;
    for (n, row) in table.rows.iter().enumerate() {
        let y = 40 + 24 * n as i32;
        // A bar of no width would be invisible.
        let right = left + (row.values[0].unwrap_or_default() / most * full).max(1.0) as i32;
        area.draw(&Text::new(row.label.clone(), (10, y), text(&GRAY)))?;
        let bar = Rectangle::new([(left, y), (right, y + 16)], COLOURS[3].filled());
        area.draw(&bar)?;
        let value = figure(row.values[0]);
        area.draw(&Text::new(value, (right + 8, y), text(&GRAY)))?;
    }
    Ok(())
}

fn lines<'a>(table: &Table, area: &Area<'a>) -> Drawn<'a> {
    let x = |label: &str| label.parse::<f64>().unwrap_or(1.0);
    let xs: Vec<_> = table.rows.iter().map(|row| x(&row.label)).collect();
    let ys = table.rows.iter().flat_map(|row| &row.values).flatten();
    let most = ys.copied().fold(f64::MIN_POSITIVE, f64::max) * 1.1;
    let (first, last) = (xs[0], xs[xs.len() - 1]);
    let title = format!("{}, by {}", table.caption, table.heading);
    area.draw(&Text::new(title, (10, 10), text(&GRAY)))?;
    let mut chart = ChartBuilder::on(area)
        .margin_top(40)
        .margin_right(100)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((first..last * 1.01).log_scale(), 0.0..most)?;
    chart
        .configure_mesh()
        .x_desc(&table.heading)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .label_style(text(&GRAY))
        .axis_style(GRAY)
        .bold_line_style(GRAY.mix(0.2))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (column, name) in table.columns.iter().enumerate() {
        let colour = COLOURS[column % COLOURS.len()];
        let points = xs.iter().zip(&table.rows);
        let points = points.filter_map(|(x, row)| Some((*x, row.values[column]?)));
        let points: Vec<_> = points.collect();
        if let Some(end) = points.last().copied() {
            let line = PathElement::new(points, colour.stroke_width(2));
            let name = EmptyElement::at(end) + Text::new(name.clone(), (8, -6), text(&colour));
            chart.draw_series([line])?;
            chart.draw_series([name])?;
        }
    }
    Ok(())
}
