"""The network inside wrappers."""

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from ._errors import CaptureError


def unwrap(model: nn.Module) -> nn.Module:
    """Returns the network inside DataParallel, DistributedDataParallel, torch.compile and Opacus.

    Raises CaptureError for sharded models, whose parameters are in pieces.
    """
    while (inner := _inner(model)) is not None:
        model = inner
    return model


def averaged(model: nn.Module) -> list[str]:
    """Says whether steps follow gradients of other processes, whose batches are not seen."""
    while (inner := _inner(model)) is not None:
        if isinstance(model, DistributedDataParallel):
            count = torch.distributed.get_world_size(model.process_group)
            if count > 1:
                return [f"gradients are averaged over {count} processes, of which one is seen"]
        model = inner
    return []


def _inner(model: nn.Module) -> nn.Module | None:
    kind = type(model)
    if kind.__name__ in ("FullyShardedDataParallel", "FSDPModule"):
        raise CaptureError(f"{kind.__name__} holds parameters in pieces; give it unsharded")
    if isinstance(model, (DataParallel, DistributedDataParallel)):
        return model.module
    if kind.__module__.startswith("torch._dynamo") and "_orig_mod" in model._modules:
        return model._orig_mod
    if kind.__module__.startswith("opacus.") and "_module" in model._modules:
        return model._module
    return None
