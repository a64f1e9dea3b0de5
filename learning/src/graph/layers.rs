//! Nodes that become layers of the tape: their parameters are a layer's, and belong to it alone.

use super::lower::Lowering;
use super::value::{Arg, Number, Whole};
use super::{GraphError, Step};
use crate::params::{InitRule, ParamSpec};
use crate::tape::Conv;

impl Lowering {
    /// The layer to which these parameters belong, where they are its `weight` and `bias` and
    /// nothing else uses them; and whether there is a bias.
    pub(super) fn layer(&self, args: &[(String, Arg)]) -> Option<(String, bool)> {
        let weight = self.own(args, "weight")?;
        let name = weight.name.strip_suffix(".weight")?.to_owned();
        let given = args.iter().any(|(n, a)| n == "bias" && *a != Arg::None);
        if given && self.own(args, "bias")?.name != format!("{name}.bias") {
            return None;
        }
        Some((name, given))
    }

    /// A parameter or buffer that is used once.
    pub(super) fn own(&self, args: &[(String, Arg)], name: &str) -> Option<&ParamSpec> {
        let (_, Arg::Slot(slot)) = args.iter().find(|(n, _)| n == name)? else { return None };
        let held = self.held.get(slot)?;
        (self.uses.get(slot) == Some(&1)).then(|| &self.specs[held.spec])
    }

    pub(super) fn linear(&self, args: &[(String, Arg)], outputs: &[usize]) -> Option<Step> {
        let input = slot(args, "input")?;
        let rows = self.ranks.get(&input) != Some(&2);
        let (name, bias) = self.layer(args)?;
        let out = *self.own(args, "weight")?.shape.first()?;
        let zeros = InitRule::Constant(0.0);
        let shift = self.own(args, "bias").map_or(zeros, |spec| spec.init.clone());
        let init = [self.own(args, "weight")?.init.clone(), shift];
        let output = *outputs.first()?;
        Some(Step::Linear { name, input, out, bias, rows, init, output })
    }

    pub(super) fn conv(&self, args: &[(String, Arg)], outputs: &[usize]) -> Option<Step> {
        let (name, bias) = self.layer(args)?;
        let [output, each, height, width] = self.own(args, "weight")?.shape[..] else {
            return None;
        };
        let groups = given(args, "groups").unwrap_or(vec![1]);
        let square = |name: &str, default: i64| {
            let all = given(args, name).unwrap_or(vec![default]);
            all.iter().all(|n| *n == all[0]).then_some(all[0])
        };
        let same = args.iter().any(|(n, a)| n == "padding" && matches!(a, Arg::Text(_)));
        let (stride, padding) = (square("stride", 1)?, square("padding", 0)?);
        let fits = height == width && square("dilation", 1)? == 1 && !same;
        if !fits || stride < 1 || !(0..=SIDE).contains(&padding) {
            return None;
        }
        let groups = groups[0];
        let input = each.checked_mul(groups)?;
        let conv = Conv { input, output, kernel: height, stride, padding, bias, groups };
        Some(Step::Conv { name, input: slot(args, "input")?, conv, output: *outputs.first()? })
    }

    pub(super) fn batch_norm(
        &self,
        place: &str,
        args: &[(String, Arg)],
        outputs: &[usize],
    ) -> Result<Step, GraphError> {
        let whole = || {
            let (name, true) = self.layer(args)? else { return None };
            for part in ["running_mean", "running_var"] {
                (self.own(args, part)?.name == format!("{name}.{part}")).then_some(())?;
            }
            let momentum = float(args, "momentum").unwrap_or(0.1);
            // A mean over all batches (`momentum=None`) is written as 0.
            (momentum > 0.0 && momentum <= 1.0).then_some(())?;
            let eps = float(args, "eps").unwrap_or(1e-5);
            let (input, output) = (slot(args, "input")?, *outputs.first()?);
            Some(Step::BatchNorm { name, input, eps, momentum, output })
        };
        whole().ok_or_else(|| {
            GraphError::new(
                format!(
                    "a BatchNorm without scale, shift or running statistics, or whose momentum is \
                     None ({place})"
                ),
                "use affine=True, track_running_stats=True and a momentum, or another layer",
            )
        })
    }

    pub(super) fn group_norm(&self, args: &[(String, Arg)], outputs: &[usize]) -> Option<Step> {
        let (name, true) = self.layer(args)? else { return None };
        let groups = given(args, "num_groups")?[0];
        let eps = float(args, "eps").unwrap_or(1e-5);
        let input = slot(args, "input")?;
        Some(Step::GroupNorm { name, input, groups, eps, output: *outputs.first()? })
    }
}

/// The largest padding of a convolution.
pub(super) const SIDE: i64 = 1024;

fn slot(args: &[(String, Arg)], name: &str) -> Option<usize> {
    match args.iter().find(|(n, _)| n == name)? {
        (_, Arg::Slot(slot)) => Some(*slot),
        _ => None,
    }
}

/// Integers that stand in the file.
fn given(args: &[(String, Arg)], name: &str) -> Option<Vec<i64>> {
    match &args.iter().find(|(n, _)| n == name)?.1 {
        Arg::Number(Number::Int(n)) => Some(vec![*n]),
        Arg::Wholes(all) if !all.is_empty() => all
            .iter()
            .map(|whole| match whole {
                Whole::Given(n) => Some(*n),
                Whole::Of(_) => None,
            })
            .collect(),
        _ => None,
    }
}

fn float(args: &[(String, Arg)], name: &str) -> Option<f64> {
    match &args.iter().find(|(n, _)| n == name)?.1 {
        Arg::Number(n) => Some(n.float()),
        _ => None,
    }
}
