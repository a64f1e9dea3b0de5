//! What follows from constants alone is computed while the graph is read.

use rten_onnx::onnx::NodeProto;
use tch::{Device, Kind, Tensor};

use super::super::ops::Op;
use super::super::value::{Arg, Call, Value, Whole};
use super::super::{Given, Step};
use super::Reader;
use crate::panics;
use crate::tape::kinks::Kinks;

/// Most values of a constant that is computed.
const MOST: usize = 1 << 16;

impl Reader {
    /// Runs the steps of a node, from `before` on, where all that they take is constant and no
    /// parameter; its result is a constant then. What cannot run stays a step.
    pub fn fold(&mut self, node: &NodeProto, before: usize) {
        let [output] = &node.output[..] else { return };
        let constant = |name: &String| {
            let name = self.named(name);
            let held = self.low.slots.get(name).is_some_and(|s| self.low.held.contains_key(s));
            let small = self.tensors.get(name).is_ok_and(|value| value.numel() <= MOST);
            let listed = self
                .sizes
                .get(name)
                .is_some_and(|all| all.iter().all(|size| matches!(size, Whole::Given(_))));
            name.is_empty() || listed || (small && !held)
        };
        let known = self.steps.len() > before && node.input.iter().all(constant);
        if !known {
            return;
        }
        let found = panics::guarded(|| self.value(before, output)).ok().flatten();
        let Some(value) = found.filter(|value| value.numel() <= MOST) else { return };
        self.steps.truncate(before);
        let output = output.clone();
        if !value.is_floating_point() && value.dim() <= 1 {
            self.know(&output, &value);
        }
        self.low.slots.get(&output).map(|slot| self.low.ranks.insert(*slot, value.dim()));
        self.tensors.insert(&output, value);
    }

    /// The result of those steps.
    fn value(&self, before: usize, output: &str) -> Option<Tensor> {
        let mut values: Vec<Option<Value>> = (0..self.low.slots.len()).map(|_| None).collect();
        let like = (Kind::Float, Device::Cpu);
        for (slot, given) in &self.low.given {
            let value = match given {
                Given::Reals(stored, shape) => stored.tensor(shape).unsqueeze(0),
                Given::Whole { values, shape, bits } => {
                    let t = Tensor::from_slice(values).reshape(&shape[..]).unsqueeze(0);
                    if *bits { t.to_kind(Kind::Bool) } else { t }
                }
                Given::Free(_) | Given::Buffer(_) => continue,
            };
            values[*slot] = Some(Value::Tensor(value));
        }
        for step in &self.steps[before..] {
            let Step::Call { op: Op::One(f), args, outputs, .. } = step else { return None };
            let ready = |slot: &usize| values[*slot].is_some();
            let all = args.iter().all(|(_, arg)| match arg {
                Arg::Slot(slot) => ready(slot),
                Arg::Slots(slots) => slots.iter().flatten().all(ready),
                _ => true,
            });
            if !all {
                return None;
            }
            let (batch, kinks) = ((None, 1), Kinks::default());
            let value = f(&Call { args, values: &values, like, batch, kinks });
            values[*outputs.first()?] = Some(Value::Tensor(value));
        }
        match values[*self.low.slots.get(output)?].take()? {
            Value::Tensor(value) => Some(value.squeeze_dim(0)),
            Value::Number(_) => None,
        }
    }
}
