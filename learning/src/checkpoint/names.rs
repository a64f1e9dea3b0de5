//! Names of tensors as wrappers write them, fitted to those of a model.

use crate::LearningError;
use crate::network::Network;
use crate::params::Layout;
use crate::shapes::remedy;
use tch::Tensor;

/// What wrappers put before a model's own names: DataParallel and DistributedDataParallel, Opacus'
/// GradSampleModule, torch.compile, PEFT, Lightning and common attributes; in any combination.
const WRAPPERS: [&str; 8] =
    ["module.", "_module.", "_orig_mod.", "base_model.", "model.", "net.", "network.", "backbone."];

/// What PEFT puts into the names of LoRA's tensors.
const ADAPTER: &str = ".lora_";

/// Tensors by the model's own names, and what was left out before them.
pub type Unwrapped = (Vec<(String, Tensor)>, Option<String>);

/// Strips a prefix that all names have and the model's names do not.
///
/// # Errors
/// Where some names have it and others have not: one line that names two of them.
pub fn unwrap(layout: &Layout, named: Vec<(String, Tensor)>) -> Result<Unwrapped, LearningError> {
    let known = |name: &str| layout.position(name).is_some();
    let foreign = named.iter().filter(|(name, _)| !known(name));
    let mut prefixes = foreign.filter_map(|(name, _)| Some((name, wrapped(name, &known)?)));
    let Some((first, prefix)) = prefixes.next() else { return Ok((named, None)) };
    let (first, prefix) = (first.clone(), prefix.to_owned());
    if let Some((bare, _)) = named.iter().find(|(name, _)| !name.starts_with(&prefix)) {
        return Err(LearningError::Invalid(format!(
            "`{first}` has the prefix `{prefix}` and `{bare}` has not; save all tensors of one \
             model, wrapped or not"
        )));
    }
    let strip = |(name, t): (String, Tensor)| (name[prefix.len()..].to_owned(), t);
    Ok((named.into_iter().map(strip).collect(), Some(prefix)))
}

/// LoRA's tensors as the module names them: PEFT saves `lora_A.weight` of `lora_A.default.weight`.
///
/// # Errors
/// Adapters of a model that has none.
pub fn adapted(
    layout: &Layout,
    named: Vec<(String, Tensor)>,
) -> Result<Vec<(String, Tensor)>, LearningError> {
    let has = |part: &str| layout.specs().iter().any(|spec| spec.name.contains(part));
    if let Some((name, _)) = named.iter().find(|(name, _)| name.contains(ADAPTER))
        && !has(ADAPTER)
    {
        return Err(LearningError::Invalid(format!(
            "`{name}` is of a LoRA adapter, which this model does not have; export the adapted \
             model with its base as .pt2"
        )));
    }
    let full = |name: String| match name.strip_suffix(".weight") {
        Some(bare) if name.contains(ADAPTER) && !bare.ends_with(".default") => {
            if has(".default.weight") { format!("{bare}.default.weight") } else { name }
        }
        _ => name,
    };
    Ok(named.into_iter().map(|(name, t)| (full(name), t)).collect())
}

/// The name of the model's that `name` is, without the wrappers before it.
pub fn bare<'n>(layout: &Layout, name: &'n str) -> Option<&'n str> {
    let known = |name: &str| layout.position(name).is_some();
    if known(name) {
        return Some(name);
    }
    wrapped(name, &known).map(|prefix| &name[prefix.len()..])
}

/// Whether some of these are tensors of the model, by name and shape; without names all of them,
/// by their places.
pub(super) fn fit(net: &Network, shapes: &[(Option<&str>, &[i64])]) -> bool {
    let specs = net.layout().specs();
    let named = |(name, size): &(Option<&str>, &[i64])| {
        let place = bare(net.layout(), (*name)?).and_then(|name| net.layout().position(name))?;
        Some(specs[place].shape == *size)
    };
    if shapes.iter().any(|(name, _)| name.is_some()) {
        return shapes.iter().any(|one| named(one) == Some(true));
    }
    let sizes: Vec<&[i64]> = shapes.iter().map(|(_, size)| *size).collect();
    let places = Places::of(net);
    let places = places.these(sizes.len());
    places.len() == sizes.len() && places.iter().zip(&sizes).all(|(&i, s)| specs[i].shape == *s)
}

/// The places of tensors without names, in the order of `state_dict()` and of `parameters()`.
struct Places {
    all: Vec<usize>,
    trainable: Vec<usize>,
}

impl Places {
    fn of(net: &Network) -> Places {
        let specs = net.layout().specs();
        let all = net.model().state_dict_order().unwrap_or_else(|| (0..specs.len()).collect());
        // `parameters()` gives one of several names once, `state_dict()` gives each.
        let mut seen = std::collections::HashSet::new();
        let once = all.iter().copied().filter(|&i| specs[i].trainable && seen.insert(i));
        let trainable = once.collect();
        Places { all, trainable }
    }

    /// Those of so many tensors.
    fn these(&self, count: usize) -> &[usize] {
        if count == self.all.len() { &self.all } else { &self.trainable }
    }
}

/// Tensors without names by the model's, in the order of `state_dict()` or, where there are as many
/// as that, of `parameters()`.
///
/// # Errors
/// Another number of tensors (with the one that is missing, where that is certain), or the first
/// whose shape is not the one at its place.
pub fn by_position(
    net: &Network,
    given: Vec<Tensor>,
) -> Result<Vec<(String, Tensor)>, LearningError> {
    let specs = net.layout().specs();
    let order = Places::of(net);
    let places = order.these(given.len());
    let sizes: Vec<Vec<i64>> = given.iter().map(Tensor::size).collect();
    let counts = || {
        let (all, trainable) = (order.all.len(), order.trainable.len());
        format!("state_dict() has {all} and parameters() {trainable}")
    };
    if given.len() != places.len() {
        let missing = [&order.all, &order.trainable].into_iter().find_map(|p| gap(net, p, &sizes));
        let missing = missing.map_or(String::new(), |i| {
            format!("; `{}` of {:?} is missing", specs[i].name, specs[i].shape)
        });
        return Err(LearningError::Invalid(format!(
            "{} tensors without names are given, but {}{missing}",
            given.len(),
            counts()
        )));
    }
    let wrong = places.iter().zip(&sizes).position(|(&place, size)| specs[place].shape != *size);
    if let Some(at) = wrong {
        let spec = &specs[places[at]];
        return Err(LearningError::Invalid(format!(
            "tensor {at} without a name is {:?} where `{}` needs {:?}: {}; {} are given, {}",
            sizes[at],
            spec.name,
            spec.shape,
            remedy(&spec.shape, &sizes[at]),
            given.len(),
            counts()
        )));
    }
    Ok(places.iter().map(|&i| specs[i].name.clone()).zip(given).collect())
}

/// The one place whose tensor is missing, where no other could be.
fn gap(net: &Network, places: &[usize], sizes: &[Vec<i64>]) -> Option<usize> {
    if places.len() != sizes.len() + 1 {
        return None;
    }
    let fits = |place: usize, size: &Vec<i64>| net.layout().specs()[place].shape == *size;
    let before = places.iter().zip(sizes).take_while(|&(&p, s)| fits(p, s)).count();
    let after = places.iter().rev().zip(sizes.iter().rev());
    let after = after.take_while(|&(&p, s)| fits(p, s)).count();
    // All before the gap fit from the start, and all behind it from the end.
    (before + after == sizes.len()).then(|| places[before])
}

/// The wrappers before a name of the model.
fn wrapped<'n>(name: &'n str, known: &dyn Fn(&str) -> bool) -> Option<&'n str> {
    let mut rest = name;
    while let Some(inner) = WRAPPERS.iter().find_map(|w| rest.strip_prefix(w)) {
        rest = inner;
        if known(rest) {
            return Some(&name[..name.len() - rest.len()]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{InitRule, ParamSpec};

    fn layout() -> Layout {
        let spec = |name: &str| ParamSpec {
            name: name.into(),
            shape: vec![1],
            init: InitRule::Constant(0.0),
            trainable: true,
        };
        Layout::new(["model.a.weight", "model.a.bias", "b"].map(spec).into())
    }

    fn unwrapped(names: &[&str]) -> Result<(Vec<String>, Option<String>), String> {
        let zero = || Tensor::zeros([1], (tch::Kind::Float, tch::Device::Cpu));
        let named = names.iter().map(|name| (name.to_string(), zero())).collect();
        let (named, said) = unwrap(&layout(), named).map_err(|e| e.to_string())?;
        Ok((named.into_iter().map(|(name, _)| name).collect(), said))
    }

    #[test]
    fn a_common_prefix_is_stripped_and_the_models_own_is_not() {
        let own = ["model.a.weight", "model.a.bias", "b"];
        assert_eq!(unwrapped(&own).unwrap(), (own.map(String::from).into(), None));
        for prefix in ["module.", "_orig_mod.module.", "_module.", "net.model."] {
            let given = own.map(|name| format!("{prefix}{name}"));
            let given: Vec<&str> = given.iter().map(String::as_str).collect();
            let (names, said) = unwrapped(&given).unwrap();
            assert_eq!((names, said.as_deref()), (own.map(String::from).into(), Some(prefix)));
        }
        let tracked = ["module.b", "module.bn.num_batches_tracked"];
        assert_eq!(unwrapped(&tracked).unwrap().1.as_deref(), Some("module."));
        assert_eq!(unwrapped(&["other.b"]).unwrap(), (vec!["other.b".into()], None));
    }

    #[test]
    fn tensors_without_names_have_the_shapes_of_their_places() {
        use crate::tape::Tape;
        struct Two;
        impl crate::models::Model for Two {
            fn input(&self) -> Vec<i64> {
                vec![3]
            }
            fn classes(&self) -> i64 {
                2
            }
            fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
                tape.linear("head", x, 2)
            }
            fn state_dict_order(&self) -> Option<Vec<usize>> {
                Some(vec![1, 0])
            }
        }
        let net = Network::new(Box::new(Two), vec![0.0; 3], vec![1.0; 3]);
        let make = |shape: &[i64]| Tensor::zeros(shape, (tch::Kind::Float, tch::Device::Cpu));
        let found = by_position(&net, vec![make(&[2]), make(&[2, 3])]).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["head.bias", "head.weight"]);
        let said = by_position(&net, vec![make(&[2, 3]), make(&[2])]).unwrap_err().to_string();
        assert!(said.contains("tensor 0") && said.contains("`head.bias`"), "{said}");
        let said = by_position(&net, vec![make(&[2])]).unwrap_err().to_string();
        assert!(said.contains("1 tensors"), "{said}");
    }

    #[test]
    fn adapters_are_those_of_the_model() {
        let spec = |name: &str| ParamSpec {
            name: name.into(),
            shape: vec![1],
            init: InitRule::Constant(0.0),
            trainable: true,
        };
        let own = ["fc.base_layer.weight", "fc.lora_A.default.weight", "fc.lora_B.default.weight"];
        let own_layout = Layout::new(own.map(spec).into());
        let zero = || Tensor::zeros([1], (tch::Kind::Float, tch::Device::Cpu));
        let saved = ["base_model.model.fc.lora_A.weight", "base_model.model.fc.lora_B.weight"];
        let given = || saved.map(|name| (name.to_owned(), zero())).into_iter().collect();
        let (named, prefix) = unwrap(&own_layout, adapted(&own_layout, given()).unwrap()).unwrap();
        let names: Vec<String> = named.into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            (&names[..], prefix.as_deref()),
            (&own.map(String::from)[1..], Some("base_model.model."))
        );
        let said = adapted(&layout(), given()).unwrap_err().to_string();
        assert!(said.contains("LoRA") && said.contains("with its base"), "{said}");
    }

    #[test]
    fn a_mixture_is_refused_with_both_names() {
        let said = unwrapped(&["module.model.a.weight", "model.a.bias"]).unwrap_err();
        assert!(
            said.contains("`module.model.a.weight`") && said.contains("`model.a.bias`"),
            "{said}"
        );
    }
}
