//! What an exported program takes and gives: parameters, buffers, constants, one input, one output.

use serde_json::Value as Json;
use tch::Kind;

use super::arguments::name_of;
use super::lower::{Held, Lowering, WRAP, damaged};
use super::pt2::Archive;
use super::schema::{Module, Size};
use super::{Given, GraphError, Step};
use crate::params::{InitRule, ParamSpec, Stored};

impl Lowering {
    /// Puts each module's buffers behind its parameters, as in `state_dict()`: an exported program
    /// lists all parameters first.
    pub(super) fn in_state_dict_order(&mut self) {
        let module = |name: &str| name.rsplit_once('.').map_or("", |(m, _)| m).to_owned();
        let mut order: Vec<usize> = Vec::new();
        for (at, spec) in self.specs.iter().enumerate() {
            let own = module(&spec.name);
            let behind = order.iter().rposition(|&o| module(&self.specs[o].name) == own);
            order.insert(behind.map_or(order.len(), |b| b + 1), at);
        }
        self.reorder(&order);
    }

    /// Puts the parameters of the layer that gives the logits behind all others, where attacks
    /// look for them, in whatever order the model defines its layers.
    /// Gives where each went, and how many stand before the head.
    pub(super) fn head_last(
        &mut self,
        steps: &[Step],
        logits: Option<usize>,
    ) -> (Vec<usize>, usize) {
        let head = steps.iter().find_map(|step| match step {
            Step::Linear { name, output, .. } if Some(*output) == logits => Some(name),
            _ => None,
        });
        let all = self.specs.len();
        let Some(head) = head else { return ((0..all).collect(), all) };
        let own = |name: &str| name.strip_prefix(head.as_str()).is_some_and(|n| n.starts_with('.'));
        if self.specs.iter().any(|spec| own(&spec.name) && !spec.trainable) {
            // A frozen head is declared with the rest, which says so.
            return ((0..all).collect(), all);
        }
        let mut order: Vec<usize> = (0..self.specs.len()).collect();
        order.sort_by_key(|&at| own(&self.specs[at].name));
        let body = order.iter().filter(|&&at| !own(&self.specs[at].name)).count();
        (self.reorder(&order), body)
    }

    /// Takes the other names of parameters out of the specs: gives them with the parameters' own.
    pub(super) fn merge_ties(
        &mut self,
        order: &mut [usize],
        body: &mut usize,
    ) -> Vec<(String, String)> {
        let ties = std::mem::take(&mut self.ties);
        let place = |specs: &[ParamSpec], name: &str| specs.iter().position(|s| s.name == name);
        let own: Vec<usize> = (0..self.specs.len())
            .map(|at| ties.get(&at).and_then(|name| place(&self.specs, name)).unwrap_or(at))
            .collect();
        let shift = |at: usize| at - ties.range(..at).count();
        order.iter_mut().for_each(|at| *at = shift(own[*at]));
        self.held.values_mut().for_each(|held| held.spec = shift(held.spec));
        *body = shift(*body);
        let others = ties.iter().map(|(&at, name)| (self.specs[at].name.clone(), name.clone()));
        let others = others.collect();
        let mut at = 0;
        self.specs.retain(|_| {
            at += 1;
            !ties.contains_key(&(at - 1))
        });
        others
    }

    /// Where each spec went.
    fn reorder(&mut self, order: &[usize]) -> Vec<usize> {
        let mut moved = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, &old)| moved[old] = new);
        self.ties =
            std::mem::take(&mut self.ties).into_iter().map(|(i, n)| (moved[i], n)).collect();
        self.specs = order.iter().map(|&old| self.specs[old].clone()).collect();
        self.held.values_mut().for_each(|held| held.spec = moved[held.spec]);
        moved
    }

    /// Reads parameters, buffers and constants; gives the name of the one input.
    pub(super) fn signature(
        &mut self,
        module: &Module,
        archive: &mut Archive,
    ) -> Result<String, GraphError> {
        let mut inputs = Vec::new();
        for spec in &module.signature.input_specs {
            let Some((kind, body)) = spec.as_object().and_then(|o| o.iter().next()) else {
                return Err(damaged("an input without a kind"));
            };
            let arg = body.get("arg");
            let named = |key: &str| body.get(key).and_then(Json::as_str);
            let own = arg.and_then(|a| a.get("name")).and_then(Json::as_str);
            match (kind.as_str(), own) {
                ("user_input", _) => {
                    inputs.extend(arg.and_then(name_of).map(str::to_owned));
                }
                ("parameter", Some(own)) => {
                    let name = named("parameter_name").unwrap_or(own).to_owned();
                    let meta = module.graph.tensor_values.get(own);
                    let frozen = meta.is_some_and(|m| m.requires_grad == Some(false));
                    self.hold(own, &name, !frozen, archive)?;
                }
                ("buffer", Some(own)) => {
                    let name = named("buffer_name").unwrap_or(own).to_owned();
                    let stored = body.get("persistent").and_then(Json::as_bool) != Some(false);
                    self.buffer(own, &name, stored, archive)?;
                }
                ("tensor_constant", Some(own)) => {
                    let name = named("tensor_constant_name").unwrap_or(own).to_owned();
                    self.constant(own, &name, archive)?;
                }
                (other, _) => {
                    return Err(GraphError::new(format!("an input of kind `{other}`"), WRAP));
                }
            }
        }
        let [input] = &inputs[..] else {
            return Err(GraphError::new(format!("the model takes {} inputs", inputs.len()), WRAP));
        };
        self.slot(input);
        Ok(input.clone())
    }

    /// A parameter, or a buffer that training carries along.
    pub(super) fn hold(
        &mut self,
        own: &str,
        name: &str,
        trainable: bool,
        archive: &mut Archive,
    ) -> Result<(), GraphError> {
        let value = archive.tensor(name, false)?.to_kind(Kind::Float);
        let init = InitRule::Stored(Stored::new(&value));
        let shape = value.size();
        let spec = self.specs.len();
        self.specs.push(ParamSpec { name: name.to_owned(), shape, init, trainable });
        if let Some(first) = archive.shared_with(name) {
            // A parameter that an earlier module holds already: `own` stands for the same value.
            let same = |held: &&Held| self.specs[held.spec].name == first;
            if let Some(slot) = self.held.values().find(same).map(|held| held.slot) {
                self.slots.insert(own.to_owned(), slot);
                self.ties.insert(spec, first);
                return Ok(());
            }
        }
        let slot = self.slot(own);
        self.held.insert(slot, Held { spec, slot });
        Ok(())
    }

    /// Whole numbers (positions, counts of batches) are constants; what is no part of a state dict
    /// is one, too.
    pub(super) fn buffer(
        &mut self,
        own: &str,
        name: &str,
        stored: bool,
        archive: &mut Archive,
    ) -> Result<(), GraphError> {
        if !stored {
            return self.constant(own, name, archive);
        }
        let value = archive.tensor(name, false)?;
        if value.is_floating_point() {
            return self.hold(own, name, false, archive);
        }
        let slot = self.slot(own);
        self.given.push((slot, Given::constant(&value)));
        Ok(())
    }

    pub(super) fn constant(
        &mut self,
        own: &str,
        name: &str,
        archive: &mut Archive,
    ) -> Result<(), GraphError> {
        let value = archive.tensor(name, true).or_else(|_| archive.tensor(name, false))?;
        let slot = self.slot(own);
        self.given.push((slot, Given::constant(&value)));
        Ok(())
    }

    /// Name of the one output, and how many values it has.
    pub(super) fn output(&self, module: &Module) -> Result<(String, i64), GraphError> {
        let user = |spec: &Json| spec.get("user_output").and_then(|s| s.get("arg")).cloned();
        let outputs: Vec<Json> = module.signature.output_specs.iter().filter_map(user).collect();
        let [output] = &outputs[..] else {
            return Err(GraphError::new(
                format!("the model gives {} outputs", outputs.len()),
                WRAP,
            ));
        };
        let name =
            name_of(output).ok_or_else(|| GraphError::new("an output is no tensor", WRAP))?;
        let meta = module.graph.tensor_values.get(name);
        match meta.map(|m| &m.sizes[..]) {
            Some([_, Size::AsInt(classes)]) if *classes > 0 => Ok((name.to_owned(), *classes)),
            _ => Err(GraphError::new("the output is not of shape [B, K]", WRAP)),
        }
    }
}
