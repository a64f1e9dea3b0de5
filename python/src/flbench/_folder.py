"""The folder of a capture: tensors, and `capture.json` that describes them (docs/capture.md)."""

import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ._errors import CaptureError

SCHEMA = "bench-capture/1"
FILE = "capture.json"
MODEL = "model.pt2"
UPDATE = "update.safetensors"


def check(to: str | Path) -> Path:
    """Returns the folder: absent, empty, or that of an earlier capture.

    Raises CaptureError where it is anything else.
    """
    folder = Path(to)
    if folder.exists() and not folder.is_dir():
        raise CaptureError(f"{folder}: is no folder; choose another with `to`")
    present = sorted(folder.iterdir()) if folder.exists() else []
    strangers = [p.name for p in present if p.name not in (FILE, MODEL, UPDATE)]
    if strangers:
        raise CaptureError(f"{folder}: holds {strangers[0]}, which is no capture; choose another")
    return folder


def write(
    to: str | Path,
    model: bytes,
    update: Mapping[str, torch.Tensor],
    said: dict[str, Any],
) -> Path:
    """Writes a capture; its description comes last, so that a folder with one is whole.

    Raises CaptureError for an update that is empty or holds NaN or infinite values.
    """
    if not update:
        raise CaptureError("nothing was updated: no parameter asks for a gradient and is used")
    for name, tensor in update.items():
        if not torch.isfinite(tensor).all():
            raise CaptureError(f"`{name}` of the update holds NaN or infinite values")
    folder = check(to)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).unlink(missing_ok=True)
    (folder / MODEL).write_bytes(model)
    # Tensors that share memory are refused by the format.
    own = {name: t.detach().cpu().clone().contiguous() for name, t in update.items()}
    save_file(own, folder / UPDATE)
    text = json.dumps(_described(said), indent=2) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder


def _described(said: dict[str, Any]) -> dict[str, Any]:
    version = importlib.metadata.version("flbench")
    head = {
        "schema": SCHEMA,
        "made_by": f"flbench {version}, torch {torch.__version__}",
        "model": {"file": MODEL},
        "update": UPDATE,
    }
    return head | {key: value for key, value in said.items() if value not in (None, [], ())}
