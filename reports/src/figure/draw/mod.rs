//! Ink for a [`Chart`]: every kind at the width of the style, nothing overlapping, nothing cut off.
//!
//! A figure has no title of its own, since its caption stands in the text around it.

mod bars;
mod boxes;
mod colours;
mod grid;
mod heat;
mod hero;
mod labels;
mod layout;
mod legend;
mod lines;
mod panel;
mod ruler;
#[cfg(test)]
mod sample;
mod scatter;
mod side;
mod slots;
#[cfg(test)]
mod tests;

pub(crate) use grid::BLACK_AT;

use super::chart::{Body, Chart, Width};
use super::style::Style;
use crate::plot::canvas::Canvas;

/// The figure at the width that it asks for.
pub(crate) fn draw(chart: &Chart, style: &Style) -> Canvas {
    let width = match chart.width {
        Width::Column => style.column,
        Width::Page => style.page,
    };
    draw_at(&chart.body, style, width)
}

/// What a figure shows, `width` points wide and as high as it needs to be.
pub(crate) fn draw_at(body: &Body, style: &Style, width: f64) -> Canvas {
    match body {
        Body::Grid(grid) => grid::draw(grid, style, width),
        Body::Hero(hero) => hero::draw(hero, style, width),
        Body::Lines(facets) => layout::draw(facets, style, width),
        Body::Bars(facets) => bars::draw(facets, style, width),
        Body::Boxes(facets) => boxes::draw(facets, style, width),
        Body::Scatter(facets) => layout::draw(facets, style, width),
        Body::HeatMap(facets) => heat::draw(facets, style, width),
    }
}
