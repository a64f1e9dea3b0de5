//! Encrypted scoring: inner products of an encrypted query with a gallery that only the server has.
//!
//! The client sends its query encrypted; the server multiplies by its plaintext rows without
//! learning the query or the scores; the client decrypts the scores and nothing else of the rows.
//! It is what face search over encrypted embeddings and encrypted logistic regression need, and
//! takes no rotation keys.
//!
//! **Products.** Coefficient encoding as in Cheetah (Huang, Lu, Hong and Ding, USENIX Security
//! 2022): with `q(X) = sum q_i X^i` and `g(X) = sum_r sum_i g_(r,i) X^(r w + w - 1 - i)` over
//! `floor(N / w)` rows, coefficient `r w + w - 1` of `q g` in `Z[X]/(X^N + 1)` is the inner product
//! of `q` with row `r`, since all that wraps around lands below `w - 1`. A query of `d` values goes
//! in `d / w` pieces of `w`, whose products add up; `w` is chosen for the fewest bytes up and down
//! (Cheetah's tiles; Hao et al.: Iron, NeurIPS 2022).
//!
//! **What the client learns.** The server adds a fresh encryption of zero under the client's public
//! key, so that the uniform half of its answer says nothing of the rows (ring-LWE); it floods the
//! coefficients that hold scores, so that their noise says nothing either (statistically,
//! [`Shape::hiding_bits`] for the whole answer); and it sends no other coefficient at all. Both
//! sides are honest but curious: a client may of course ask again, and `d` independent queries give
//! the rows away.

mod client;
mod os_rng;
mod plan;
mod server;
mod shape;
#[cfg(test)]
mod tests;
mod wire;

pub use os_rng::os_rng;
pub use plan::Plan;
pub use server::Gallery;
pub use shape::Shape;
pub use wire::{Answer, Query};
