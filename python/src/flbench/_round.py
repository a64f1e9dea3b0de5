"""One client's round as a framework shows it: arrays before and after."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from . import _pixels, _steps, _watch
from ._errors import CaptureError
from ._recorder import snapshot, write_training
from ._unwrap import unwrap

Model = nn.Module | Callable[[], nn.Module]


@dataclass
class Client:
    """What is known of the clients of a federation beside their arrays."""

    model: Model
    to: str | Path
    holds: str = "weights"
    example: torch.Tensor | None = None
    examples: int | None = None
    minibatch: int | None = None
    training: Mapping[str, Any] | None = None
    normalization: _pixels.Normalization = None
    defenses: Sequence[Mapping[str, Any]] = ()
    strict: bool = True

    def __post_init__(self) -> None:
        """Checks what can be checked before a round."""
        if self.holds not in ("weights", "delta"):
            raise CaptureError(f'holds={self.holds!r}: write "weights" or "delta"')
        if self.training is not None and (self.example is None or self.examples is None):
            raise CaptureError("`training` is given: then give `example` and `examples`, too")

    def template(self) -> nn.Module:
        """Makes or returns the network, without wrappers."""
        model = self.model if isinstance(self.model, nn.Module) else self.model()
        return unwrap(model)

    def watching(self, net: nn.Module) -> AbstractContextManager[_watch.Watched]:
        """Watches the training inside the block, unless the caller has described it."""
        if self.training is not None:
            return nullcontext(_watch.Watched(net, self.normalization))
        return _watch.watch(net, self.normalization)

    def write(
        self,
        folder: str,
        net: nn.Module,
        before: Mapping[str, torch.Tensor],
        update: Mapping[str, torch.Tensor],
        seen: _watch.Watched,
        counted: int | None = None,
    ) -> Path:
        """Writes the capture of one round into a folder below `to`.

        `before` and `update` are what was received and sent, by name; `counted` is how many
        examples the client reports. Raises CaptureError as `Recorder` does.
        """
        asked = {name for name, p in net.named_parameters() if p.requires_grad}
        trainable = asked if seen.trainable is None else seen.trainable
        return write_training(
            Path(self.to, folder),
            net=net,
            before=snapshot(net) | dict(before),
            sent=update,
            # What the client does not send is no part of the update.
            trainable=trainable & set(update),
            seen=seen,
            found=self._account(seen, counted),
            said={
                "holds": self.holds,
                "normalization": _pixels.described(self.normalization),
                "defenses": [dict(defense) for defense in self.defenses],
            },
            example=self.example,
            strict=self.strict,
        )

    def _account(self, seen: _watch.Watched, counted: int | None) -> _steps.Account:
        if self.training is not None:
            return _steps.Account(self.examples, dict(self.training))
        found = _steps.account(seen, self.examples or counted, self.minibatch)
        found.problems += seen.problems
        return found
