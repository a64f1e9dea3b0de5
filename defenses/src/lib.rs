//! What a client does to protect an update before it leaves. One defence a file; hooks default to "undefended".

mod defense;
pub mod dp;
mod prune;
mod quantise;

pub use defense::{Defense, DefenseError, Released};
use suites::Entry;

/// All defences; an empty list in a suite is "none".
pub static ENTRIES: &[&Entry<dyn Defense>] = &[&dp::gaussian::ENTRY, &prune::ENTRY, &quantise::ENTRY];
