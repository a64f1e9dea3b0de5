//! What happens in federated learning: parameters, layers, models, losses, gradients, clients and
//! rounds.
//!
//! Everything works on `T` independent lanes at once (captures, restarts or clients side by side);
//! a leading dimension of 1 means "shared by all lanes".

pub mod checkpoint;
pub mod client;
mod conv;
pub mod effect;
mod error;
pub mod gradients;
pub mod graph;
pub mod init;
pub mod layer_grad;
pub mod loss;
pub mod models;
pub mod network;
pub mod noise;
pub mod observation;
pub mod panics;
pub mod params;
pub mod per_example;
pub mod server;
mod shapes;
pub mod tape;
pub mod transform;

pub use effect::{Effect, Published};
pub use error::LearningError;
pub use gradients::{Form, Gradients, gradients};
pub use layer_grad::LayerGrad;
pub use network::Network;
pub use observation::{Known, Observation, Signal};
pub use params::{Layout, Params};
pub use tape::Mode;
