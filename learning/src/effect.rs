//! What a defense does to a signal, as its designer publishes it.
//!
//! An adversary knows every defense but its keys and its draws (Kerckhoffs' principle). A defense
//! says what it does by a list of [`Effect`]s in the order in which they happen. They follow from
//! its parameters and the deployment alone: none carries a value measured on an update.

use std::fmt;

/// One thing that happens to a signal, to the examples behind it or to the model.
///
/// An adversary matches on all of them: a new effect does not compile until every attack that
/// adapts has said what it does about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Scaled down to a norm of at most `bound`.
    Clip {
        /// The norm that is bounded.
        norm: Norm,
        /// Its largest value, above 0, in the unit of what is clipped; of the first round where
        /// it moves.
        bound: f64,
        /// What is clipped as one.
        unit: ClipUnit,
        /// Whether the bound follows the updates from round to round, so that it is not known.
        moving: bool,
    },
    /// Independent noise of mean 0 on every trainable value.
    Noise {
        /// Its distribution.
        law: NoiseLaw,
        /// Its size on one value.
        scale: NoiseScale,
        /// What it is added to.
        on: Noised,
    },
    /// Values of small magnitude are set to zero; the others stay.
    Zeroed {
        /// Share of the values that is zeroed, in `[0, 1]`.
        share: f64,
        /// The values that are ranked together.
        among: Ranked,
    },
    /// Each value is clamped to `[-bound, bound]`.
    Clamped {
        /// Largest magnitude, above 0, in the signal's unit.
        bound: f64,
    },
    /// Each tensor is rounded to the nearest of `2^bits` even levels between its extremes.
    Cells {
        /// Bits of a value, 1 to 16.
        bits: u32,
    },
    /// Each value is rounded to one of its neighbours on a grid from 0 to its bucket's norm, drawn
    /// so that it is right on average.
    RandomRounding {
        /// Levels beside zero, at least 1.
        levels: f64,
        /// Consecutive values of a tensor that share a norm; 0 for the whole tensor.
        bucket: i64,
        /// The norm.
        norm: BucketNorm,
    },
    /// Only the sign of each value is left, zero counting as positive.
    Signs {
        /// Whether it is times the tensor's mean magnitude, or else times 1.
        scaled: bool,
    },
    /// Columns of the last linear layer's weight are zero, chosen by the client's examples.
    MaskedColumns {
        /// Share of the columns, in (0, 1).
        share: f64,
    },
    /// Each example, and its label alike, is a convex combination of the client's own.
    Mixed {
        /// Examples in a combination, at least 2.
        parts: usize,
        /// Law of the coefficients.
        coefficients: Coefficients,
    },
    /// The sign of every normalised input value is flipped with probability 1/2.
    FlippedInputs,
    /// Each input goes through one of these sequences of transformations, drawn evenly.
    TransformedInputs {
        /// Sequences of places in [`crate::transform::LIBRARY`]; those that have two directions
        /// draw one evenly.
        policies: Vec<Vec<usize>>,
    },
    /// A variational bottleneck stands before the last layer and is sampled anew for every example
    /// and step. The broadcast architecture holds it.
    RandomBottleneck {
        /// Dimensions of the code, at least 1.
        width: i64,
        /// Weight of its divergence from a standard normal in the loss, at least 0.
        beta: f64,
    },
    /// BatchNorm's running statistics keep the server's values.
    WithheldStatistics,
}

/// The norm that a clip bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Sum of magnitudes.
    L1,
    /// Euclidean.
    L2,
}

/// The norm of a bucket that its grid reaches up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketNorm {
    /// Euclidean.
    L2,
    /// Largest magnitude.
    Max,
}

/// What a clip scales as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipUnit {
    /// Each example's gradient, in every local step.
    Example,
    /// Each client's update.
    Update,
}

/// Distribution of noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoiseLaw {
    /// Normal; the scale is its standard deviation.
    Gaussian,
    /// Laplace; the scale is its `b`, and the standard deviation `b sqrt(2)`.
    Laplace,
    /// Normal on the multiples of `step`, added after a rotation that anyone can undo: an entry
    /// then holds a sum over all of them. The scale is its standard deviation.
    DiscreteGaussian {
        /// Width of the grid, above 0.
        step: f64,
    },
    /// Difference of two Poisson variables on the multiples of `step`, rotated likewise. The scale
    /// is its standard deviation.
    Skellam {
        /// Width of the grid, above 0.
        step: f64,
    },
}

/// Size of noise on one value, in the unit that its law names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoiseScale {
    /// In the unit of what it is added to, above 0.
    Absolute(f64),
    /// Times the root mean square of the client's trainable values, which only the client knows;
    /// above 0.
    TimesRms(f64),
}

/// What noise is added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noised {
    /// The gradient of every local step.
    Step,
    /// Each client's update.
    Update,
    /// The mean over the clients, once (or in shares that are this much together).
    Mean,
}

/// Values that are ranked by magnitude together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranked {
    /// Those of each tensor by themselves.
    Tensor,
    /// All of the client's update.
    Update,
}

/// Law of the coefficients of a convex combination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Coefficients {
    /// `lambda` and `1 - lambda`, `lambda ~ Beta(alpha, alpha)`.
    Beta {
        /// Both parameters, above 0.
        alpha: f64,
    },
    /// Magnitudes of standard normal draws over their sum, drawn anew until none is above
    /// `largest`.
    NormalMagnitudes {
        /// Largest coefficient, at most 1.
        largest: f64,
    },
}

/// An effect with the defense that publishes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Name of the defense, for messages alone.
    pub by: String,
    /// What it does.
    pub effect: Effect,
}

impl fmt::Display for Effect {
    /// The effect in words, without its numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Effect::Clip { unit: ClipUnit::Example, .. } => "clipping of each example's gradient",
            Effect::Clip { unit: ClipUnit::Update, .. } => "clipping of each client's update",
            Effect::Noise { on: Noised::Step, .. } => "noise in every local step",
            Effect::Noise { on: Noised::Update, .. } => "noise on each client's update",
            Effect::Noise { on: Noised::Mean, .. } => "noise on the mean",
            Effect::Zeroed { among: Ranked::Tensor, .. } => "zeroed entries of each tensor",
            Effect::Zeroed { among: Ranked::Update, .. } => "zeroed entries of the whole update",
            Effect::Clamped { .. } => "clamped values",
            Effect::Cells { .. } => "values rounded to the nearest level",
            Effect::RandomRounding { .. } => "values rounded at random",
            Effect::Signs { .. } => "signs in place of values",
            Effect::MaskedColumns { .. } => "masked columns of the last layer",
            Effect::Mixed { .. } => "mixtures in place of examples",
            Effect::FlippedInputs => "random signs of the inputs",
            Effect::TransformedInputs { .. } => "random transformations of the inputs",
            Effect::RandomBottleneck { .. } => "a random bottleneck in the model",
            Effect::WithheldStatistics => "withheld BatchNorm statistics",
        })
    }
}
