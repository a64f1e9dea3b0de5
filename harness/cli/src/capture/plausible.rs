//! Whether an update can be what it is said to be: found out before anything is attacked.

use anyhow::{Result, bail};
use learning::{Network, Params};
use tch::{Kind, Tensor};

/// Slack of a bound on single values: rounding of 16-bit floats.
const SLACK: f64 = 1e-2;
/// Tensors that a note names.
const NAMED: usize = 4;

/// What must be said of an update of `batch` examples before the attack; `gradient` where it is a
/// gradient.
///
/// # Errors
/// An update that says nothing: zero everywhere, or the weights themselves.
pub fn doubts(
    net: &Network,
    weights: &Params,
    update: &Params,
    gradient: bool,
    batch: u32,
) -> Result<Vec<String>> {
    let layout = net.layout();
    let names = layout.trainable().into_iter().map(|i| layout.specs()[i].name.as_str());
    let held: Vec<(&str, &Tensor)> = names.zip(update.trainable()).collect();
    let zero = |t: &Tensor| t.count_nonzero(None::<i64>).int64_value(&[]) == 0;
    let still: Vec<&str> = held.iter().filter(|(_, t)| zero(t)).map(|(name, _)| *name).collect();
    if still.len() == held.len() {
        bail!(
            "the update is zero: the client's training did nothing, and nothing can be recovered"
        );
    }
    if gradient && update.trainable().zip(weights.trainable()).all(|(g, w)| g.equal(w)) {
        bail!("the update holds the weights themselves; give the gradient, or --holds weights");
    }
    let mut doubts = Vec::new();
    if !still.is_empty() {
        let rest = still.len().saturating_sub(NAMED);
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let listed = still[..still.len().min(NAMED)].join("`, `");
        doubts.push(format!("zero in `{listed}`{more}: frozen, or without influence"));
    }
    if let Some((name, bias)) = held.last().filter(|_| gradient)
        && bias.size()[1..] == [net.classes()]
    {
        doubts.extend(softmax(name, bias, batch));
    }
    Ok(doubts)
}

/// The bias gradient of a softmax is `mean(p - y)`: within `[-1, 1]`, of sum zero, and negative
/// where a class is present. That of independent outputs does not sum to zero, but stays within.
fn softmax(name: &str, bias: &Tensor, batch: u32) -> Option<String> {
    let values = bias.to_kind(Kind::Double).reshape([-1]);
    let largest = values.abs().max().double_value(&[]);
    if largest > 1.0 + SLACK {
        return Some(format!(
            "the gradient of `{name}` reaches {largest:.3}, but that of a mean cross-entropy lies \
             within [-1, 1]: divide by the loss scale (GradScaler.unscale_) or, where the loss is \
             a sum, by the number of examples"
        ));
    }
    let sum = values.sum(Kind::Double).double_value(&[]).abs();
    let below = values.lt(0.0).sum(Kind::Int64).int64_value(&[]);
    let above = values.gt(0.0).sum(Kind::Int64).int64_value(&[]);
    // Of several examples either sign may be the rarer one.
    let reversed = batch == 1 && sum < 1e-3 * largest && above == 1 && below > 1;
    reversed.then(|| {
        format!(
            "the gradient of `{name}` has one positive entry, where one example gives one negative \
             one: is its sign reversed (a pseudo-gradient, before minus after)?"
        )
    })
}
