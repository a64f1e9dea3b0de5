//! From the nodes of an exported program to the steps of a [`Graph`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::alias;
use super::arguments::name_of;
use super::ops::{self, Op};
use super::pt2::Archive;
use super::schema::{Module, Node, Size};
use super::value::Arg;
use super::{Given, Graph, GraphError, Step};
use crate::params::ParamSpec;
use serde_json::Value as Json;

/// A parameter or buffer of the signature.
pub(super) struct Held {
    pub spec: usize,
    pub slot: usize,
}

/// What is known while steps are made.
#[derive(Default)]
pub(super) struct Lowering {
    pub slots: HashMap<String, usize>,
    pub specs: Vec<ParamSpec>,
    pub held: BTreeMap<usize, Held>,
    /// How often each slot is an argument.
    pub uses: HashMap<usize, usize>,
    pub given: Vec<(usize, Given)>,
    /// Other names of parameters, by their place in the specs, with the parameter's own name.
    pub ties: BTreeMap<usize, String>,
    /// Dimensions of each tensor.
    pub ranks: HashMap<usize, usize>,
}

pub(super) const WRAP: &str =
    "wrap the model so that it maps one batch of examples to logits [B, K]";

pub(super) fn lower(module: Module, archive: &mut Archive) -> Result<Graph, GraphError> {
    let mut low = Lowering::default();
    let input = low.signature(&module, archive)?;
    low.in_state_dict_order();
    let meta = module.graph.tensor_values.get(&input);
    let meta = meta.ok_or_else(|| GraphError::new("the input has no shape", WRAP))?;
    let Some((batch, Some(shape))) =
        meta.sizes.split_first().map(|(b, rest)| (b, super::schema::numbers(rest)))
    else {
        return Err(GraphError::new("the input's size is not fixed but for the batch", WRAP));
    };
    if !matches!(shape.len(), 1 | 3) || shape.iter().any(|&n| n < 1) {
        return Err(GraphError::new(
            format!("an example of shape {shape:?}, neither an image nor a row"),
            WRAP,
        ));
    }
    let batch = match batch {
        Size::AsInt(n) => Some(*n),
        Size::AsExpr(_) => None,
    };
    let (output, classes) = low.output(&module)?;
    let tokens = !matches!(meta.dtype, 6 | 7 | 8 | 13);
    let nodes: Vec<&Node> = module.graph.nodes.iter().filter(|n| !counts_batches(n)).collect();
    refuse_unknown(&nodes)?;
    for (name, meta) in &module.graph.tensor_values {
        let slot = low.slot(name);
        low.ranks.insert(slot, meta.sizes.len());
    }
    let steps = low.steps(&nodes)?;
    let (mut order, mut body) = low.head_last(&steps, low.slots.get(&output).copied());
    let ties = low.merge_ties(&mut order, &mut body);
    let output = *low.slots.get(&output).ok_or_else(|| damaged("the output is no node"))?;
    let input = low.slots[&input];
    low.give(&steps);
    let slots = low.slots.len();
    let Lowering { specs, given, .. } = low;
    Ok(Graph {
        specs,
        given,
        steps,
        slots,
        input,
        output,
        batch,
        tokens,
        shape,
        classes,
        body,
        order,
        ties,
    })
}

pub(super) fn damaged(what: &str) -> GraphError {
    GraphError::new(format!("the graph is damaged: {what}"), "export it again")
}

/// `num_batches_tracked` grows by one: nothing here reads it.
fn counts_batches(node: &Node) -> bool {
    let of = node.inputs.first().and_then(|i| name_of(&i.arg));
    node.target.contains(".add_.") && of.is_some_and(|n| n.ends_with("num_batches_tracked"))
}

/// `aten` name without overload; operators of Python by `operator.` and theirs.
pub(super) fn operation(target: &str) -> &str {
    if let Some(name) = target.strip_prefix("torch.ops.aten.") {
        return name.split('.').next().unwrap_or(name);
    }
    target.strip_prefix('_').filter(|t| t.starts_with("operator.")).unwrap_or(target)
}

/// Whether the operation changes its first argument.
fn in_place(name: &str) -> Option<&str> {
    name.strip_suffix('_').filter(|n| !n.ends_with('_') && !n.is_empty())
}

pub(super) fn known(target: &str) -> Option<Op> {
    let name = operation(target);
    ops::find(name).or_else(|| in_place(name).and_then(ops::find)).or_else(|| {
        // Known as layers of the tape alone.
        (name == "batch_norm").then_some(Op::Nothing)
    })
}

/// Names every operation that is not known, with the line of Python that calls it.
fn refuse_unknown(nodes: &[&Node]) -> Result<(), GraphError> {
    let mut said = BTreeMap::new();
    for node in nodes.iter().filter(|n| known(&n.target).is_none()) {
        let name = node.target.trim_start_matches("torch.ops.");
        said.entry(name.to_owned()).or_insert_with(|| line_of(node));
    }
    if said.is_empty() {
        return Ok(());
    }
    let listed: Vec<String> = said
        .iter()
        .map(|(op, line)| if line.is_empty() { op.clone() } else { format!("{op} ({line})") })
        .collect();
    let remedy = if said.keys().any(|op| op.contains("bernoulli")) {
        "export the model after model.eval(), or replace what calls them"
    } else {
        "replace what calls them, or export without run_decompositions"
    };
    Err(GraphError::new(format!("unknown operation(s): {}", listed.join(", ")), remedy))
}

/// Where the model calls the node: file and line of the innermost frame that is not torch's own,
/// with the code there.
pub(super) fn line_of(node: &Node) -> String {
    let trace = node.metadata.get("stack_trace").and_then(Json::as_str).unwrap_or("");
    let frames: Vec<(&str, &str)> =
        trace.split("File \"").filter_map(|frame| frame.split_once('"')).collect();
    let own = frames.iter().rev().find(|(file, _)| !file.contains("/torch/"));
    let Some((file, rest)) = own.or(frames.last()) else { return String::new() };
    let line = rest.trim_start_matches(", line ").split(',').next().unwrap_or("?");
    let code = rest.lines().nth(1).map_or("", str::trim);
    let file = file.rsplit(['/', '\\']).next().unwrap_or(file);
    format!("{file}:{line}: {code}")
}

impl Lowering {
    pub(super) fn slot(&mut self, name: &str) -> usize {
        let next = self.slots.len();
        *self.slots.entry(name.to_owned()).or_insert(next)
    }

    pub(super) fn steps(&mut self, nodes: &[&Node]) -> Result<Vec<Step>, GraphError> {
        alias::refuse(nodes)?;
        for node in nodes {
            for name in node.inputs.iter().flat_map(|i| alias::names(&i.arg)) {
                let slot = self.slot(name);
                *self.uses.entry(slot).or_default() += 1;
            }
        }
        // A name that an operation in place has changed stands for its result from there on.
        let mut renamed: HashMap<usize, usize> = HashMap::new();
        let mut ready: BTreeSet<usize> = self.held.keys().copied().collect();
        ready.extend(self.given.iter().map(|(slot, _)| *slot));
        let mut steps = Vec::new();
        for node in nodes {
            let args = self.arguments(node, &renamed)?;
            let outputs = self.results(node)?;
            let step = self.step(node, args, &outputs)?;
            if in_place(operation(&node.target)).is_some()
                && let (Some(name), [out]) =
                    (node.inputs.first().and_then(|i| name_of(&i.arg)), &outputs[..])
            {
                let changed = self.slot(name);
                if self.held.contains_key(&changed) {
                    return Err(GraphError::new(
                        format!("`{name}` is changed in place ({})", line_of(node)),
                        "export the model after model.eval()",
                    ));
                }
                renamed.insert(changed, *out);
            }
            ready.extend(outputs);
            steps.extend(step);
        }
        Ok(steps)
    }

    /// The step of a node: the tape's own layer where its parameters are a layer's, and belong to
    /// it alone.
    pub(super) fn step(
        &self,
        node: &Node,
        args: Vec<(String, Arg)>,
        outputs: &[usize],
    ) -> Result<Option<Step>, GraphError> {
        self.made(&node.target, args, outputs, &line_of(node))
    }

    /// The step of an operation by its name; `place` is where the model calls it.
    pub(super) fn made(
        &self,
        target: &str,
        args: Vec<(String, Arg)>,
        outputs: &[usize],
        place: &str,
    ) -> Result<Option<Step>, GraphError> {
        let layer = match operation(target) {
            "linear" => self.linear(&args, outputs),
            "conv2d" => self.conv(&args, outputs),
            "batch_norm" => Some(self.batch_norm(place, &args, outputs)?),
            "group_norm" => self.group_norm(&args, outputs),
            _ => None,
        };
        if layer.is_some() {
            return Ok(layer);
        }
        let op = known(target).ok_or_else(|| damaged("an operation of no known kind"))?;
        if matches!(op, Op::Nothing) {
            return Ok(None);
        }
        Ok(Some(Step::Call {
            op,
            name: operation(target).to_owned(),
            args,
            outputs: outputs.to_vec(),
            place: place.to_owned(),
        }))
    }

    /// What the steps need beside the layers' parameters. A parameter that nothing uses has no
    /// gradient.
    pub(super) fn give(&mut self, steps: &[Step]) {
        let mut used = BTreeSet::new();
        for step in steps {
            let Step::Call { args, .. } = step else { continue };
            used.extend(args.iter().flat_map(|(_, arg)| match arg {
                Arg::Slot(slot) => vec![*slot],
                Arg::Slots(slots) => slots.iter().flatten().copied().collect(),
                _ => Vec::new(),
            }));
        }
        for held in self.held.values() {
            let spec = &mut self.specs[held.spec];
            if used.contains(&held.slot) {
                let given =
                    if spec.trainable { Given::Free(held.spec) } else { Given::Buffer(held.spec) };
                self.given.push((held.slot, given));
            }
            spec.trainable &= self.uses.contains_key(&held.slot);
        }
    }
}
