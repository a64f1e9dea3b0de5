//! Nodes that reduce, move, cut and join values.

use rten_onnx::onnx::NodeProto;

use super::super::GraphError;
use super::super::value::{Arg, Whole};
use super::Reader;
use super::nodes::{UNARY, int, ints, number, place, text, unread, whole, wholes};

impl Reader {
    pub fn reduce(
        &mut self,
        node: &NodeProto,
        op: &str,
        axes: &[i64],
        keep: bool,
    ) -> Result<(), GraphError> {
        let found = UNARY.iter().find(|(own, _)| *own == op).map_or("mean", |(_, name)| name);
        if axes.is_empty() && int(node, "noop_with_empty_axes").unwrap_or(0) == 1 {
            if op == "ReduceL2" {
                let x = self.input(node, 0)?;
                return self.one(node, "abs", vec![("self", x)]);
            }
            self.alias(&node.output[0], &node.input[0]);
            return Ok(());
        }
        let args = vec![
            ("self", self.input(node, 0)?),
            ("dim", wholes(axes)),
            ("keepdim", Arg::Bool(keep)),
        ];
        self.one(node, found, args)
    }

    pub fn move_values(&mut self, node: &NodeProto, op: &str) -> Result<(), GraphError> {
        let x = self.input(node, 0)?;
        match op {
            "Reshape" => {
                let shape = self.target(node)?;
                self.one(node, "reshape", vec![("self", x), ("shape", Arg::Wholes(shape))])
            }
            "Flatten" => {
                let axis = int(node, "axis").unwrap_or(1);
                if axis != 1 {
                    return Err(unread(format!("a flattening from dimension {axis} on")));
                }
                self.one(node, "flatten", vec![("self", x), ("start_dim", whole(1))])
            }
            "Transpose" => {
                let order = ints(node, "perm");
                if order.is_empty() {
                    return Err(unread("a reversal of all dimensions"));
                }
                let slot = self.slot(&node.input[0])?;
                let held = self.low.held.contains_key(&slot);
                if held && order == [1, 0] {
                    let weight = self.named(&node.input[0]).to_owned();
                    self.turned.insert(node.output[0].clone(), weight);
                    // Used as a weight it is no step; the count of its uses stays one.
                    if self.multiplied.contains(&node.output[0]) {
                        return Ok(());
                    }
                }
                self.one(node, "permute", vec![("self", x), ("dims", wholes(&order))])
            }
            "Squeeze" => {
                let axes = self.axes(node, 1)?;
                self.one(node, "squeeze", vec![("self", x), ("dim", wholes(&axes))])
            }
            "Unsqueeze" => {
                let mut axes = self.axes(node, 1)?;
                if axes.len() > 8 {
                    return Err(unread(format!("{} new dimensions", axes.len())));
                }
                if axes.len() > 1 && axes.iter().any(|axis| *axis < 0) {
                    let rank = self.rank(&node.input[0]);
                    let rank = rank.ok_or_else(|| unread("new dimensions counted from the end"))?;
                    let all = (rank + axes.len()) as i64;
                    axes.iter_mut().filter(|axis| **axis < 0).for_each(|axis| *axis += all);
                }
                axes.sort_unstable();
                let mut from = node.input[0].clone();
                for (i, axis) in axes.iter().enumerate() {
                    let to =
                        if i + 1 == axes.len() { node.output[0].clone() } else { self.between() };
                    let args = vec![("self", self.arg(&from)?), ("dim", whole(*axis))];
                    self.push("unsqueeze", args, &[&to], &place(node))?;
                    from = to;
                }
                Ok(())
            }
            "Expand" => {
                if self.scalar(node, 0) == Some(0.0) || self.zeros.contains(&node.input[0]) {
                    self.zeros.insert(node.output[0].clone());
                }
                let kept =
                    |size: Whole| if size == Whole::Given(1) { Whole::Given(-1) } else { size };
                let shape = self.list(node, 1)?.into_iter().map(kept).collect();
                self.one(node, "expand", vec![("self", x), ("size", Arg::Wholes(shape))])
            }
            _ => {
                let times = self.list(node, 1)?;
                self.one(node, "repeat", vec![("self", x), ("repeats", Arg::Wholes(times))])
            }
        }
    }

    pub fn cut(&mut self, node: &NodeProto, op: &str) -> Result<(), GraphError> {
        match op {
            "Concat" => {
                let parts: Vec<Option<usize>> = node
                    .input
                    .iter()
                    .map(|name| self.slot(name).map(Some))
                    .collect::<Result<_, _>>()?;
                let axis = whole(int(node, "axis").unwrap_or(0));
                self.one(node, "cat", vec![("tensors", Arg::Slots(parts)), ("dim", axis)])
            }
            "Split" => {
                let axis = whole(int(node, "axis").unwrap_or(0));
                let sizes = self.given(node, 1)?;
                let x = self.input(node, 0)?;
                let outputs: Vec<&str> = node.output.iter().map(String::as_str).collect();
                if sizes.is_empty() {
                    let args =
                        vec![("self", x), ("chunks", whole(outputs.len() as i64)), ("dim", axis)];
                    return self.push("chunk", args, &outputs, &place(node));
                }
                let args = vec![("self", x), ("split_sizes", wholes(&sizes)), ("dim", axis)];
                self.push("split_with_sizes", args, &outputs, &place(node))
            }
            "Slice" => self.slice(node),
            "Gather" => self.gather(node),
            "Pad" => self.pad(node),
            _ => self.resize(node),
        }
    }

    /// Whether a value is a parameter of two dimensions, whose rows are looked up.
    fn is_table(&self, name: &str) -> bool {
        let slot = self.low.slots.get(self.named(name));
        let held = slot.and_then(|slot| self.low.held.get(slot));
        held.is_some_and(|held| self.low.specs[held.spec].shape.len() == 2)
    }

    /// A split whose parts are taken one by one.
    pub fn sequence(&mut self, node: &NodeProto, op: &str) -> Result<(), GraphError> {
        let name = node.output[0].clone();
        if op == "SequenceAt" {
            let at = self.given(node, 1)?.first().copied().unwrap_or(0);
            let parts = self.parts.get(&node.input[0]).cloned().unwrap_or_default();
            let at = if at < 0 { at + parts.len() as i64 } else { at };
            let part = usize::try_from(at).ok().and_then(|at| parts.get(at).cloned());
            self.alias(&name, &part.ok_or_else(|| unread("a part that is not there"))?);
            return Ok(());
        }
        let sizes = self.given(node, 1)?;
        // One size is that of every part; those that are taken are counted.
        let count = match sizes.len() {
            1 => self.taken.get(&name).copied().unwrap_or(1),
            n => n,
        };
        let parts: Vec<String> = (0..count).map(|_| self.between()).collect();
        let x = self.input(node, 0)?;
        let axis = whole(int(node, "axis").unwrap_or(0));
        let names: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (operation, by) = match sizes[..] {
            [one] => ("split", ("split_size", whole(one))),
            _ => ("split_with_sizes", ("split_sizes", wholes(&sizes))),
        };
        self.push(operation, vec![("self", x), by, ("dim", axis)], &names, &place(node))?;
        self.parts.insert(name, parts);
        Ok(())
    }

    fn slice(&mut self, node: &NodeProto) -> Result<(), GraphError> {
        let (from, to) = (self.list(node, 1)?, self.list(node, 2)?);
        let axes = match &self.given(node, 3)?[..] {
            [] => (0..from.len() as i64).collect(),
            axes => axes.to_vec(),
        };
        let steps = self.given(node, 4)?;
        let whole_back = steps == [-1]
            && matches!(from[..], [Whole::Given(n)] if n == -1 || n > i64::from(i32::MAX))
            && matches!(to[..], [Whole::Given(n)] if n <= i64::from(i32::MIN));
        if whole_back {
            let args = vec![("self", self.input(node, 0)?), ("dims", wholes(&axes))];
            return self.one(node, "flip", args);
        }
        if steps.iter().any(|s| *s < 1) || axes.len() != from.len() || to.len() != from.len() {
            return Err(unread("a part that is read backwards"));
        }
        let arg = |size: Whole| match size {
            Whole::Given(n) => whole(n),
            Whole::Of(slot) => Arg::Slot(slot),
        };
        let mut x = node.input[0].clone();
        for (i, &axis) in axes.iter().enumerate() {
            let out = if i + 1 == axes.len() { node.output[0].clone() } else { self.between() };
            let args = vec![
                ("self", self.arg(&x)?),
                ("dim", whole(axis)),
                ("start", arg(from[i])),
                ("end", arg(to[i])),
                ("step", whole(steps.get(i).copied().unwrap_or(1))),
            ];
            self.push("slice", args, &[&out], &place(node))?;
            x = out;
        }
        Ok(())
    }

    fn gather(&mut self, node: &NodeProto) -> Result<(), GraphError> {
        let axis = int(node, "axis").unwrap_or(0);
        let at = self.named(&node.input[1]).to_owned();
        let fixed = self.tensors.get(&at).ok().filter(|index| index.dim() <= 1);
        let listed = self.sizes.contains_key(&at) && self.given(node, 1).is_ok();
        let scalar = self.scalars.contains(&at) || fixed.is_some_and(|index| index.dim() == 0);
        if listed && scalar {
            let index = whole(self.given(node, 1)?[0]);
            let args = vec![("self", self.input(node, 0)?), ("dim", whole(axis)), ("index", index)];
            return self.one(node, "select", args);
        }
        if listed {
            let (x, index) = (self.input(node, 0)?, self.input(node, 1)?);
            let args = vec![("self", x), ("dim", whole(axis)), ("index", index)];
            return self.one(node, "index_select", args);
        }
        if axis == 0 && self.is_table(&node.input[0]) {
            let args = vec![("weight", self.input(node, 0)?), ("indices", self.input(node, 1)?)];
            return self.one(node, "embedding", args);
        }
        Err(unread("an index that depends on the example"))
    }

    fn pad(&mut self, node: &NodeProto) -> Result<(), GraphError> {
        let pads = self.given(node, 1)?;
        let n = pads.len() / 2;
        let by: Vec<i64> = (0..n).rev().flat_map(|d| [pads[d], pads[n + d]]).collect();
        let trailing = by.chunks(2).rev().take_while(|p| *p == [0, 0]).count();
        let by = &by[..by.len() - 2 * trailing];
        let mode = match text(node, "mode").unwrap_or("constant") {
            "constant" => "constant",
            "reflect" => "reflect",
            "edge" => "replicate",
            other => return Err(unread(format!("a padding of mode {other}"))),
        };
        if Self::has_input(node, 3) {
            return Err(unread("a padding by axes"));
        }
        let args = vec![
            ("self", self.input(node, 0)?),
            ("pad", wholes(by)),
            ("mode", Arg::Text(mode.into())),
            ("value", number(self.scalar(node, 2).unwrap_or(0.0))),
        ];
        self.one(node, "pad", args)
    }

    fn resize(&mut self, node: &NodeProto) -> Result<(), GraphError> {
        let other = int(node, "antialias").unwrap_or(0) != 0
            || !ints(node, "axes").is_empty()
            || text(node, "keep_aspect_ratio_policy").is_some_and(|how| how != "stretch");
        if other {
            return Err(unread("a change of size with antialias, axes or a kept aspect ratio"));
        }
        let places = text(node, "coordinate_transformation_mode").unwrap_or("half_pixel");
        let nearest = text(node, "nearest_mode").unwrap_or("round_prefer_floor");
        let (name, corners) = match (text(node, "mode").unwrap_or("nearest"), places) {
            ("nearest", "asymmetric") if nearest == "floor" => ("upsample_nearest2d", false),
            ("linear", "half_pixel" | "pytorch_half_pixel") => ("upsample_bilinear2d", false),
            ("linear", "align_corners") => ("upsample_bilinear2d", true),
            (mode, places) => return Err(unread(format!("a change of size {mode}, {places}"))),
        };
        let mut args = vec![("self", self.input(node, 0)?)];
        if Self::has_input(node, 3) {
            let sizes = self.list(node, 3)?;
            args.push((
                "output_size",
                Arg::Wholes(sizes[sizes.len().saturating_sub(2)..].to_vec()),
            ));
        } else {
            let name = self.named(node.input.get(2).map_or("", String::as_str)).to_owned();
            let scales = self.tensors.get(&name)?.to_kind(tch::Kind::Double);
            let scales = Vec::<f64>::try_from(scales).unwrap_or_default();
            if scales.len() != 4 || scales[..2] != [1.0, 1.0] {
                return Err(unread("a change of size of what is no batch of images"));
            }
            args.push((
                "scale_factors",
                Arg::Floats(scales[scales.len().saturating_sub(2)..].to_vec()),
            ));
        }
        if name == "upsample_bilinear2d" {
            args.push(("align_corners", Arg::Bool(corners)));
        }
        self.one(node, name, args)
    }
}
