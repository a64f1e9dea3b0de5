//! Sound inputs, a few kB each, made here or taken from golden files.

mod files;
mod protocols;
mod weights;

pub use files::*;
pub use protocols::*;
pub use weights::*;
