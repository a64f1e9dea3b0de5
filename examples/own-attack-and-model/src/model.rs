//! `tanh-mlp`: one hidden layer with tanh.

use learning::models::{Architecture, Model, Shape};
use learning::tape::Tape;
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

/// Registry entry.
pub static ENTRY: Entry<dyn Architecture> = Entry {
    name: "tanh-mlp",
    summary: "one hidden layer with tanh (`width = 64`)",
    reference: "Your name: your paper, your conference 2026",
    build: |map| {
        let params: TanhMlp = suites::params("tanh-mlp", map)?;
        match params.width {
            1.. => Ok(Box::new(params)),
            _ => Err(SpecError::value("model.width", "is below 1", "write e.g. 64")),
        }
    },
};

/// What a suite may set.
#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct TanhMlp {
    /// Width of the hidden layer, at least 1.
    width: i64,
}

impl Default for TanhMlp {
    fn default() -> TanhMlp {
        TanhMlp { width: 64 }
    }
}

impl Architecture for TanhMlp {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        Ok(Box::new(Net { shape: shape.clone(), width: self.width }))
    }
}

struct Net {
    shape: Shape,
    width: i64,
}

impl Model for Net {
    fn input(&self) -> Vec<i64> {
        self.shape.input.clone()
    }

    fn classes(&self) -> i64 {
        self.shape.classes
    }

    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        let hidden = tape.linear("hidden", &x.flatten(2, -1), self.width).tanh();
        tape.linear("out", &hidden, self.shape.classes)
    }
}
