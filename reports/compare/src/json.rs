//! Everything about a comparison, for programs.

use crate::{Comparison, Effect};
use record::number::Number;
use serde_json::{Value, json};

impl Comparison {
    /// Everything: verdict and exit code, gate, counts, findings, and every test with its units,
    /// interval and p-values. Numbers that JSON does not have are the words `inf`, `-inf` and
    /// `nan`.
    pub fn json(&self) -> Value {
        json!({
            "verdict": self.verdict(),
            "exit_code": self.verdict().exit_code(),
            "headline": self.headline(),
            "adverse_warnings": self.adverse_warnings(),
            "base": self.base,
            "new": self.new,
            "pairing": self.pairing,
            "gate": self.gate,
            "counts": self.counts,
            "unfinished": self.unfinished,
            "notes": self.notes,
            "findings": self.findings,
            "speed": self.speed,
            "accuracies": self.accuracies,
            "effects": self.effects.iter().map(|e| self.effect_json(e)).collect::<Vec<_>>(),
        })
    }

    fn effect_json(&self, effect: &Effect) -> Value {
        let mut value = json!(effect);
        value["label"] = json!(self.subject(&effect.subject));
        for (key, number) in [("base", effect.base), ("new", effect.new), ("change", effect.change)]
        {
            value[key] = json!(Number(number));
        }
        value
    }
}
