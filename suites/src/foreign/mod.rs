//! Files from elsewhere: which are opened at all, what reading one may cost, and what of its text
//! reaches a screen or a page.
//!
//! A file never says what it may cost: every limit follows from its own size and from what is
//! honest for its kind ([`limits`]). A reader takes one [`Budget`] a file and charges it before it
//! allocates, builds or decodes.

mod accident;
mod budget;
pub mod limits;
mod open;
mod text;
mod zip;

pub use accident::{accident, accident_in};
pub use budget::{Budget, Exceeded};
pub use limits::{LIMITS, Limit};
pub use open::{open, read, read_text};
pub use text::{folder_name, printable, printable_lines};
pub use zip::check_zip;
