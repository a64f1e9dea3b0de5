"""A network as the file that bench reads."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.export.graph_signature import InputKind

from ._errors import CaptureError
from ._undisturbed import holding, undisturbed


@dataclass(frozen=True)
class Exported:
    """A network as a file, and the tensors that it uses.

    `parameters` and floating-point `buffers` are named as in the file, and as `named_parameters()`
    or `named_buffers()` does: a tied tensor has several names, of which a file uses one.
    """

    data: bytes
    parameters: dict[str, str]
    buffers: dict[str, str]


def export(
    net: nn.Module,
    example: torch.Tensor,
    weights: Mapping[str, torch.Tensor] | None = None,
    trainable: set[str] | None = None,
) -> Exported:
    """Exports a network in eval mode, on the CPU, for batches of any size.

    `example` is one batch `[B, ...]` of at least one example; `weights` stand in for the network's
    own; parameters whose names are not in `trainable` are exported as frozen. The network is left
    as it was. Raises CaptureError where torch.export cannot follow the network, or where it uses a
    tied tensor by two names, which bench would take for two tensors.
    """
    if example.dim() < 1 or example.shape[0] < 1:
        raise CaptureError("the example is empty; give a batch [B, ...] with B of 1 or more")
    # torch.export takes a dimension of 1 for a constant.
    x = example.detach().cpu()
    x = torch.cat([x, x])[:2] if x.shape[0] < 2 else x[:2]
    with undisturbed(net), _frozen(net, trainable), holding(net, _on_cpu(net, weights or {})):
        net.eval()
        shapes = ({0: torch.export.Dim("batch")},)
        try:
            program = torch.export.export(net, (x,), dynamic_shapes=shapes)
        except Exception as e:
            why = next(iter(str(e).strip().splitlines()), type(e).__name__)
            raise CaptureError(
                f"torch.export cannot follow the model: {why}; it must map one tensor [B, ...] to "
                "logits [B, K] (docs/own-model.md)"
            ) from e
        # A program refers to the network's own tensors, which change.
        file = io.BytesIO()
        torch.export.save(program, file)
        return Exported(file.getvalue(), *_used(net, program))


def _used(
    net: nn.Module, program: torch.export.ExportedProgram
) -> tuple[dict[str, str], dict[str, str]]:
    own = {id(tensor): name for name, tensor in _named(net)}
    every = dict([*net.named_parameters(remove_duplicate=False)])
    every |= dict([*net.named_buffers(remove_duplicate=False)])
    used = {node.name for node in program.graph.nodes if node.op == "placeholder" and node.users}
    found: dict[InputKind, dict[str, str]] = {InputKind.PARAMETER: {}, InputKind.BUFFER: {}}
    for spec in program.graph_signature.input_specs:
        name = str(spec.target)
        if spec.arg.name not in used or spec.kind not in found or spec.persistent is False:
            continue
        if not program.state_dict[name].is_floating_point():
            continue
        first = own[id(every[name])]
        if twice := [n for n, o in found[spec.kind].items() if o == first]:
            raise CaptureError(f"`{twice[0]}` and `{name}` are one tensor; use it by one name")
        found[spec.kind][name] = first
    return found[InputKind.PARAMETER], found[InputKind.BUFFER]


def _named(net: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*net.named_parameters(), *net.named_buffers()]


def _on_cpu(net: nn.Module, weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: weights.get(name, own).detach().cpu() for name, own in _named(net)}


@contextmanager
def _frozen(net: nn.Module, trainable: set[str] | None) -> Iterator[None]:
    asked = [(name, p, p.requires_grad) for name, p in net.named_parameters()]
    try:
        for name, parameter, asks in asked:
            parameter.requires_grad_(asks if trainable is None else name in trainable)
        yield
    finally:
        for _, parameter, asks in asked:
            parameter.requires_grad_(asks)
