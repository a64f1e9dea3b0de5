"""Reads an export back with pandas and compares it with the run's own records, value by value.

Usage: python read_export.py RUN TABLE.csv TABLE.jsonl TABLE.parquet (pandas, pyarrow). Ends with 77 where one of these is not installed.
"""
import json
import math
import sys

try:
    import pandas as pd
    import pyarrow.parquet as pq
except ImportError as missing:
    print(missing)
    sys.exit(77)

# Columns that are judged or hashed from the spec, not copied from the record.
DERIVED = ("attack_key", "measurable")
WORDS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def number(value):
    return WORDS[value] if isinstance(value, str) else value


def same(a, b):
    """Null only equals null, NaN only NaN."""
    if a is None or b is None:
        return a is b
    if isinstance(b, float) and math.isnan(b):
        return isinstance(a, float) and math.isnan(a)
    return a == b


def words(flags):
    """The kinds of flags, each once; particulars stand behind a colon."""
    return " ".join(sorted({flag.split(":")[0] for flag in flags})) or None


def lost_images(record):
    """Images that a failed attack was let loose on, less those it returned."""
    outcome, spec = record["outcome"], record["spec"]
    if outcome["kind"] != "failed" or outcome["stage"] not in ("attack", "panic"):
        return 0
    if record["signals"]:
        return max(0, sum(len(s["ids"]) for s in record["signals"]) - len(record["images"]))
    source, vantage = spec["source"], spec["vantage"]
    clients, batch = spec["federation"]["clients"], spec["federation"]["local"]["batch_size"]
    local, cohort = clients["examples"] or batch, clients["per_round"] or clients["total"]
    colluders = int(vantage.split("-")[1]) if vantage.startswith("colluding-") else 0
    behind = {"gradients": batch, "one_step_update": batch, "local_update": local,
              "agg_update": local * (cohort - colluders)}[source]
    return max(0, spec["trials"] * behind - len(record["images"]))


def of_run(run):
    """Columns that are the same for all rows."""
    own = {name: run[name] for name in ("device", "machine", "libtorch", "bench_version")}
    suite = run["suite"]
    return own | {"suite": suite["name"], "suite_version": suite["version"], "profile": suite["profile"]}


def of_cell(record):
    """Columns that are the same for all rows of a cell."""
    spec, outcome = record["spec"], record["outcome"]
    defenses = [d for d in spec["defenses"] if d["name"] != "none"]
    params = lambda named: {k: v for k, v in named.items() if k != "name"}
    epsilons = [float(d["epsilon"]) for d in defenses if d.get("epsilon") is not None]
    reason = {"done": None, "not-applicable": outcome.get("why"), "failed": f"{outcome.get('stage')}: {outcome.get('message')}"}
    task, model, federation, cost, wall = spec["task"], spec["model"], spec["federation"], record["cost"], record["wall"]
    clients, local = federation["clients"], federation["local"]
    whole = {
        "cell": record["id"], "outcome": outcome["kind"], "reason": reason[outcome["kind"]],
        "dataset": task["dataset"], "split": task["split"], "task_label": task["label"], "size": task["size"], "limit": task["limit"],
        "model": model["name"], "model_params": model["params"], "init": model["init"], "weights": model["weights"],
        "batch_norm": model["batch_norm"], "partition": clients["partition"], "augment": int(local["augment"]),
        "federation": None if federation["regime"] == "bare" else federation, "source": spec["source"], "vantage": spec["vantage"], "facts": " ".join(spec["facts"]) or None,
        "defenses": " + ".join(d["name"] for d in defenses) or "none", "defense_params": [params(d) for d in defenses],
        "epsilon": epsilons[0] if epsilons else None, "attack": spec["attack"]["name"], "attack_params": params(spec["attack"]),
        "trials": spec["trials"], "seed": spec["seed"], "defense_notes": record["defenses"],
        "cell_flags": words(record["flags"]), "notes": "; ".join(record["notes"]) or None,
        "candidates": record.get("candidates"), "seconds": number(wall["seconds"]), "attack_seconds": number(wall["attack_seconds"]), "finished_unix": wall["finished_unix"],
    }
    whole |= {
        "clients": clients["total"], "local_examples": clients["examples"], "local_epochs": local["epochs"],
        "capture_round": spec["capture"]["round"],
    }
    for name in ("batch_size", "lr", "momentum", "weight_decay"):
        whole[name] = local[name]
    for name in ("accuracy", "loss", "trained_accuracy", "trained_loss"):
        whole[name] = number(record["task"][name]) if name in record["task"] else None
    for name in ("bytes_up", "bytes_down", "bytes_up_all", "bytes_down_all", "gradient_evaluations", "restarts", "iterations"):
        whole[name] = cost[name]
    return whole


NOTHING = dict.fromkeys(("by", "trial", "index", "id", "client", "label", "guessed_label", "flags", "metric", "value"))


def of_scores(record):
    """Columns of every score of a cell: the attack's and the null baselines', image by image."""
    for place, image in enumerate(record["images"]):
        own = {name: image[name] for name in ("trial", "index", "id", "client", "label")}
        guess = {"guessed_label": image["guessed_label"], "flags": words(image["flags"])}
        scorers = [("attack", image["scores"], guess)]
        scorers += [(f"null:{name}", rows[place], {}) for name, rows in record["baselines"].items() if place < len(rows)]
        for by, scores, more in scorers:
            for metric, value in scores.items():
                status = "not-measured" if value is None else "measured"
                yield NOTHING | own | more | {"by": by, "metric": metric, "value": number(value), "status": status}


def expected(folder):
    """Every row that the export should have."""
    run = json.load(open(f"{folder}/run.json"))
    records = {}
    for line in open(f"{folder}/cells.jsonl"):
        record = json.loads(line)
        records[record["id"]] = record
    metrics = {name for r in records.values() for image in r["images"] for name in image["scores"]}
    rows = []
    for record in records.values():
        mine = list(of_scores(record))
        for _ in range(lost_images(record)):
            mine += [NOTHING | {"by": "attack", "metric": metric, "status": "lost"} for metric in metrics]
        if not mine:
            mine = [NOTHING | {"status": {"done": "no-images"}.get(record["outcome"]["kind"], record["outcome"]["kind"])}]
        rows += [of_run(run) | of_cell(record) | row for row in mine]
    for cell in run["suite"]["cells"]:
        if cell not in records:
            rows.append(of_run(run) | NOTHING | {"cell": cell, "outcome": "not-run", "status": "not-run"})
    return rows


JSON_COLUMNS = ("model_params", "partition", "federation", "defense_params", "attack_params", "defense_notes")
REAL = ("lr", "momentum", "weight_decay", "epsilon", "accuracy", "loss", "trained_accuracy", "trained_loss", "seconds",
        "attack_seconds", "value")
WHOLE = ("size", "limit", "clients", "batch_size", "local_epochs", "local_examples", "augment", "capture_round", "trials", "seed",
         "bytes_up", "bytes_down", "bytes_up_all", "bytes_down_all", "gradient_evaluations", "restarts", "iterations",
         "finished_unix", "candidates", "trial", "index", "id", "client", "label", "guessed_label")


def parsed(column, text):
    """A field of a text format as what it stands for."""
    if text is None or text == "":
        return None
    if column in JSON_COLUMNS:
        return json.loads(text)
    if column in REAL:
        return float(text)
    return int(text) if column in WHOLE else text


def tables(csv, jsonl, parquet):
    """Name and rows of each file, read by pandas without a guess at types or missing values."""
    frame = pd.read_csv(csv, dtype=str, keep_default_na=False)
    yield "csv", list(frame), frame.to_dict("records")
    # Numbers of 64 bits pass through pandas' JSON reader as floats, so only the lines are its own.
    rows = [json.loads(line) for line in pd.read_csv(jsonl, sep="\x01", header=None, quoting=3, keep_default_na=False)[0]]
    yield "jsonl", list(rows[0]), rows
    frame = pd.read_parquet(parquet, dtype_backend="pyarrow")
    yield "parquet", list(frame), pq.read_table(parquet).to_pylist()


def main(folder, csv, jsonl, parquet):
    key = lambda row: tuple(repr(row.get(name)) for name in ("cell", "by", "trial", "index", "metric", "status"))
    want = sorted(expected(folder), key=key)
    columns = None
    for name, titles, rows in tables(csv, jsonl, parquet):
        columns = columns or titles
        assert titles == columns, f"{name}: other columns than csv: {titles}"
        rows = sorted(({c: parsed(c, v) for c, v in row.items()} for row in rows), key=key)
        assert len(rows) == len(want), f"{name}: {len(rows)} rows, the records make {len(want)}"
        for got, right in zip(rows, want):
            for column, value in right.items():
                assert same(got[column], value), f"{name}: cell {right['cell']}: {column} is {got[column]!r}, not {value!r}"
            unknown = [c for c in got if c not in right and got[c] is not None and c not in DERIVED]
            assert not unknown, f"{name}: {unknown} in a row that should not have it: {got}"
    # As a data scientist would: types inferred.
    plain, typed = pd.read_csv(csv, float_precision="round_trip"), pd.read_parquet(parquet)
    assert str(plain["value"].dtype) == "float64" and str(typed["value"].dtype) == "float64"
    pd.testing.assert_series_equal(plain["value"], typed["value"], check_exact=True)
    lines = pd.read_json(jsonl, lines=True, precise_float=True, dtype=False)
    floats = lines["value"].astype("float64")
    pd.testing.assert_series_equal(floats, typed["value"], check_exact=True)
    print(f"{len(want)} rows x {len(columns)} columns equal in csv, jsonl and parquet; "
          f"{sum(typed['value'].isna())} without a number, {sum(abs(typed['value']) == math.inf)} infinite")


main(*sys.argv[1:])
