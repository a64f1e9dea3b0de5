//! The pipeline of defenses: which are there, in which order, and the one protocol among them.

use protocols::{Exposure, PROTOCOLS, Plain, Protocol};
use serde_json::{Map, Value};
use suites::{Entry, Named, Registry, SpecError};

use crate::{Defense, ENTRIES, Stage};

/// What a suite's list of defenses may name. No defense is called as a protocol is.
#[derive(Clone, Debug)]
pub struct Registries {
    defenses: Registry<Entry<dyn Defense>>,
    protocols: Registry<Entry<dyn Protocol>>,
}

impl Registries {
    /// The defenses and protocols that ship with the project.
    pub fn builtin() -> Registries {
        Registries {
            defenses: Registry::builtin("defense", ENTRIES),
            protocols: Registry::builtin("protocol", PROTOCOLS),
        }
    }

    /// The same with one defense more.
    ///
    /// # Errors
    /// A name that a defense or a protocol has.
    pub fn with_defense(self, entry: &'static Entry<dyn Defense>) -> Result<Registries, SpecError> {
        self.protocols.free(entry.name)?;
        Ok(Registries { defenses: self.defenses.with(entry)?, ..self })
    }

    /// The same with one protocol more.
    ///
    /// # Errors
    /// A name that a defense or a protocol has.
    pub fn with_protocol(
        self,
        entry: &'static Entry<dyn Protocol>,
    ) -> Result<Registries, SpecError> {
        self.defenses.free(entry.name)?;
        Ok(Registries { protocols: self.protocols.with(entry)?, ..self })
    }

    /// The defenses.
    pub fn defenses(&self) -> &Registry<Entry<dyn Defense>> {
        &self.defenses
    }

    /// The protocols.
    pub fn protocols(&self) -> &Registry<Entry<dyn Protocol>> {
        &self.protocols
    }
}

/// An item of a suite's list of defenses.
pub enum Item {
    /// Acts on examples, gradients, updates or their mean.
    Defense(Box<dyn Defense>),
    /// Carries the updates.
    Protocol(Box<dyn Protocol>),
}

impl Item {
    /// Its parameters, all spelled out.
    pub fn spelled_out(&self) -> Map<String, Value> {
        match self {
            Item::Defense(defense) => defense.spelled_out(),
            Item::Protocol(protocol) => protocol.spelled_out(),
        }
    }
}

/// Builds the item of that name.
///
/// # Errors
/// Unknown names and parameters out of range.
pub fn parse_item(registries: &Registries, named: &Named) -> Result<Item, SpecError> {
    let Registries { defenses, protocols } = registries;
    if let Some(entry) = protocols.get(&named.name) {
        return Ok(Item::Protocol((entry.build)(&named.params)?));
    }
    if let Some(entry) = defenses.get(&named.name) {
        return Ok(Item::Defense((entry.build)(&named.params)?));
    }
    let known = defenses.names().chain(protocols.names());
    Err(SpecError::unknown_name("defense", &named.name, known))
}

/// Writes out the defaults of a list of defenses.
///
/// # Errors
/// As [`parse_item`].
pub fn spell_out(registries: &Registries, items: &mut [Named]) -> Result<(), SpecError> {
    for named in items {
        named.params = parse_item(registries, named)?.spelled_out();
    }
    Ok(())
}

/// A cell's defenses, and how its updates travel.
pub struct DefensePipeline {
    /// In order, without the protocol.
    pub defenses: Vec<Box<dyn Defense>>,
    /// `plain` where none is named.
    pub protocol: Box<dyn Protocol>,
    /// Where the protocol stands in the cell's list; `None` where none is named.
    pub protocol_at: Option<usize>,
}

impl DefensePipeline {
    /// No defense at all: updates travel in the plain.
    pub fn undefended() -> DefensePipeline {
        let protocol = Box::new(Plain::default());
        DefensePipeline { defenses: Vec::new(), protocol, protocol_at: None }
    }

    /// Where the defense at `index`, counted without the protocol, stands in the cell's list.
    pub fn place(&self, index: usize) -> usize {
        index + usize::from(self.protocol_at.is_some_and(|at| at <= index))
    }
}

/// Builds all of a cell's items and sees that they stand in the order in which they happen, and
/// that none voids another's guarantee.
///
/// # Errors
/// Unknown names, a second protocol, an item that stands before one that acts earlier, or after one
/// that it would undo.
pub fn build(registries: &Registries, items: &[Named]) -> Result<DefensePipeline, SpecError> {
    let mut defenses: Vec<Box<dyn Defense>> = Vec::new();
    let mut protocol = None;
    let mut before: Option<(StageOrder, &str)> = None;
    for (at, named) in items.iter().enumerate() {
        let part = parse_item(registries, named)?;
        let place = StageOrder::from_item(&part);
        in_order(at, named, place, before)?;
        before = Some((place, &named.name));
        match part {
            Item::Defense(defense) => {
                after(&defenses, defense.as_ref())
                    .map_err(|(problem, remedy)| refused(at, problem, remedy))?;
                defenses.push(defense);
            }
            Item::Protocol(_) if protocol.is_some() => {
                let problem = format!("`{}` is a second protocol", named.name);
                return Err(refused(at, problem, "updates travel by one; drop one of them"));
            }
            Item::Protocol(p) => protocol = Some((at, p)),
        }
    }
    let (protocol_at, protocol) = match protocol {
        Some((at, protocol)) => (Some(at), protocol),
        None => (None, Box::new(Plain::default()) as Box<dyn Protocol>),
    };
    let pipeline = DefensePipeline { defenses, protocol, protocol_at };
    carried(items, &pipeline)?;
    Ok(pipeline)
}

fn refused(at: usize, problem: impl Into<String>, remedy: impl Into<String>) -> SpecError {
    SpecError::value(format!("defenses.{at}"), problem, remedy)
}

fn in_order(
    at: usize,
    named: &Named,
    place: StageOrder,
    before: Option<(StageOrder, &str)>,
) -> Result<(), SpecError> {
    let Some((earlier, name)) = before.filter(|(earlier, _)| *earlier > place) else {
        return Ok(());
    };
    let words = (place.words(), earlier.words());
    let problem = format!(
        "`{}` acts {} but stands after `{name}`, which acts {}",
        named.name, words.0, words.1
    );
    Err(refused(at, problem, format!("write it before `{name}`")))
}

/// What a protocol must do, or must not do, for the defenses around it.
fn carried(items: &[Named], pipeline: &DefensePipeline) -> Result<(), SpecError> {
    if pipeline.protocol.server_sees_sum() != Exposure::Clear
        && let Some(at) = pipeline.defenses.iter().position(|d| d.stage() == Stage::Server)
    {
        let problem = format!(
            "`{}` acts on the mean at the server, which holds only its ciphertext",
            items[pipeline.place(at)].name
        );
        let remedy = "use a defense of the clients, such as `dp-distributed`, or a protocol whose \
            sum the server reads";
        return Err(refused(pipeline.place(at), problem, remedy));
    }
    if pipeline.protocol.server_sees_sum() != Exposure::Clear
        && let Some(at) = pipeline.defenses.iter().position(|d| d.needs_sum() && d.tolerates() == 0)
    {
        let problem = format!(
            "only clients see the sum, and each of them knows its own share of the noise of `{}`",
            items[pipeline.place(at)].name
        );
        let remedy = "write tolerate = 1 or more, so that the others' shares suffice";
        return Err(refused(pipeline.place(at), problem, remedy));
    }
    if pipeline.protocol.server_sees_update() != Exposure::Clear {
        return Ok(());
    }
    match pipeline.defenses.iter().position(|d| d.needs_sum()) {
        Some(at) => {
            let problem = format!(
                "each client of `{}` adds only its share of the noise, which protects a sum but \
                 no single update",
                items[pipeline.place(at)].name
            );
            Err(refused(
                pipeline.place(at),
                problem,
                "put a protocol that hides single updates after it, such as `secagg`",
            ))
        }
        None => Ok(()),
    }
}

/// What may not follow upon earlier defenses, because it would void their guarantee: the problem
/// and its remedy.
fn after(
    earlier: &[Box<dyn Defense>],
    next: &dyn Defense,
) -> Result<(), (&'static str, &'static str)> {
    if earlier.iter().any(|d| d.needs_sum()) {
        return Err((
            "acts after noise was drawn in shares, which protects only the plain sum of what \
             clients noised",
            "let nothing but the protocol follow the distributed noise",
        ));
    }
    if next.reads_examples() && earlier.iter().any(|d| d.private()) {
        return Err((
            "looks at the private examples after a mechanism that protects them, and voids its \
             guarantee",
            "write it before that mechanism, or leave one of them out",
        ));
    }
    if next.private()
        && next.stage() == Stage::Training
        && earlier.iter().any(|d| d.mixes_examples())
    {
        return Err((
            "protects single training items, but a defense before it puts one example into several",
            "leave one of them out, or protect whole clients",
        ));
    }
    Ok(())
}

/// Where in a round an item acts.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum StageOrder {
    Client(Stage),
    Carried,
    Server,
}

impl StageOrder {
    fn from_item(part: &Item) -> StageOrder {
        match part {
            Item::Protocol(_) => StageOrder::Carried,
            Item::Defense(d) if d.stage() == Stage::Server => StageOrder::Server,
            Item::Defense(d) => StageOrder::Client(d.stage()),
        }
    }

    fn words(self) -> &'static str {
        match self {
            StageOrder::Client(Stage::Model) => "on the model",
            StageOrder::Client(Stage::Data) => "on the client's examples",
            StageOrder::Client(Stage::Training) => "inside local training",
            StageOrder::Client(_) => "on the client's update",
            StageOrder::Carried => "on the way to the server",
            StageOrder::Server => "at the server",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(names: &[&str]) -> String {
        let items: Vec<Named> = names.iter().map(|n| Named::new(*n)).collect();
        build(&Registries::builtin(), &items).err().map_or("accepted".into(), |e| e.to_string())
    }

    #[test]
    fn the_order_is_that_of_reality() {
        assert_eq!(said(&["dp-local", "plain"]), "accepted");
        assert_eq!(said(&["prune", "plain", "dp-central"]), "accepted");
        let line = said(&["plain", "prune"]);
        assert!(line.contains("defenses.1") && line.contains("write it before `plain`"), "{line}");
        let line = said(&["dp-central", "prune"]);
        assert!(line.contains("at the server"), "{line}");
        assert!(said(&["plain", "plain"]).contains("second protocol"));
        assert_eq!(said(&["dp-distributed", "secagg"]), "accepted");
        assert!(said(&["dp-distributed"]).contains("such as `secagg`"));
        assert!(said(&["dp-distributed", "prune", "secagg"]).contains("noise was drawn in shares"));
        assert!(said(&["dp-local", "soteria"]).contains("voids its guarantee"));
        assert_eq!(said(&["soteria", "dp-local"]), "accepted");
        assert!(said(&["mixup", "dp-sgd"]).contains("one example into several"));
        assert!(said(&["ckks", "dp-central"]).contains("only its ciphertext"));
        assert_eq!(said(&["secagg", "dp-central"]), "accepted");
        for holder in ["ckks", "paillier"] {
            let line = said(&["dp-distributed", holder]);
            assert!(line.contains("own share") && line.contains("tolerate = 1"), "{line}");
            let mut shares = Named::new("dp-distributed");
            shares.params.insert("tolerate".into(), 1.into());
            let items = [shares, Named::new(holder)];
            assert!(build(&Registries::builtin(), &items).is_ok(), "{holder}");
        }
        assert!(said(&["prun"]).contains("did you mean"), "{}", said(&["prun"]));
    }
}
