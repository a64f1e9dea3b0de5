//! A pickle interpreter that can build state dicts and nothing else.
//!
//! The opcodes are those of protocols 2 to 5 as `pickle` and `torch.save` emit them for plain
//! containers (Python's `pickletools` documents each). What would be imported or called outside
//! [`Callable`](super::value::Callable) becomes an [`opaque`] value, of which the name alone is
//! kept.

use super::Problem;
use super::rebuild::{self, Stored};
use super::value::{Callable, Object, Opaque, StorageRef, Value};
use super::{numpy, opaque};
use std::collections::HashMap;
use suites::foreign::{Budget, limits};

/// Bytes of a value and of an object, twice for lists that grow by doubling.
const VALUE: usize = 2 * size_of::<Value>();
const OBJECT: usize = 2 * size_of::<Object>();
/// Bytes of an entry in a map, beside its value.
const ENTRY: usize = 64;

/// The state of one run, and afterwards its objects.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value<'a>>,
    pub(super) objects: Vec<Object<'a>>,
    pub(super) storages: HashMap<&'a str, StorageRef<'a>>,
    /// What the file may still cost.
    pub(super) budget: Budget,
    arrays: bool,
}

type Step<T = ()> = Result<T, Problem>;

impl<'a> Machine<'a> {
    /// A machine that will read the pickle starting at `bytes[at]`, a file of its own.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Machine::within(bytes, at, Budget::new(&limits::CHECKPOINT, bytes.len() as u64))
    }

    /// As [`Machine::new`], of a file that has so much left to spend.
    pub(super) fn within(bytes: &'a [u8], at: usize, budget: Budget) -> Self {
        Machine {
            bytes,
            at,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            objects: Vec::new(),
            storages: HashMap::new(),
            budget,
            arrays: false,
        }
    }

    /// The same machine, which also knows the arrays of NumPy.
    pub(super) fn with_arrays(mut self) -> Self {
        self.arrays = true;
        self
    }

    /// Runs to STOP. Returns the value left and the offset just behind the program.
    pub(super) fn run(&mut self) -> Step<(Value<'a>, usize)> {
        loop {
            let opcode = self.take(1)?[0];
            if opcode == b'.' {
                return Ok((self.pop()?, self.at));
            }
            let known = self.scalar(opcode)?
                || self.container(opcode)?
                || self.machinery(opcode)?
                || self.calls(opcode)?;
            if !known {
                return Err(Problem::Refused(format!(
                    "pickle opcode 0x{opcode:02x} at byte {}, which a state dict of pickle \
                     protocol 2 to 5 does not use",
                    self.at - 1
                )));
            }
        }
    }

    fn scalar(&mut self, opcode: u8) -> Step<bool> {
        let value = match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.uint(1)? as i64),
            b'M' => Value::Int(self.uint(2)? as i64),
            b'J' => Value::Int(i64::from(self.uint(4)? as u32 as i32)),
            0x8a => self.long(1)?,
            0x8b => self.long(4)?,
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            b'U' | 0x8c => self.text(1)?,
            b'T' | b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' => self.bytes(1)?,
            b'B' => self.bytes(4)?,
            0x8e | 0x96 => self.bytes(8)?,
            _ => return Ok(false),
        };
        self.push(value)?;
        Ok(true)
    }

    fn container(&mut self, opcode: u8) -> Step<bool> {
        match opcode {
            b')' => self.object(Object::Tuple(Vec::new()))?,
            b']' => self.object(Object::List(Vec::new()))?,
            b'}' => self.object(Object::Dict(Vec::new()))?,
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(opcode - 0x84))?;
                self.keep(items.len())?;
                self.object(Object::Tuple(items))?;
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.keep(items.len())?;
                self.object(Object::Tuple(items))?;
            }
            b'a' => {
                let items = self.pop_many(1)?;
                self.extend_list(items)?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.extend_list(items)?;
            }
            b's' => {
                let items = self.pop_many(2)?;
                self.extend_dict(items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.extend_dict(items)?;
            }
            0x8f => self.object(Object::Opaque(set("set")))?,
            0x90 => {
                let items = self.pop_to_mark()?;
                self.keep(items.len())?;
                if !matches!(self.top_object()?, Object::Opaque(_)) {
                    return Err(self.wrong("items for something that is not a set"));
                }
            }
            0x91 => {
                self.pop_to_mark()?;
                self.object(Object::Opaque(set("frozenset")))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn machinery(&mut self, opcode: u8) -> Step<bool> {
        match opcode {
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => {
                self.count()?;
                self.marks.push(self.stack.len());
            }
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'q' => {
                let slot = self.uint(1)?;
                self.remember(slot as usize)?;
            }
            b'r' => {
                let slot = self.uint(4)?;
                self.remember(slot as usize)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'h' => {
                let slot = self.uint(1)?;
                self.recall(slot as usize)?;
            }
            b'j' => {
                let slot = self.uint(4)?;
                self.recall(slot as usize)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Imports and calls, of which none is run.
    fn calls(&mut self, opcode: u8) -> Step<bool> {
        match opcode {
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.import(module, name)?;
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                match (module, name) {
                    (Value::Text(module), Value::Text(name)) => self.import(module, name)?,
                    _ => return Err(self.wrong("an import that is not named by two strings")),
                }
            }
            b'Q' => {
                let id = self.pop()?;
                let object = match rebuild::storage(self, id)? {
                    Stored::Known(storage) => {
                        self.budget.hold_many(1, size_of::<StorageRef>() + ENTRY)?;
                        self.storages.insert(storage.key, storage);
                        Object::Storage(storage)
                    }
                    Stored::Opaque(class) => Object::Opaque(Opaque { made: true, ..class }),
                };
                self.object(object)?;
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let result = rebuild::call(self, function, arguments)?;
                self.push(result)?;
            }
            0x81 => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                self.make(class, arguments)?;
            }
            0x92 => {
                let (_, arguments, class) = (self.pop()?, self.pop()?, self.pop()?);
                self.make(class, arguments)?;
            }
            b'b' => self.build()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// NEWOBJ: an object of a class, which is as a call of it.
    fn make(&mut self, class: Value<'a>, arguments: Value<'a>) -> Step {
        let result = rebuild::call(self, class, arguments)?;
        self.push(result)
    }

    /// BUILD sets attributes: those of an array are all there is of it. Of a state dict these are
    /// `_metadata` (version numbers), of an old parameter its flags: neither holds weights.
    fn build(&mut self) -> Step {
        let state = self.pop()?;
        let target = self.pop()?;
        if let (Value::Ref(index), Some(Object::Array(_))) = (target, self.get(target)) {
            self.objects[index] = Object::Array(Some(numpy::array(self, state)?));
            return self.push(target);
        }
        if let Some(Object::Float32) = self.get(target) {
            numpy::little_endian(self, state)?;
            return self.push(target);
        }
        match self.get(target) {
            Some(Object::Dict(_) | Object::Tensor(_) | Object::Opaque(_)) => self.push(target),
            _ => Err(Problem::Refused(
                "attributes set on something other than a dict or a tensor".into(),
            )),
        }
    }

    fn import(&mut self, module: &'a str, name: &'a str) -> Step {
        let array = if self.arrays { numpy::find(module, name) } else { None };
        match array.or_else(|| Callable::find(module, name)) {
            Some(found) => self.object(Object::Callable(found)),
            None if self.arrays => Err(Problem::Refused(format!(
                "it refers to `{}.{}`, which dicts of f32 arrays do not need",
                shown(module),
                shown(name)
            ))),
            None => {
                let import = opaque::import(module, name)?;
                self.object(import)
            }
        }
    }

    /// The object that `value` refers to.
    pub(super) fn get(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match value {
            Value::Ref(index) => self.objects.get(index),
            _ => None,
        }
    }

    /// The items of a tuple or list.
    pub(super) fn items(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match self.get(value)? {
            Object::Tuple(items) | Object::List(items) => Some(items),
            _ => None,
        }
    }

    /// Adds an object to the arena.
    pub(super) fn add(&mut self, object: Object<'a>) -> Step<Value<'a>> {
        self.budget.hold_many(1, OBJECT)?;
        self.objects.push(object);
        Ok(Value::Ref(self.objects.len() - 1))
    }

    /// Pays for values in a container, or for another list of them.
    pub(super) fn keep(&mut self, values: usize) -> Step {
        Ok(self.budget.build(values, VALUE)?)
    }

    /// A malformed program at the present place.
    pub(super) fn wrong(&self, what: &str) -> Problem {
        Problem::malformed(self.at, what)
    }

    fn object(&mut self, object: Object<'a>) -> Step {
        let value = self.add(object)?;
        self.push(value)
    }

    fn count(&mut self) -> Step {
        self.keep(1)
    }

    fn push(&mut self, value: Value<'a>) -> Step {
        self.count()?;
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Step<Value<'a>> {
        // A value below the last mark belongs to whoever set the mark.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.wrong("the pickle takes a value that it never made"));
        }
        self.stack.pop().ok_or_else(|| self.wrong("the pickle's stack is empty"))
    }

    fn pop_many(&mut self, n: usize) -> Step<Vec<Value<'a>>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(n) {
            Some(start) if start >= floor => Ok(self.stack.split_off(start)),
            _ => Err(self.wrong("the pickle takes values that it never made")),
        }
    }

    fn pop_to_mark(&mut self) -> Step<Vec<Value<'a>>> {
        let mark = self
            .marks
            .pop()
            .ok_or_else(|| self.wrong("the pickle closes a group that it never opened"))?;
        Ok(self.stack.split_off(mark))
    }

    fn top_object(&mut self) -> Step<&mut Object<'a>> {
        let top = self.stack.last().copied();
        let at = self.at;
        match top {
            Some(Value::Ref(index)) => self.objects.get_mut(index),
            _ => None,
        }
        .ok_or_else(|| Problem::malformed(at, "items for something that is not a container"))
    }

    fn extend_list(&mut self, items: Vec<Value<'a>>) -> Step {
        let at = self.at;
        self.keep(items.len())?;
        match self.top_object()? {
            Object::List(list) => {
                list.extend(items);
                Ok(())
            }
            Object::Opaque(opaque) if opaque.made => Ok(()),
            _ => Err(Problem::malformed(at, "items for something that is not a list")),
        }
    }

    fn extend_dict(&mut self, items: Vec<Value<'a>>) -> Step {
        let at = self.at;
        self.keep(items.len())?;
        let top = self.top_object()?;
        // A dict of a class that is not known is a dict.
        if matches!(top, Object::Opaque(opaque) if opaque.made) {
            *top = Object::Dict(Vec::new());
        }
        match top {
            Object::Dict(pairs) if items.len().is_multiple_of(2) => {
                pairs.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
                Ok(())
            }
            _ => Err(Problem::malformed(at, "pairs for something that is not a dict")),
        }
    }

    fn remember(&mut self, slot: usize) -> Step {
        let top = *self.stack.last().ok_or_else(|| self.wrong("nothing to put into the memo"))?;
        self.count()?;
        self.budget.hold_many(1, ENTRY)?;
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, slot: usize) -> Step {
        let value =
            *self.memo.get(&slot).ok_or_else(|| self.wrong("the memo has no such entry"))?;
        self.push(value)
    }

    fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let slice = self
            .at
            .checked_add(n)
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or_else(|| self.wrong("the pickle ends before its end"))?;
        self.at += n;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn uint(&mut self, width: usize) -> Step<u64> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |n, &b| (n << 8) | u64::from(b)))
    }

    fn long(&mut self, length: usize) -> Step<Value<'a>> {
        let width = self.uint(length)? as usize;
        let bytes = self.take(width)?;
        if width > 8 {
            return Ok(Value::Long(bytes));
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..width].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(wide)))
    }

    fn bytes(&mut self, width: usize) -> Step<Value<'a>> {
        Ok(Value::Bytes(self.lengthy(width)?))
    }

    /// Bytes behind a length of `width` bytes.
    fn lengthy(&mut self, width: usize) -> Step<&'a [u8]> {
        let length = self.uint(width)?;
        let length =
            usize::try_from(length).map_err(|_| self.wrong("a string longer than the file"))?;
        self.take(length)
    }

    fn text(&mut self, width: usize) -> Step<Value<'a>> {
        let bytes = self.lengthy(width)?;
        let text =
            std::str::from_utf8(bytes).map_err(|_| self.wrong("a string that is not UTF-8"))?;
        Ok(Value::Text(text))
    }

    fn line(&mut self) -> Step<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest
            .iter()
            .position(|&b| b == b'\n')
            .ok_or_else(|| self.wrong("an import without its end of line"))?;
        let line = self.take(end + 1)?;
        std::str::from_utf8(&line[..end])
            .map_err(|_| self.wrong("an import whose name is not UTF-8"))
    }
}

/// What an opcode of its own makes.
fn set(name: &'static str) -> Opaque<'static> {
    Opaque { module: "builtins", name, made: true }
}

/// A name from the file, fit for a one-line message.
pub(super) fn shown(name: &str) -> String {
    let short: String = name.chars().take(80).collect();
    suites::foreign::printable(&short).into_owned()
}
