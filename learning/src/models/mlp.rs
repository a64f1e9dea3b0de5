//! Fully connected networks and logistic regression.

use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{Architecture, Model, Shape};
use crate::tape::Tape;

/// Registry entry of the multi-layer perceptron.
pub static ENTRY: Entry<dyn Architecture> = Entry {
    name: "mlp",
    summary: "fully connected layers with ReLU (`hidden = [128]`)",
    reference: "Rumelhart, Hinton, Williams: Learning representations by back-propagating errors, \
        Nature 1986",
    build: |map| {
        let params: MlpParams = suites::params("mlp", map)?;
        if params.hidden.iter().any(|&h| h < 1) {
            return Err(SpecError::value(
                "model.hidden",
                "has a width below 1",
                "write positive widths, e.g. [128]",
            ));
        }
        Ok(Box::new(params))
    },
};

/// Registry entry of logistic (softmax) regression.
pub static LOGISTIC: Entry<dyn Architecture> = Entry {
    name: "logistic",
    summary: "softmax regression: one linear layer on the flattened input",
    reference: "Cox: The regression analysis of binary sequences, J. R. Stat. Soc. B 1958",
    build: |map| Ok(Box::new(suites::params::<Logistic>("logistic", map)?)),
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Logistic {}

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct MlpParams {
    /// Widths of the hidden layers.
    hidden: Vec<i64>,
}

impl Default for MlpParams {
    fn default() -> Self {
        MlpParams { hidden: vec![128] }
    }
}

struct Mlp {
    shape: Shape,
    hidden: Vec<i64>,
}

impl Architecture for MlpParams {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        Ok(Box::new(Mlp { shape: shape.clone(), hidden: self.hidden.clone() }))
    }
}

impl Architecture for Logistic {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        MlpParams { hidden: Vec::new() }.build(shape)
    }
}

impl Model for Mlp {
    fn input(&self) -> Vec<i64> {
        self.shape.input.clone()
    }

    fn classes(&self) -> i64 {
        self.shape.classes
    }

    fn unfrozen(&self) -> Option<String> {
        None
    }

    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        let mut x = x.flatten(2, -1);
        for (i, &width) in self.hidden.iter().enumerate() {
            let z = tape.linear(&format!("fc{}", i + 1), &x, width);
            x = tape.relu(&z);
        }
        tape.linear(&format!("fc{}", self.hidden.len() + 1), &x, self.shape.classes)
    }
}
