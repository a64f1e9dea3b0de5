//! Ids: stable test vectors, and the laws that identity, serialisation and expansion obey.

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use suites::{
    BatchNorm, CellId, CellSpec, Fact, FederationSpec, Init, Named, Partition, Regime, Source,
    Split, Suite, Vantage,
};

/// If one of these changes, every stored run loses its identity: that is a new major version of the
/// schema.
#[test]
fn ids_are_stable() {
    let plain = CellSpec::new("photos", "simple-cnn", "dlg");
    let mut rich = CellSpec::new("celeba", "resnet18", "fl-attack");
    rich.attack = Named::new("fl-attack").with("tv_weight", 1e-5).with("iterations", 4500);
    rich.federation.clients.partition = Partition::Dirichlet { alpha: 0.5 };
    rich.defenses = vec![Named::new("prune").with("fraction", 0.9)];
    rich.vantage = Vantage::Colluding { k: 3 };
    rich.seed = u64::MAX;
    assert_eq!(
        [plain.id().to_string(), plain.world_key(), plain.attack_key(), rich.id().to_string()],
        ["fd5317bf25661d85", "4c8e7dd7e7f1afba", "94d17b209b569dbf", "3dc901037eba8cee"]
    );
}

#[test]
fn spelling_does_not_matter() {
    let read = |text: &str| serde_json::from_str::<CellSpec>(text).unwrap().id();
    let plain = serde_json::to_string(&CellSpec::new("photos", "mlp", "dlg")).unwrap();
    let spelt = [
        plain.replace(r#""attack":{"name":"dlg"}"#, r#""attack":"dlg""#),
        plain.replace(r#""momentum":0.0"#, r#""momentum":0"#),
        plain.replace(r#"["batch-size","local-steps","#, r#"["local-steps","batch-size","#),
        plain.replace(r#""partition":{"kind":"iid"}"#, r#""partition":"iid""#),
    ];
    for text in spelt {
        assert_ne!(text, plain);
        assert_eq!(read(&text), read(&plain), "{text}");
    }
}

#[test]
fn a_record_must_be_spelled_out() {
    let mut value = serde_json::to_value(CellSpec::new("photos", "mlp", "dlg")).unwrap();
    let fields = value.as_object().unwrap().len();
    assert_eq!(fields, 11);
    value.as_object_mut().unwrap().remove("trials");
    assert!(serde_json::from_value::<CellSpec>(value.clone()).is_err());
    value["trials"] = json!(1);
    value["extra"] = json!(1);
    assert!(serde_json::from_value::<CellSpec>(value).is_err());
}

#[test]
fn cell_ids_are_checked() {
    let id = CellSpec::new("photos", "mlp", "dlg").id();
    assert_eq!(id.to_string().parse::<CellId>().unwrap(), id);
    assert!(
        ["", "xyz", "0123456789ABCDEF", "0123456789abcdef0"]
            .iter()
            .all(|t| t.parse::<CellId>().is_err())
    );
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,8}"
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6).prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ]
}

fn params() -> impl Strategy<Value = Map<String, Value>> {
    let key = "[a-z_]{1,6}".prop_filter("`name` is taken", |key| key != "name");
    let value = scalar().prop_recursive(2, 8, 3, |inner| vec(inner, 0..3).prop_map(Value::from));
    vec((key, value), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn named() -> impl Strategy<Value = Named> {
    (name(), params()).prop_map(|(name, params)| Named { name, params })
}

fn partition() -> impl Strategy<Value = Partition> {
    prop_oneof![
        Just(Partition::Iid),
        Just(Partition::ByIdentity),
        (1e-3..1e3).prop_map(|alpha| Partition::Dirichlet { alpha }),
        (1usize..9).prop_map(|per_client| Partition::Shards { per_client }),
    ]
}

fn vantage() -> impl Strategy<Value = Vantage> {
    prop_oneof![
        Just(Vantage::Server),
        Just(Vantage::Aggregate),
        Just(Vantage::Eavesdropper),
        Just(Vantage::KeyHolder),
        Just(Vantage::MaliciousServer),
        (1usize..4).prop_map(|k| Vantage::Colluding { k }),
    ]
}

fn federation() -> impl Strategy<Value = FederationSpec> {
    let counts = (5usize..50, 1usize..9, 1usize..9, option::of(9usize..99), 0usize..9);
    let reals = (1e-6..10.0, 0.0..1.0, 0.0..1.0);
    (counts, reals, any::<bool>(), partition()).prop_map(|(n, r, augment, partition)| {
        let regime = if n.4 == 0 { Regime::Bare } else { Regime::Federated };
        let mut federation = FederationSpec::new(regime);
        federation.rounds = n.4.max(1);
        let (clients, local) = (&mut federation.clients, &mut federation.local);
        (clients.total, clients.examples, clients.partition) = (n.0, n.3, partition);
        (local.batch_size, local.epochs, local.augment) = (n.1, n.2, augment);
        if n.0 % 5 == 0 {
            // Labels are repeated within one batch, which is all that a client holds.
            let repeats = n.2.min(n.1) - 1;
            (clients.partition, clients.examples) =
                (Partition::RepeatedLabels { repeats }, Some(n.1));
        }
        (local.lr, local.momentum, local.weight_decay) = r;
        federation
    })
}

fn spec() -> impl Strategy<Value = CellSpec> {
    use proptest::sample::select;
    let words =
        (select(Split::ALL), select(Init::ALL), select(BatchNorm::ALL), select(Source::ALL));
    let facts = btree_set(select(Fact::ALL), 0..4);
    let task = (name(), option::of(name()), option::of(1usize..512), option::of(1usize..9));
    let model = (name(), params(), option::of("[a-z/.]{1,9}"));
    let rest = (vantage(), vec(named(), 0..3), named(), 1usize..99, any::<u64>());
    (task, model, federation(), words, facts, rest).prop_map(
        |(task, model, federation, words, facts, rest)| {
            let mut spec = CellSpec::new(&task.0, &model.0, "");
            (spec.task.label, spec.task.size, spec.task.limit) = (task.1, task.2, task.3);
            (spec.model.params, spec.model.weights) = (model.1, model.2.map(Into::into));
            (spec.task.split, spec.model.init, spec.model.batch_norm, spec.source) = words;
            spec.federation = federation;
            spec.facts = facts.into_iter().collect();
            (spec.vantage, spec.defenses, spec.attack, spec.trials, spec.seed) = rest;
            spec
        },
    )
}

/// The same value with the keys of every table in reverse.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().rev().map(|(k, v)| (k.clone(), reversed(v))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(reversed).collect::<Vec<_>>().into(),
        plain => plain.clone(),
    }
}

/// A suite's tables before its matrix.
const HEAD: &str = concat!(
    "[suite]\nname=\"p\"\nversion=\"1\"\ndescription=\"\"\n",
    "[defaults]\ntask=\"photos\"\nmodel=\"mlp\"\n"
);

/// Pieces of suites, to be put together wrongly.
fn pieces() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "[matrix]\n",
        "attack",
        ".name",
        " = ",
        "[",
        "]",
        "{",
        "}",
        "\n",
        "\"dlg\"",
        "3",
        "defenses",
        "[[exclude]]\n",
        "training.partition",
        "utility",
        "federation.server",
    ])
}

proptest! {
    #[test]
    fn serialisation_round_trips(spec in spec()) {
        prop_assert!(spec.check().is_ok());
        let text = serde_json::to_string(&spec).unwrap();
        let read: CellSpec = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &spec);
        prop_assert_eq!(read.id(), spec.id());
    }

    #[test]
    fn key_order_does_not_change_the_id(spec in spec()) {
        let value = reversed(&serde_json::to_value(&spec).unwrap());
        let read: CellSpec = serde_json::from_value(value).unwrap();
        prop_assert_eq!(read.id(), spec.id());
        prop_assert_eq!(read.attack_key(), spec.attack_key());
    }

    #[test]
    fn attacks_and_defenses_share_a_world(a in spec(), b in spec()) {
        let mut other = a.clone();
        (other.attack, other.defenses) = (b.attack.clone(), b.defenses);
        (other.vantage, other.facts) = (b.vantage, b.facts);
        prop_assert_eq!(other.world_key(), a.world_key());
        prop_assert_eq!(other.attack_key() == a.attack_key(), a.attack == b.attack);
        other.seed = a.seed.wrapping_add(1);
        prop_assert_ne!(other.world_key(), a.world_key());
    }

    #[test]
    fn expansion_is_the_product_with_unique_ids(
        seeds in btree_set(0u32..1000, 1..6), lrs in btree_set(1u32..1000, 1..5),
        attacks in btree_set("[a-z]{1,5}", 1..4),
        sources in btree_set(proptest::sample::select(Source::ALL), 1..4),
    ) {
        let text = format!(
            "{HEAD}[matrix]\nseed={}\n\"federation.local.lr\"={}\nattack={}\nsource={}",
            json!(seeds), json!(lrs), json!(attacks), json!(sources),
        );
        let suite = Suite::parse("p.toml", &text, None, &[]).unwrap();
        prop_assert_eq!(suite.cells.len(), seeds.len() * lrs.len() * attacks.len() * sources.len());
        let ids: std::collections::BTreeSet<_> = suite.cells.iter().map(CellSpec::id).collect();
        prop_assert_eq!(ids.len(), suite.cells.len());
    }

    #[test]
    fn hostile_text_never_panics(text in "\\PC{0,60}", noise in vec(pieces(), 0..24)) {
        for text in [text.clone(), format!("{HEAD}{text}"), format!("{HEAD}{}", noise.concat())] {
            if let Err(error) = Suite::parse("p.toml", &text, None, &[]) {
                prop_assert!(!error.to_string().contains('\n'), "{}", error);
            }
        }
    }
}
