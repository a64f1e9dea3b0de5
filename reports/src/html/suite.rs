//! A cell as a suite of its own, so that exactly that cell can be run again.

use record::RunInfo;
use serde_json::{Map, Value, json};
use suites::{CellSpec, Suite};

/// The suite file whose only cell is `spec`.
///
/// TOML has no null: parameters without a value are left out, and `bench` spells them out as their
/// entry's default, which for these is no value. `None` where the text would not be read back as
/// this very cell, such as for a null within a list.
pub(super) fn suite(spec: &CellSpec) -> Option<String> {
    let text = text(spec)?;
    let cells = Suite::parse("cell.toml", &text, None, &[]).ok()?.cells;
    let [cell] = cells.as_slice() else { return None };
    (cell.id() == without_nulls(spec).id()).then_some(text)
}

/// The cell without parameters that have no value.
fn without_nulls(spec: &CellSpec) -> CellSpec {
    let mut spec = spec.clone();
    let entries = spec.defenses.iter_mut().chain([&mut spec.attack]).map(|entry| &mut entry.params);
    entries.chain([&mut spec.model.params]).for_each(drop_nulls);
    spec
}

fn drop_nulls(map: &mut Map<String, Value>) {
    map.retain(|_, value| !value.is_null());
    map.values_mut().filter_map(Value::as_object_mut).for_each(drop_nulls);
}

fn text(spec: &CellSpec) -> Option<String> {
    let mut cell = serde_json::to_value(spec).ok()?;
    drop_nulls(cell.as_object_mut()?);
    let name = format!("cell-{}", spec.id());
    let suite = json!({ "name": name, "version": "1", "description": "one cell" });
    let document = toml::Value::try_from(json!({ "suite": suite, "defaults": cell })).ok()?;
    toml::to_string(&document).ok()
}

/// Flags beside the suite that a cell's numbers depend on: threads change rounding, devices too.
pub(super) fn flags(info: &RunInfo) -> String {
    let threads =
        info.overrides.iter().find(|(path, _)| path == "threads").and_then(|(_, v)| v.as_u64());
    let threads =
        threads.filter(|n| *n != 1).map(|n| format!(" --threads {n}")).unwrap_or_default();
    // The device in words begins with the name that `--device` takes.
    let device = info.device.split_whitespace().next().unwrap_or_default();
    let named = device.chars().all(|c| c.is_ascii_alphanumeric() || c == ':');
    let known = named && ["cpu", "cuda", "mps"].iter().any(|d| device.starts_with(d));
    format!("{threads}{}", if known { format!(" --device {device}") } else { String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use suites::{FederationSpec, Named, Regime};

    fn again(spec: &CellSpec) -> CellSpec {
        let suite = Suite::parse("cell.toml", &suite(spec).unwrap(), None, &[]).unwrap();
        assert_eq!(suite.cells.len(), 1);
        suite.cells[0].clone()
    }

    fn odd() -> CellSpec {
        let mut spec = CellSpec::new("photos", "mlp", "dlg");
        spec.attack =
            Named::new("dlg").with("lr", 1e-5).with("tv", 3.0).with("layers", json!([1, 2]));
        spec.attack
            .params
            .insert("odd key \"x\"".into(), json!({ "deep": ["a\u{7f}\n\\", { "b": true }] }));
        spec.model.params.insert("width".into(), json!(12));
        spec.model.weights = Some("models/a b.safetensors".into());
        spec.task.size = Some(64);
        spec.defenses = vec![Named::new("dp-local").with("epsilon", 8), Named::new("secagg")];
        spec.federation = FederationSpec::new(Regime::Federated);
        spec.federation.clients.total = 4;
        spec.federation.clients.partition = suites::Partition::Dirichlet { alpha: 0.5 };
        spec.facts.clear();
        spec
    }

    #[test]
    fn a_suite_of_one_cell_is_that_cell() {
        for spec in [CellSpec::new("digits", "lenet", "idlg"), odd()] {
            assert_eq!(again(&spec).id(), spec.id());
        }
    }

    #[test]
    fn null_parameters_are_left_to_their_defaults() {
        let mut spec = odd();
        spec.attack.params.insert("patience".into(), Value::Null);
        let mut back = again(&spec);
        assert_ne!(back.id(), spec.id());
        back.attack.params.insert("patience".into(), Value::Null);
        assert_eq!(back.id(), spec.id());
        for (name, value) in [("list", json!([1, null])), ("a.b", json!(1))] {
            let mut spec = spec.clone();
            spec.attack.params.insert(name.into(), value);
            assert_eq!(suite(&spec), None, "{name}");
        }
    }

    #[test]
    fn flags_name_threads_and_device() {
        let info = |device: &str, threads: u64| {
            let suite = json!({
                "name": "", "profile": null, "version": "", "description": "", "text": "",
                "cells": [], "published": [],
            });
            let info = json!({
                "schema": "1.0", "bench_version": "", "libtorch": "", "device": device,
                "machine": "", "overrides": [["threads", threads]], "shard": null, "command": "",
                "resume": "", "elsewhere": [], "suite": suite,
            });
            serde_json::from_value::<RunInfo>(info).unwrap()
        };
        assert_eq!(flags(&info("cuda:0 (NVIDIA A100, 80 GiB)", 2)), " --threads 2 --device cuda:0");
        assert_eq!(flags(&info("a toaster; rm", 1)), "");
    }

    proptest! {
        #[test]
        fn any_parameter_survives(
            name in "[a-z \"\\\\é.]{1,5}",
            text in any::<String>(),
            number in -1e300f64..1e300,
            seed in any::<u64>(),
            int in any::<i64>(),
        ) {
            prop_assume!(name != "name");
            let mut spec = odd();
            spec.seed = seed;
            spec.attack.params.insert(name, json!([text, number, int]));
            // A dot in a name means another parameter: then there is no such file.
            prop_assert!(suite(&spec).is_none_or(|_| again(&spec).id() == spec.id()));
        }
    }
}
