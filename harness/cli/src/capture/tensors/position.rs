//! Tensors under another network's names, matched to a model's by position and shape.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, bail};
use learning::Network;
use learning::checkpoint::{self, Contents};
use suites::foreign::printable;
use tch::Tensor;

/// How names are matched to the model's, for the weights and then for the update.
pub struct Order {
    by_position: bool,
    /// The model's name for each of the weights'.
    names: RefCell<HashMap<String, String>>,
}

type Named = Vec<(String, Tensor)>;

impl Order {
    /// By position, or by name.
    pub fn new(by_position: bool) -> Order {
        Order { by_position, names: RefCell::default() }
    }

    /// Whether names are not looked at.
    pub fn by_position(&self) -> bool {
        self.by_position
    }

    /// Gives tensors the model's names: those of the file before, where the names are its, else by
    /// position and shape. Says every name.
    ///
    /// # Errors
    /// Another number of tensors or another shape, an order that the file does not keep.
    pub(super) fn apply(&self, net: &Network, contents: Contents, path: &Path) -> Result<Named> {
        let reals = reals(contents.tensors);
        let mut known = self.names.borrow_mut();
        let renamed: Option<Vec<String>> =
            reals.iter().map(|(name, _)| known.get(name).cloned()).collect();
        if let Some(names) = renamed {
            let count = names.len();
            tell!("note: {}: {count} tensors are named as those before", path.display());
            return Ok(names.into_iter().zip(reals.into_iter().map(|(_, t)| t)).collect());
        }
        let (old, named) = matched(net, reals, contents.ordered)?;
        let pairs: Vec<String> = old
            .iter()
            .zip(&named)
            .map(|(old, (new, _))| format!("{} -> {new}", printable(old)))
            .collect();
        tell!("note: {}: matched by position: {}", path.display(), pairs.join(", "));
        *known = old.into_iter().zip(named.iter().map(|(new, _)| new.clone())).collect();
        Ok(named)
    }
}

/// Says that names which are none of the model's could be matched by position.
pub(super) fn hint(net: &Network, contents: &Contents) -> Option<String> {
    let foreign = |name: &str| checkpoint::bare(net.layout(), name).is_none();
    if !contents.tensors.iter().all(|(name, _)| foreign(name)) {
        return None;
    }
    let copies = contents.tensors.iter().map(|(name, t)| (name.clone(), t.shallow_clone()));
    let (old, named) = matched(net, reals(copies.collect()), contents.ordered).ok()?;
    let ((old, (new, _)), count) = (old.first().zip(named.first())?, named.len());
    Some(format!(
        "no name is one of this model's, but its {count} tensors have the model's shapes in order \
         (`{}` as `{new}`); where they are those of this network, give --by-position",
        printable(old)
    ))
}

/// BatchNorm's counts and positions are no parameters.
fn reals(tensors: Named) -> Named {
    tensors.into_iter().filter(|(_, t)| t.is_floating_point()).collect()
}

/// The names in the order of the model's, and the tensors by these.
fn matched(net: &Network, mut given: Named, ordered: bool) -> Result<(Vec<String>, Named)> {
    if !ordered {
        given.sort_by_cached_key(|(name, _)| natural(name));
        certain(&given)?;
    }
    let (old, tensors): (Vec<String>, Vec<Tensor>) = given.into_iter().unzip();
    Ok((old, checkpoint::by_position(net, tensors)?))
}

/// A piece of a name: numbers count.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Number(u64),
    Text(String),
}

/// Orders names as modules are made: by their numbers, and a layer's tensors as PyTorch does.
fn natural(name: &str) -> (Vec<Piece>, usize, String) {
    const LEAVES: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];
    let (module, leaf) = split(name);
    let mut pieces = Vec::new();
    for part in module.split('.') {
        let word = part.trim_end_matches(|c: char| c.is_ascii_digit());
        if !word.is_empty() {
            pieces.push(Piece::Text(word.to_owned()));
        }
        pieces.extend(part[word.len()..].parse().ok().map(Piece::Number));
    }
    let rank = LEAVES.iter().position(|known| *known == leaf).unwrap_or(LEAVES.len());
    (pieces, rank, leaf.to_owned())
}

fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

/// Refuses an order that only the alphabet gives: tensors of one shape must be told apart by the
/// numbers in the names of their modules.
fn certain(given: &[(String, Tensor)]) -> Result<()> {
    let words =
        |name: &str| -> String { split(name).0.chars().filter(|c| !c.is_ascii_digit()).collect() };
    let mut first: HashMap<Vec<i64>, &str> = HashMap::new();
    for (name, tensor) in given {
        let other = *first.entry(tensor.size()).or_insert(name);
        if words(other) != words(name) {
            bail!(
                "safetensors keeps tensors by name and not in the model's order, and `{}` and `{}` \
                 have one shape; save them with torch.save, which keeps the order",
                printable(other),
                printable(name)
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[(&str, i64)]) -> Named {
        let zeros = |n| Tensor::zeros([n], (tch::Kind::Float, tch::Device::Cpu));
        names.iter().map(|&(name, n)| (name.to_owned(), zeros(n))).collect()
    }

    #[test]
    fn numbers_in_names_count() {
        let mut names =
            ["l.10.weight", "l.2.bias", "l.2.weight", "fc12.bias", "fc2.weight", "l.2.a"];
        names.sort_by_cached_key(|name| natural(name));
        let want = ["fc2.weight", "fc12.bias", "l.2.weight", "l.2.bias", "l.2.a", "l.10.weight"];
        assert_eq!(names, want);
    }

    #[test]
    fn an_order_of_the_alphabet_is_refused() {
        assert!(certain(&named(&[("l.0.weight", 3), ("l.0.bias", 3), ("l.1.bias", 3)])).is_ok());
        assert!(certain(&named(&[("head.bias", 3), ("body.bias", 4)])).is_ok());
        let said = certain(&named(&[("body.bias", 3), ("head.bias", 3)])).unwrap_err().to_string();
        assert!(said.contains("`body.bias` and `head.bias`"), "{said}");
    }
}
