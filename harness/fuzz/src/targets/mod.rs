//! The targets, by the room whose parsers they run.

pub mod data;
mod files;
mod messages;
mod runs;
mod specs;
mod weights;

use crate::Target;

/// Every target.
pub fn all() -> impl Iterator<Item = &'static Target> {
    let rooms: [&[Target]; 6] = [
        data::TARGETS,
        weights::TARGETS,
        specs::TARGETS,
        runs::TARGETS,
        messages::TARGETS,
        files::TARGETS,
    ];
    rooms.into_iter().flatten()
}
