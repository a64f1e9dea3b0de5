//! `precode`: a variational bottleneck before the last layer makes the gradient random from the
//! inside.

use learning::models::{Bottleneck, Bottlenecked, has_bottleneck, head};
use learning::{Effect, Network};
use serde::{Deserialize, Serialize};
use suites::Entry;

use super::range;
use crate::{Defense, DefenseError, Deployment, Stage};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "precode",
    summary: "a variational bottleneck of `width` dimensions before the last layer, sampled anew \
        for every example and step; evaluation uses its mean",
    reference: "Scheliga, Mäder, Seeland: PRECODE, WACV 2022; bypassed by Balunovic et al., ICLR \
        2022",
    build: |map| {
        let setting: Precode = suites::params("precode", map)?;
        range(
            "precode",
            "width",
            setting.width,
            (1..=65_536).contains(&setting.width),
            "write 1 to 65536, e.g. 256",
        )?;
        let good = setting.beta >= 0.0 && setting.beta.is_finite();
        range(
            "precode",
            "beta",
            setting.beta,
            good,
            "write a finite number of at least 0, e.g. 0.001",
        )?;
        Ok(Box::new(setting))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Precode {
    /// Dimensions of the code, 1 to 65,536.
    pub width: i64,
    /// Weight of the divergence from a standard normal (in bits) in the loss, at least 0.
    pub beta: f64,
}

impl Default for Precode {
    /// The authors'.
    fn default() -> Precode {
        Precode { width: 256, beta: 1e-3 }
    }
}

impl Defense for Precode {
    fn stage(&self) -> Stage {
        Stage::Model
    }

    fn model(&self, net: Network) -> Result<Network, DefenseError> {
        if has_bottleneck(net.layout()) {
            return Err(DefenseError::Unfit(
                "`precode` stands twice in the list; write it once".into(),
            ));
        }
        let before = head(net.layout()).ok_or_else(|| {
            DefenseError::Unfit(
                "`precode` needs a model whose last layer is linear; use e.g. model = \
                 \"lenet-zhu\" or \"convnet64\""
                    .into(),
            )
        })?;
        let bottleneck = Bottleneck { before, width: self.width, beta: self.beta };
        let net = net.map_model(|model| Box::new(Bottlenecked::new(model, bottleneck)));
        // A layer by that name that works on many places, or as a value, does not take it.
        if has_bottleneck(net.layout()) {
            return Ok(net);
        }
        Err(DefenseError::Unfit(
            "`precode` needs a model that ends in a fully connected layer of its own".into(),
        ))
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        Ok(vec![Effect::RandomBottleneck { width: self.width, beta: self.beta }])
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some(super::ADAPTIVE)
    }
}
