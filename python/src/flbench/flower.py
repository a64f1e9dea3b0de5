"""Captures what Flower clients send. Flower itself is not imported here."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from . import _pixels, _watch
from ._errors import CaptureError
from ._recorder import sent
from ._round import Client, Model

Mod = Callable[[Any, Any, Callable[[Any, Any], Any]], Any]


def recording_mod(
    model: Model,
    *,
    to: str | Path,
    holds: str = "weights",
    example: torch.Tensor | None = None,
    examples: int | None = None,
    minibatch: int | None = None,
    training: Mapping[str, Any] | None = None,
    normalization: _pixels.Normalization = None,
    defenses: Sequence[Mapping[str, Any]] = (),
    strict: bool = True,
) -> Mod:
    """Makes a client mod, `ClientApp(mods=[...])`, that writes a folder a client and round.

    The folders are `to/round-R-node-N`: R is the round that the server states, N the partition
    of the client, or its node where it has none. Put the mod first, so that it sees what leaves the
    client after all other mods.

    While the client trains, every model of the class of `model` and the optimizer that steps it are
    watched, so that rate, momentum, batches and epochs need not be given.

    Args:
        model: the network, or a function without arguments that makes one.
        to: the folder that takes the folders.
        holds: "weights" (those after) or "delta" (after minus before).
        example: a batch to trace the model with; else one that was seen.
        examples: of each client; else what the client reports (`num-examples`), else the
            distinct inputs that were seen.
        minibatch: examples a step; else the largest that was seen.
        training: the table `training` of docs/capture.md, where the client trains out of sight of
            this process; then also `example` and `examples`.
        normalization: as of `flbench.Recorder`.
        defenses: as of `flbench.Recorder`.
        strict: as of `flbench.Recorder`.

    Raises:
        CaptureError: as `flbench.Recorder`, from inside the round; arrays of another model. Flower
            then reports the client as failed.
    """
    client = Client(
        model,
        to,
        holds=holds,
        example=example,
        examples=examples,
        minibatch=minibatch,
        training=training,
        normalization=normalization,
        defenses=defenses,
        strict=strict,
    )
    rounds: dict[str, int] = {}

    def mod(msg: Any, ctxt: Any, call_next: Callable[[Any, Any], Any]) -> Any:
        if str(msg.metadata.message_type).split(".")[0] != "train":
            return call_next(msg, ctxt)
        net = client.template()
        node = _node(ctxt)
        rounds[node] = rounds.get(node, 0) + 1
        number = _round(msg) or rounds[node]
        # The client may take the arrays out of the message.
        before = _arrays(net, msg, "the server's message")
        with client.watching(net) as seen:
            reply = call_next(msg, ctxt)
        if not reply.has_error():
            after = _arrays(net, reply, "the client's reply")
            update = sent(before, after, holds)
            client.write(f"round-{number}-node-{node}", net, before, update, seen, _counted(reply))
        return reply

    return mod


def _arrays(net: torch.nn.Module, msg: Any, whose: str) -> dict[str, torch.Tensor]:
    records = list(msg.content.array_records.values())
    if len(records) != 1:
        raise CaptureError(f"{whose} holds {len(records)} records of arrays, not one")
    arrays = [torch.from_numpy(array.numpy().copy()) for array in records[0].values()]
    try:
        return _watch.named(net, arrays, list(records[0]))
    except ValueError as e:
        raise CaptureError(f"{whose}: {e}") from e


def _node(ctxt: Any) -> str:
    return str(ctxt.node_config.get("partition-id", ctxt.node_id))


def _round(msg: Any) -> int | None:
    for record in msg.content.config_records.values():
        for key in ("server-round", "server_round"):
            if isinstance(record.get(key), int):
                return record[key]
    group = str(msg.metadata.group_id)
    return int(group) if group.isdecimal() else None


def _counted(reply: Any) -> int | None:
    for record in reply.content.metric_records.values():
        for key in ("num-examples", "num_examples"):
            if isinstance(record.get(key), int) and record[key] > 0:
                return record[key]
    return None
