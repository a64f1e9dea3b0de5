//! `withhold-bn`: BatchNorm's running statistics stay on the client.

use std::collections::BTreeMap;

use learning::{Effect, Params};
use serde::{Deserialize, Serialize};
use suites::Entry;

use crate::{Defense, DefenseError, Deployment, Released, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "withhold-bn",
    summary: "send no BatchNorm statistics: running means and variances keep the server's values \
        (scale and shift are still sent)",
    reference: "Andreux et al.: Siloed Federated Learning for Multi-Centric Histopathology \
        Datasets, MICCAI DCL 2020; Huang et al., NeurIPS 2021 (what the statistics give an \
        attacker)",
    build: |map| Ok(Box::new(suites::params::<WithholdBn>("withhold-bn", map)?)),
};

/// No parameters.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WithholdBn {}

impl Defense for WithholdBn {
    fn release(&self, update: Params, _turn: &mut Turn) -> Result<Released, DefenseError> {
        let trainable: Vec<bool> = update.layout().specs().iter().map(|s| s.trainable).collect();
        let withheld = trainable.iter().filter(|t| !**t).count() as f64;
        let mut trainable = trainable.into_iter();
        let out = update.map(|t| {
            if trainable.next() == Some(true) { t.shallow_clone() } else { t.zeros_like() }
        });
        let values = BTreeMap::from([("tensors_withheld".to_string(), withheld)]);
        Ok(Released { update: out, values, grid: None })
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        Ok(vec![Effect::WithheldStatistics])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturbation::testing::{in_turn_of, network};
    use crate::testing::streams;
    use learning::init;

    #[test]
    fn statistics_stay_and_everything_else_goes() {
        let net = network("convnet64", serde_json::json!({ "width": 2 }), vec![3, 9, 9]);
        let update =
            init::fresh(net.layout(), suites::Init::Pytorch, &mut streams(1)[0]).map(|t| t + 1.0);
        let out = in_turn_of(&net, None, &mut streams(1), |turn| {
            WithholdBn {}.release(update.clone(), turn).unwrap()
        });
        for ((spec, sent), own) in
            net.layout().specs().iter().zip(&out.update.tensors).zip(&update.tensors)
        {
            let statistic = spec.name.contains("running_");
            assert_eq!(
                *sent,
                if statistic { own.zeros_like() } else { own.shallow_clone() },
                "{}",
                spec.name
            );
        }
        assert_eq!(out.values["tensors_withheld"], 16.0);
        assert!(
            out.update.get("model.bn0.weight").unwrap().abs().sum(None).double_value(&[]) > 0.0
        );
    }
}
