//! What the report's figures and the paper's are both drawn with: a display list, letters, colours
//! and scales.

pub(crate) mod axis;
pub(crate) mod canvas;
pub(crate) mod font;
pub(crate) mod palette;
mod pdf;
mod raster;
mod shapes;
mod svg;
