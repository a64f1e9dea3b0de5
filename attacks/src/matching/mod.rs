//! One engine for every attack that matches gradients; the attacks themselves are presets over it.

pub mod adaptation;
mod channel;
pub mod engine;
pub mod init;
pub mod labels;
pub mod objective;
pub mod prior;
mod problem;
pub mod setting;
pub mod signal;
mod unroll;
mod ways;
pub mod weights;

pub use adaptation::Adaptation;
pub use engine::Matching;
pub use setting::Setting;
