//! ONNX files, opset 13 and above: the same graph of operations under other names.
//!
//! Each node becomes the step that the same operation of PyTorch is in an exported program, so that
//! convolutions, fully connected layers and BatchNorm are the tape's own. Shapes that the graph
//! computes are followed as lists of whole numbers ([`sizes`]).

mod constants;
mod depth;
mod layers;
mod moves;
mod nodes;
mod pointwise;
mod ranks;
mod sizes;
mod tensors;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use rten_onnx::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use suites::foreign::{Budget, limits};

use super::lower::{Held, Lowering, WRAP};
use super::value::{Arg, Whole};
use super::{Given, Graph, GraphError, Step};
use crate::params::{InitRule, ParamSpec, Stored};
use tch::Tensor;
use tensors::Tensors;

/// The oldest set of operations that is read.
const OPSET: i64 = 13;
/// Most values of an example.
const MOST: i64 = 1 << 26;
pub(super) const EXPORT: &str = "export it with opset 13 or above, in training mode";

/// A network from an ONNX file; tensors that are kept beside it lie in `folder`.
///
/// # Errors
/// [`GraphError`] for a file that is damaged, of an older opset, holds operations that are not
/// known (all are named), or has more than one input or output.
pub(super) fn from_bytes(bytes: &[u8], folder: Option<&Path>) -> Result<Graph, GraphError> {
    let damaged =
        |what: &str| GraphError::new(format!("no ONNX file that can be read: {what}"), EXPORT);
    depth::check(bytes).map_err(damaged)?;
    let budget = Budget::new(&limits::CHECKPOINT, bytes.len() as u64);
    let model = ModelProto::parse_buf(bytes).map_err(|e| damaged(&e.to_string()))?;
    let own = |set: &&rten_onnx::onnx::OperatorSetIdProto| {
        matches!(set.domain.as_deref(), None | Some("" | "ai.onnx"))
    };
    let opset = model.opset_import.iter().find(own).and_then(|set| set.version);
    let opset = opset.ok_or_else(|| damaged("it names no set of operations"))?;
    if opset < OPSET {
        return Err(GraphError::new(format!("ONNX of opset {opset}"), EXPORT));
    }
    let graph = model.graph.ok_or_else(|| damaged("it holds no graph"))?;
    let tensors = Tensors::of(&graph, folder, budget)?;
    Reader::new(tensors).read(graph)
}

/// A graph while its nodes are read.
pub(super) struct Reader {
    pub low: Lowering,
    pub steps: Vec<Step>,
    /// Values that are lists of whole numbers (a scalar is a list of one).
    pub sizes: HashMap<String, Vec<Whole>>,
    /// Those of them that are a number, not a list of one.
    pub scalars: HashSet<String>,
    /// Those of them that are used as values.
    values: HashSet<String>,
    /// Values that are zero everywhere.
    pub zeros: HashSet<String>,
    /// Constants by name.
    pub tensors: Tensors,
    /// Names that stand for another value.
    aliases: HashMap<String, String>,
    /// Weights `[in, out]` that a node has transposed.
    pub turned: HashMap<String, String>,
    /// Those that are a factor of products and nothing else.
    pub multiplied: HashSet<String>,
    /// Parts of a value that was split, by the name of their sequence.
    pub parts: HashMap<String, Vec<String>>,
    /// How many parts of each sequence are taken.
    pub taken: HashMap<String, usize>,
    made: usize,
}

impl Reader {
    fn new(tensors: Tensors) -> Reader {
        let (sizes, aliases, turned) = (HashMap::new(), HashMap::new(), HashMap::new());
        let (steps, multiplied) = (Vec::new(), HashSet::new());
        let (parts, taken) = (HashMap::new(), HashMap::new());
        let (scalars, values, zeros) = (HashSet::new(), HashSet::new(), HashSet::new());
        Reader {
            low: Lowering::default(),
            steps,
            sizes,
            scalars,
            values,
            zeros,
            tensors,
            aliases,
            turned,
            multiplied,
            parts,
            taken,
            made: 0,
        }
    }

    fn read(mut self, graph: GraphProto) -> Result<Graph, GraphError> {
        nodes::refuse_unknown(&graph.node)?;
        let (input, batch, shape, tokens) = self.model_input(&graph)?;
        let (output, classes) = output(&graph)?;
        for info in graph.value_info.iter().chain(&graph.output).chain(&graph.input) {
            if let (Some(name), Some(dims)) = (&info.name, dims(info)) {
                let slot = self.low.slot(name);
                self.low.ranks.insert(slot, dims.len());
            }
        }
        self.parameters(&graph)?;
        self.multiplied = nodes::only_factors(&graph.node);
        self.count_turned(&graph.node);
        for node in graph.node.iter().filter(|n| n.op_type.as_deref() == Some("SequenceAt")) {
            let of = node.input.first().cloned().unwrap_or_default();
            *self.taken.entry(of).or_default() += 1;
        }
        for node in &graph.node {
            let before = self.steps.len();
            self.node(node).map_err(|e| e.or_at(node))?;
            self.fold(node, before);
        }
        let output = self.named(&output).to_owned();
        let slot = self.low.slots.get(&output).copied();
        let logits = slot.filter(|slot| self.steps.iter().any(|step| step.gives(*slot)));
        let output = logits.ok_or_else(|| GraphError::new("the output is no node's", EXPORT))?;
        let (order, body) = self.low.head_last(&self.steps, logits);
        self.low.give(&self.steps);
        let slots = self.low.slots.len();
        let Lowering { specs, given, .. } = self.low;
        let steps = self.steps;
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
            ties: Vec::new(),
        })
    }

    /// The one input that is no initialiser: its slot, the batch where it is fixed, the shape of an
    /// example, and whether it is of whole numbers.
    #[allow(clippy::type_complexity)] // what an input is
    fn model_input(
        &mut self,
        graph: &GraphProto,
    ) -> Result<(usize, Option<i64>, Vec<i64>, bool), GraphError> {
        let own = |i: &&ValueInfoProto| !i.name.as_ref().is_some_and(|n| self.tensors.has(n));
        let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(own).collect();
        let [input] = inputs[..] else {
            return Err(GraphError::new(format!("the model takes {} inputs", inputs.len()), WRAP));
        };
        let dims = dims(input).unwrap_or_default();
        let fixed = |d: &Option<i64>| d.filter(|n| *n > 0);
        let shape: Option<Vec<i64>> = dims.iter().skip(1).map(fixed).collect();
        let few = |s: &Vec<i64>| {
            let all = s.iter().try_fold(1i64, |n, &s| n.checked_mul(s));
            matches!(s.len(), 1 | 3) && all.is_some_and(|n| n <= MOST)
        };
        let shape = shape.filter(few).ok_or_else(|| {
            GraphError::new("the input's size is not fixed but for the batch [B, ...]", WRAP)
        })?;
        let last = |node: &NodeProto| {
            let takes = node.input.first().map(String::as_str) == input.name.as_deref();
            let order = nodes::ints(node, "perm");
            takes && node.op_type.as_deref() == Some("Transpose") && order == [0, 3, 1, 2]
        };
        if graph.node.iter().any(last) {
            return Err(GraphError::new(
                "the input has its channels last",
                "export it with channels first (tf2onnx --inputs-as-nchw)",
            ));
        }
        let of = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
        let kind = of.and_then(|t| t.elem_type).map_or(1, |kind| kind.0);
        let slot = self.low.slot(input.name.as_deref().unwrap_or_default());
        Ok((slot, dims.first().copied().flatten(), shape, !matches!(kind, 1 | 10 | 11 | 16)))
    }

    /// Initialisers of real numbers become parameters, but those of one value and those that an
    /// exporter has named itself. An initialiser that the exporter shares between equal tensors is
    /// each of them again.
    fn parameters(&mut self, graph: &GraphProto) -> Result<(), GraphError> {
        let shared = |node: &&NodeProto| {
            node.op_type.as_deref() == Some("Identity")
                && node.input.first().is_some_and(|name| self.tensors.has(name))
        };
        let copies: Vec<(String, String)> = graph
            .node
            .iter()
            .filter(shared)
            .filter_map(|node| Some((node.output.first()?.clone(), node.input.first()?.clone())))
            .filter(|(copy, _)| copy.contains('.') && !copy.starts_with('/'))
            .collect();
        for (copy, of) in copies {
            self.tensors.copy(&copy, &of);
        }
        let running: HashSet<&str> = graph
            .node
            .iter()
            .filter(|node| node.op_type.as_deref() == Some("BatchNormalization"))
            .flat_map(|node| node.input.iter().skip(3))
            .map(String::as_str)
            .collect();
        let used: BTreeSet<&str> = graph
            .node
            .iter()
            .flat_map(|node| {
                let sizes = node.op_type.as_deref() == Some("Resize");
                node.input.iter().take(if sizes { 1 } else { usize::MAX })
            })
            .map(String::as_str)
            .collect();
        for name in self.tensors.names() {
            if !used.contains(name.as_str()) {
                continue;
            }
            let value = self.tensors.get(&name)?;
            let trains = is_parameter(&name, &value) && folded(&name, &value).is_none();
            let known = trains || running.contains(name.as_str());
            if value.is_floating_point() && known {
                self.hold(&name, &value, !running.contains(name.as_str()));
            } else if let Some(how) = folded(&name, &value) {
                return Err(GraphError::new(
                    format!("the exporter has {how} `{name}`"),
                    "export it with do_constant_folding=False (or optimize=False), so that every \
                     parameter keeps its name",
                ));
            } else if !value.is_floating_point() && value.dim() <= 1 {
                self.know(&name, &value);
            }
        }
        for node in graph.node.iter().filter(|n| n.op_type.as_deref() != Some("Identity")) {
            for name in &node.input {
                let slot = self.low.slot(name);
                *self.low.uses.entry(slot).or_default() += 1;
            }
        }
        Ok(())
    }

    /// A weight that is transposed once and used by several products is used as often.
    fn count_turned(&mut self, nodes: &[NodeProto]) {
        for node in nodes.iter().filter(|n| n.op_type.as_deref() == Some("Transpose")) {
            let (Some(weight), Some(turned)) = (node.input.first(), node.output.first()) else {
                continue;
            };
            let uses = |name: &str| self.low.uses.get(self.low.slots.get(name)?).copied();
            let more = uses(turned).unwrap_or(1).saturating_sub(1);
            let slot = self.low.slot(weight);
            *self.low.uses.entry(slot).or_default() += more;
        }
    }

    fn hold(&mut self, name: &str, value: &Tensor, trainable: bool) {
        let init = InitRule::Stored(Stored::new(value));
        let slot = self.low.slot(name);
        self.low.held.insert(slot, Held { spec: self.low.specs.len(), slot });
        self.low.ranks.insert(slot, value.dim());
        let (name, shape) = (name.to_owned(), value.size());
        self.low.specs.push(ParamSpec { name, shape, init, trainable });
    }

    /// A constant of whole numbers is a list of sizes as well.
    pub fn know(&mut self, name: &str, value: &Tensor) {
        self.sizes.insert(name.to_owned(), tensors::whole(value));
        if value.dim() == 0 {
            self.scalars.insert(name.to_owned());
        }
    }

    /// The value that a name stands for.
    pub fn named<'n>(&'n self, name: &'n str) -> &'n str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    pub fn alias(&mut self, name: &str, of: &str) {
        let of = self.named(of).to_owned();
        if let Some(sizes) = self.sizes.get(&of).cloned() {
            self.sizes.insert(name.to_owned(), sizes);
            if self.scalars.contains(&of) {
                self.scalars.insert(name.to_owned());
            }
        }
        self.aliases.insert(name.to_owned(), of);
    }

    /// The slot of a value as an argument; constants are given on their first use.
    pub fn slot(&mut self, name: &str) -> Result<usize, GraphError> {
        let name = self.named(name).to_owned();
        let known = self.low.slots.contains_key(&name);
        let slot = self.low.slot(&name);
        let given =
            self.low.held.contains_key(&slot) || self.low.given.iter().any(|(own, _)| *own == slot);
        if !given && self.tensors.has(&name) {
            let value = self.tensors.get(&name)?;
            self.low.ranks.insert(slot, value.dim());
            self.low.given.push((slot, Given::constant(&value)));
        } else if !given && self.sizes.contains_key(&name) && self.values.insert(name.clone()) {
            self.size_value(&name)?;
        } else if !known && !given {
            return Err(GraphError::new(format!("`{name}` is used before it is made"), EXPORT));
        }
        Ok(slot)
    }

    /// A value as an argument.
    pub fn arg(&mut self, name: &str) -> Result<Arg, GraphError> {
        Ok(Arg::Slot(self.slot(name)?))
    }

    /// Adds a step by the name of PyTorch's operation.
    pub fn push(
        &mut self,
        name: &str,
        args: Vec<(&str, Arg)>,
        outputs: &[&str],
        place: &str,
    ) -> Result<(), GraphError> {
        let args: Vec<(String, Arg)> = args.into_iter().map(|(n, a)| (n.to_owned(), a)).collect();
        let outputs: Vec<usize> = outputs.iter().map(|name| self.low.slot(name)).collect();
        self.note_rank(name, &args, &outputs);
        if let Some(step) = self.low.made(name, args, &outputs, place)? {
            self.steps.push(step);
        }
        Ok(())
    }

    /// A name for a value between two steps of one node.
    pub fn between(&mut self) -> String {
        self.made += 1;
        format!("\u{1}{}", self.made)
    }
}

/// What an exporter did to a parameter that it then named itself.
fn folded(name: &str, value: &Tensor) -> Option<&'static str> {
    let weight = value.is_floating_point() && value.dim() == 2 && value.size()[0] > 1;
    if name.ends_with(".weight_bias") || name.contains("/batchnorm/") {
        return Some("folded BatchNorm into another layer:");
    }
    let own = name.starts_with("onnx::") && value.is_floating_point() && value.numel() > 1;
    (own || weight && !is_parameter(name, value)).then_some("folded a weight into")
}

/// Whether an initialiser is trained: not a single number outside a module, nor what an exporter
/// names by itself.
fn is_parameter(name: &str, value: &Tensor) -> bool {
    let own = ["val_", "const_fold", "_val_", "/", "ortshared", "onnx::"];
    (value.numel() > 1 || name.contains('.')) && !own.iter().any(|prefix| name.starts_with(prefix))
}

/// Sizes of a value, `None` each where the file leaves it open.
fn dims(info: &ValueInfoProto) -> Option<Vec<Option<i64>>> {
    let shape = info.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
    Some(shape.dim.iter().map(|d| d.dim_value.filter(|n| *n > 0)).collect())
}

/// Name of the one output, and how many values it has.
fn output(graph: &GraphProto) -> Result<(String, i64), GraphError> {
    let [output] = &graph.output[..] else {
        let count = graph.output.len();
        return Err(GraphError::new(format!("the model gives {count} outputs"), WRAP));
    };
    match (&output.name, dims(output).as_deref()) {
        (Some(name), Some([_, Some(classes)])) => Ok((name.clone(), *classes)),
        _ => Err(GraphError::new("the output is not of shape [B, K]", WRAP)),
    }
}

impl GraphError {
    /// The same at a node.
    fn or_at(self, node: &NodeProto) -> GraphError {
        let name = node.name.as_deref().unwrap_or_default();
        let op = node.op_type.as_deref().unwrap_or_default();
        GraphError::new(format!("{op} `{name}`: {}", self.problem), self.remedy)
    }
}
