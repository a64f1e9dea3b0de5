//! The one figure stack: `select` chooses and reduces what a [`chart::Chart`] shows, `draw` makes a
//! canvas of it. Papers declare their figures, reports take them from the [`catalogue`].

pub(crate) mod catalogue;
pub(crate) mod chart;
pub(crate) mod columns;
pub(crate) mod data;
pub(crate) mod draw;
pub(crate) mod estimate;
pub(crate) mod files;
pub(crate) mod filter;
pub(crate) mod measure;
pub(crate) mod select;
pub(crate) mod style;
