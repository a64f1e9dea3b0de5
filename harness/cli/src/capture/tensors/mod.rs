//! Tensors of weights and updates from files, by the names of a model.

mod numpy;
mod position;

use std::path::Path;

use anyhow::{Context, Result, bail};
use learning::checkpoint::{self, Contents, PassedOver};
use learning::{Layout, Network};
use tch::{Kind, Tensor};

pub use position::Order;

/// Values beside the tensors that one note names.
const NAMED: usize = 12;

/// What a rounded kind is called, and what rounding to it loses.
const ROUNDED: [(Kind, &str, &str); 2] = [
    (Kind::BFloat16, "bfloat16", "2^-8 of itself"),
    (Kind::Half, "float16", "2^-11 of itself, and what is below 3e-8 to 0"),
];

/// Reads the tensors of a file, or of a folder of `.npy` files; what was done about their names,
/// and what was passed over, goes to stderr.
///
/// # Errors
/// A file that cannot be read, names with and without a prefix, tensors that do not fit in order,
/// a parameter of a kind that holds no reals.
pub fn load(net: &Network, path: &Path, order: &Order) -> Result<Vec<(String, Tensor)>> {
    let place = || path.display().to_string();
    let mut contents = contents(net, path)?;
    let tensors = std::mem::take(&mut contents.tensors);
    contents.tensors = checkpoint::adapted(net.layout(), tensors).with_context(place)?;
    pass_over_values(net.layout(), &mut contents);
    tell_about(net.layout(), &contents, path).with_context(place)?;
    if !contents.named {
        return unnamed(net, contents, path).with_context(place);
    }
    if order.by_position() {
        return order.apply(net, contents, path).with_context(place);
    }
    let hint = position::hint(net, &contents);
    let (named, prefix) = checkpoint::unwrap(net.layout(), contents.tensors).with_context(place)?;
    if let Some(hint) = hint {
        bail!("{}: {hint}", path.display());
    }
    if let Some(prefix) = prefix {
        tell!("note: {}: every name begins with `{prefix}`, which is left out", place());
    }
    Ok(named)
}

/// A single number whose name has no module's before it, such as a loss, is no parameter where the
/// model has none of that name.
fn pass_over_values(layout: &Layout, contents: &mut Contents) {
    if !contents.named {
        return;
    }
    let foreign = |name: &str, t: &Tensor| {
        t.numel() == 1 && !name.contains('.') && checkpoint::bare(layout, name).is_none()
    };
    let all = std::mem::take(&mut contents.tensors);
    let (over, kept) = all.into_iter().partition(|(name, t)| foreign(name, t));
    contents.tensors = kept;
    let over: Vec<(String, Tensor)> = over;
    over.into_iter().for_each(|(name, t)| {
        contents.passed_over.add(name, format!("a tensor of {:?}", t.size()), false);
    });
}

fn contents(net: &Network, path: &Path) -> Result<Contents> {
    let place = || path.display().to_string();
    if path.is_dir() {
        numpy::folder(path).with_context(place)
    } else if numpy::is_archive(path) {
        numpy::archive(path).with_context(place)
    } else {
        Ok(checkpoint::load_for(net, path)?)
    }
}

/// Tensors without names in the order of the model's.
fn unnamed(net: &Network, contents: Contents, path: &Path) -> Result<Vec<(String, Tensor)>> {
    let reals = contents.tensors.into_iter().map(|(_, t)| t);
    // BatchNorm's counts of batches stand in a state dict, and nothing here reads them.
    let reals: Vec<Tensor> = reals.filter(|t| t.is_floating_point() || t.dim() > 0).collect();
    let count = reals.len();
    let named = checkpoint::by_position(net, reals)?;
    tell!("note: {}: {count} arrays without names are taken in the model's order", path.display());
    Ok(named)
}

/// Notes about where the tensors lie, how they are rounded, and what lies beside them.
fn tell_about(layout: &Layout, contents: &Contents, path: &Path) -> Result<()> {
    let file = path.display();
    needed(layout, &contents.passed_over)?;
    if let Some(place) = &contents.place {
        tell!("note: {file}: its tensors lie under `{place}`");
    }
    for (kind, name, loss) in ROUNDED {
        let all = contents.tensors.iter().filter(|(_, t)| t.is_floating_point()).count();
        let count = contents.tensors.iter().filter(|(_, t)| t.kind() == kind).count();
        if count > 0 {
            tell!(
                "note: {file}: {count} of {all} tensors are {name}, which rounds a value by up to \
                 {loss}; nothing finer can be recovered"
            );
        }
    }
    if let Some(list) = listed(&contents.passed_over) {
        tell!("note: passed over in {file}: {list}");
    }
    Ok(())
}

/// A parameter cannot be passed over.
fn needed(layout: &Layout, over: &PassedOver) -> Result<()> {
    let among = over.values.iter().filter(|value| value.among);
    for value in among {
        if let Some(name) = checkpoint::bare(layout, &value.name) {
            bail!(
                "parameter `{name}` is {} where the model needs float, double, half or bfloat16; \
                 save it as such a tensor",
                value.what
            );
        }
    }
    Ok(())
}

fn listed(over: &PassedOver) -> Option<String> {
    let named = over.values.iter().take(NAMED);
    let mut words: Vec<String> = named.map(|v| format!("`{}` ({})", v.name, v.what)).collect();
    let more = over.values.len() - words.len() + over.more;
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    (!words.is_empty()).then(|| words.join(", "))
}
