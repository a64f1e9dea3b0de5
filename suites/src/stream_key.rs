//! Keys of random streams: what two draws must share to be the same draw.
//!
//! A key is canonical JSON (sorted keys, one spelling a number) of values that are listed here by
//! the words of a suite. Neither the order in which a user writes parameters, nor `1` for `1.0`,
//! nor the name of a Rust field changes a draw; [`VERSION`] does, and so does every value listed.

use serde_json::{Value, json};

use crate::canonical;
use crate::spec::{ModelSpec, Named, TaskSpec};
use crate::train::TrainSpec;

/// Version of this language; raised when a key comes to mean something else.
pub const VERSION: u32 = 2;

/// Key of the rounds of bare clients: task and clients, not source, attack or defense.
pub fn images(spec: &TrainSpec) -> String {
    let (clients, local) = (&spec.federation.clients, &spec.federation.local);
    key(
        "images",
        json!({
            "task": task(&spec.task),
            "total": clients.total,
            "partition": clients.partition,
            "batch_size": local.batch_size,
        }),
    )
}

/// Key of a federation's rounds: task, clients, regime and batch, not source, attack or defense.
pub fn training(spec: &TrainSpec) -> String {
    let federation = &spec.federation;
    let clients = &federation.clients;
    key(
        "training",
        json!({
            "task": task(&spec.task),
            "clients": {
                "total": clients.total,
                "per_round": clients.per_round,
                "sampling": clients.sampling,
                "dropout": clients.dropout,
                "partition": clients.partition,
                "examples": clients.examples,
            },
            "regime": federation.regime,
            "batch_size": federation.local.batch_size,
        }),
    )
}

/// Key of the division of a task's examples among the clients of a federation.
pub fn partition(spec: &TrainSpec) -> String {
    let clients = &spec.federation.clients;
    key(
        "partition",
        json!({
            "task": task(&spec.task), "total": clients.total, "partition": clients.partition,
        }),
    )
}

/// Key of a model's first weights: data set, label, architecture and initial distribution, so that
/// a training and the cells that attack it start alike. The parameters are fully spelled out.
pub fn weights(task: &TaskSpec, model: &ModelSpec) -> String {
    key(
        "weights",
        json!({
            "dataset": task.dataset, "label": task.label,
            "model": model.name, "params": model.params, "init": model.init,
        }),
    )
}

/// Key of the secrets of a protocol among bare clients whose rounds have the key `rounds`: another
/// model or another list of defenses has other masks and keys.
pub fn bare_secrets(rounds: &str, model: &ModelSpec, defenses: &[Named]) -> String {
    key(
        "secrets",
        json!({
            "rounds": rounds,
            "model": {
                "name": model.name, "params": model.params, "init": model.init,
                "weights": model.weights, "batch_norm": model.batch_norm,
            },
            "defenses": defenses,
        }),
    )
}

/// Key of the secrets of a protocol in a federation: no other training has them, since the
/// difference of two uploads under one mask is that of two updates in the clear.
pub fn secrets(rounds: &str, spec: &TrainSpec) -> String {
    key("secrets", json!({ "rounds": rounds, "training": spec.digest() }))
}

/// Key of rehearsal `n` of what has the key `own`: an adversary's round on public examples, none
/// of whose draws is one of the attacked round.
pub fn rehearsal(own: &str, n: usize) -> String {
    key("rehearsal", json!({ "own": own, "n": n }))
}

fn key(stream: &str, of: Value) -> String {
    canonical::text(&json!({ "stream": stream, "version": VERSION, "of": of }))
}

fn task(task: &TaskSpec) -> Value {
    json!({
        "dataset": task.dataset, "split": task.split, "label": task.label,
        "size": task.size, "limit": task.limit,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::federation::Regime;
    use crate::spec::Partition;

    fn spec() -> TrainSpec {
        let mut spec = TrainSpec::new("faces", "photos", "mlp");
        spec.federation.clients.partition = Partition::Dirichlet { alpha: 0.5 };
        spec
    }

    /// Whoever changes one of these texts changes every draw of the benchmark: raise the version.
    #[test]
    fn the_texts_are_stable() {
        let (spec, task) = (spec(), r#""task":{"dataset":"photos","label":null,"limit":null,"#);
        let (task, partition) = (
            format!(r#"{task}"size":null,"split":"train"}}"#),
            r#""partition":{"alpha":5e-1,"kind":"dirichlet"}"#,
        );
        let want = format!(
            r#"{{"of":{{"batch_size":32,{partition},{task},"total":5}},{}"#,
            r#""stream":"images","version":2}"#
        );
        assert_eq!(images(&spec), want);
        let clients = format!(
            r#""clients":{{"dropout":0,"examples":null,{partition},"per_round":null,{}"#,
            r#""sampling":"uniform","total":5}"#
        );
        let want = format!(
            r#"{{"of":{{"batch_size":32,{clients},"regime":"federated",{task}}},{}"#,
            r#""stream":"training","version":2}"#
        );
        assert_eq!(training(&spec), want);
        let want = format!(
            r#"{{"of":{{{partition},{task},"total":5}},"stream":"partition","version":2}}"#
        );
        assert_eq!(super::partition(&spec), want);
        let want = concat!(
            r#"{"of":{"dataset":"photos","init":"pytorch","label":null,"model":"mlp","#,
            r#""params":{}},"stream":"weights","version":2}"#
        );
        assert_eq!(weights(&spec.task, &spec.model), want);
    }

    #[test]
    fn what_must_differ_differs() {
        let (plain, mut bare) = (spec(), spec());
        bare.federation.regime = Regime::Bare;
        assert_ne!(training(&plain), training(&bare));
        let other = TrainSpec { seed: 1, ..plain.clone() };
        assert_ne!(secrets("a", &plain), secrets("a", &other));
        assert_ne!(secrets("a", &plain), secrets("b", &plain));
        assert_ne!(rehearsal("a", 0), rehearsal("a", 1));
        assert_ne!(rehearsal("a", 0), "a");
        let defended = [Named::new("secagg")];
        assert_ne!(
            bare_secrets("a", &plain.model, &defended),
            bare_secrets("a", &plain.model, &[])
        );
    }

    proptest! {
        /// Order and spelling of parameters say nothing, their values everything.
        #[test]
        fn spelling_changes_no_draw(
            params in proptest::collection::btree_map("[a-z]{1,6}", -1000i64..1000, 1..6),
        ) {
            let with = |reversed: bool, float: bool| {
                let value = |n: &i64| if float { json!(*n as f64) } else { json!(n) };
                let pairs = params.iter().map(|(key, n)| (key.clone(), value(n)));
                let mut model = spec().model;
                model.params =
                    if reversed { pairs.rev().collect() } else { pairs.collect() };
                model
            };
            let task = spec().task;
            let plain = weights(&task, &with(false, false));
            prop_assert_eq!(&plain, &weights(&task, &with(true, false)));
            prop_assert_eq!(&plain, &weights(&task, &with(false, true)));
            let mut other = with(false, false);
            let first = other.params.keys().next().cloned().unwrap_or_default();
            other.params.insert(first, json!(0.5));
            prop_assert_ne!(&plain, &weights(&task, &other));
            let secrets = |m: &ModelSpec| bare_secrets("rounds", m, &[]);
            prop_assert_eq!(secrets(&with(true, true)), secrets(&with(false, false)));
        }
    }
}
