//! Which labels are behind a signal: read off the last layer's gradient, by the methods that the
//! field has published.
//!
//! For one class an example, `B` examples and a softmax cross-entropy, the last layer's gradient is
//! `db = mean_b(p_b - y_b)` and `dW = mean_b((p_b - y_b) f_b^T)` with the layer's input `f_b`:
//! entries are negative only at classes that are present, and their size counts examples. The
//! methods differ in what they take for `p_b` and `f_b`, which nobody sent.
//!
//! Every method reads the observation alone; what is random in it comes from the attack's stream.

mod attack;
mod counts;
mod dummies;
mod greedy;
mod last_layer;
mod method;
mod several;

pub use attack::{ENTRY, LabelAttack, PICTURES};
pub use counts::{restored, rounded};
pub use dummies::Dummies;
pub use greedy::{bias_corrected, llg, present, row_minima, simple};
pub use last_layer::LastLayer;
pub use method::{Method, Told, filled, recover};
