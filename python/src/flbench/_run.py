"""Reads a run folder of `bench run` or `bench suite`."""

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file

from . import _bench

if TYPE_CHECKING:
    import pandas


@dataclass
class Run:
    """A run folder, whole or still being written.

    Attributes:
        path: the folder.
        info: `run.json`: suite, program, machine, metrics.
        records: one dict a cell, the latest of each, in the order of the file.
    """

    path: Path
    info: dict[str, Any]
    records: list[dict[str, Any]]
    bench: str | Path | None = None

    @cached_property
    def table(self) -> "pandas.DataFrame":
        """One row for each image, metric and scorer; docs/export.md lists the columns.

        Raises ImportError without pandas, BenchError without the binary.
        """
        import pandas

        with tempfile.TemporaryDirectory(prefix="flbench-") as scratch:
            file = Path(scratch, "run.csv")
            _bench.call(["export", str(self.path), "--format=csv", f"--output={file}"], self.bench)
            # No text is a missing value but the empty one: a defense may be named "none".
            return pandas.read_csv(file, keep_default_na=False, na_values=_missing(file))

    @cached_property
    def images(self) -> dict[tuple[str, int], np.ndarray]:
        """Reconstructions that were kept, by cell and trial.

        Each is `[B, C, H, W]` or `[B, F]`, float32 in `[0, 1]`; cells without any have no entry.
        """
        found = {}
        for record in self.records:
            folder = self.path / "artifacts" / record["id"]
            for file in sorted(folder.glob("trial-*.safetensors")):
                trial = int(file.stem.removeprefix("trial-"))
                found[record["id"], trial] = load_file(file)["reconstruction"]
        return found


def load(run: str | Path, bench: str | Path | None = None) -> Run:
    """Reads a run folder.

    Raises FileNotFoundError where it is none, ValueError for a record that cannot be read (a torn
    last line is passed over, as `bench` does).
    """
    path = Path(run)
    if not (path / "run.json").is_file():
        raise FileNotFoundError(f"{path}: holds no run.json; give the folder of a bench run")
    info = json.loads((path / "run.json").read_text(encoding="utf-8"))
    return Run(path, info, _records(path / "cells.jsonl"), bench)


def _records(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    found: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            record = json.loads(line)
            found[record["id"]] = record
        except (ValueError, KeyError, TypeError) as e:
            raise ValueError(f"{file}:{number}: is no record of a cell ({e})") from e
    return list(found.values())


def _missing(file: Path) -> dict[str, list[str]]:
    """An empty field is missing; in `value`, `nan` is a score that was measured as NaN."""
    with file.open(encoding="utf-8") as lines:
        columns = lines.readline().strip().split(",")
    return {column: ["", "nan"] if column == "value" else [""] for column in columns}
