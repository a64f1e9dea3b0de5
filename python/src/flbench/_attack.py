"""Has the binary attack a capture."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from . import _bench


@dataclass(frozen=True)
class Result:
    """What an attack found.

    Attributes:
        images: `[B, C, H, W]` or rows `[B, F]`, float32, pixels in `[0, 1]`; in the order of the
            truth where that is given.
        labels: of each example, or None where the attack infers none.
        objective: how far the found examples are from explaining the update, one a restart.
        flags: doubts about the result.
        scores: one dict an example, by metric, where the truth is given; else None.
        notes: remarks of the binary, its doubt about the whole among them.
        explained: `cosine` and `size_ratio` of the update that the found examples would give and
            the one that was captured; None where the binary does not say.
        files: what was written; empty where no folder was asked for.
        said: the whole answer of the binary.
    """

    images: np.ndarray
    labels: list[int] | None
    objective: list[float]
    flags: list[str]
    scores: list[dict[str, float | None]] | None
    notes: list[str]
    explained: dict[str, float] | None = None
    files: list[Path] = field(default_factory=list)
    said: dict[str, Any] = field(default_factory=dict, repr=False)


def attack(
    capture: str | Path,
    attack: str = "strongest",
    set: Mapping[str, Any] | None = None,
    truth: np.ndarray | Sequence[str | Path] | None = None,
    bench: str | Path | None = None,
    threads: int = 1,
    seed: int = 0,
    out: str | Path | None = None,
) -> Result:
    """Attacks a capture folder with `bench attack`.

    Args:
        capture: the folder.
        attack: a name of `bench list attacks`.
        set: parameters of that attack, such as `{"iterations": 500}`.
        truth: images `[B, C, H, W]` in `[0, 1]` or picture files, to score against. Arrays are
            rounded to 8 bits a value, as pictures are.
        bench: the binary; else the variable BENCH, else `bench` on the PATH.
        threads: of libtorch; results of other numbers differ in rounding.
        seed: of the attack's starting points.
        out: a folder for the reconstruction and its pictures, which is kept.

    Raises:
        BenchError: with the one line of the binary; a missing binary.
        ValueError: a truth that is no pictures.
    """
    with tempfile.TemporaryDirectory(prefix="flbench-") as scratch:
        folder = Path(out) if out is not None else Path(scratch, "out")
        arguments = ["attack", str(capture), "--attack", attack, "--out", str(folder), "--json"]
        arguments += [f"--threads={threads}", f"--seed={seed}"]
        arguments += [
            f"--set={key}={json.dumps(value, default=_plain)}" for key, value in (set or {}).items()
        ]
        if truth is not None:
            arguments += ["--truth", *_pictures(truth, Path(scratch))]
        stdout, lines = _bench.call(arguments, bench)
        said = json.loads(stdout)
        images = load_file(folder / "reconstruction.safetensors")["reconstruction"]
        return _result(said, images, lines, keep=out is not None)


def _result(said: dict[str, Any], images: np.ndarray, lines: list[str], keep: bool) -> Result:
    remarks = [line for line in lines if line.startswith(("note:", "doubt:"))]
    remarks += [f"doubt: {said['doubt']}"] if said.get("doubt") else []
    return Result(
        images=images,
        labels=said.get("labels"),
        objective=[_number(value) for value in said.get("objective") or []],
        flags=[str(flag) for flag in said.get("flags") or []],
        scores=said.get("scores"),
        notes=[*(said.get("notes") or []), *remarks],
        explained=said.get("explained"),
        files=[Path(file) for file in said.get("files") or []] if keep else [],
        said=said,
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _plain(value: Any) -> Any:
    """A number of numpy or torch as Python's."""
    return value.item()


def _pictures(truth: np.ndarray | Sequence[str | Path], scratch: Path) -> list[str]:
    if not hasattr(truth, "__array__"):
        return [str(path) for path in truth]
    images = np.asarray(truth)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"truth of shape {images.shape} is no pictures [B, 1 or 3, H, W]")
    if not np.isfinite(images).all() or images.min() < 0 or images.max() > 1:
        raise ValueError(f"truth runs from {images.min()} to {images.max()}; give pixels in [0, 1]")
    paths = [str(scratch / f"truth-{n}.pnm") for n in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        _write_pnm(Path(path), np.rint(image * 255).astype(np.uint8))
    return paths


def _write_pnm(path: Path, image: np.ndarray) -> None:
    """Writes `[C, H, W]` bytes as a binary PGM (one channel) or PPM (three)."""
    kind = "P5" if image.shape[0] == 1 else "P6"
    head = f"{kind} {image.shape[2]} {image.shape[1]} 255\n"
    path.write_bytes(head.encode() + np.ascontiguousarray(image.transpose(1, 2, 0)).tobytes())
