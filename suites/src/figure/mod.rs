//! What a suite asks to be drawn and tabulated of its run: `[[figure]]` and `[[table]]`.

mod column;
mod kind;
mod load;
mod spec;

pub use column::{measure_families, spec_tables};
pub use kind::{Bold, FigureKind, FigureWidth, Per, Spread};
pub(crate) use load::of_document;
pub use load::{Declared, declared, declared_in_file};
pub use spec::{FigureSpec, Place, TableSpec};
