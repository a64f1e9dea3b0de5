"""Captures what clients of NVIDIA FLARE send."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from nvflare.apis.dxo import DXO, DataKind
from nvflare.apis.dxo_filter import DXOFilter
from nvflare.apis.filter import FilterChainType, FilterContextKey
from nvflare.app_common.app_constant import AppConstants

from . import _pixels, _watch
from ._errors import CaptureError
from ._round import Client, Model

BEFORE = "flbench_before"


class CaptureFilter(DXOFilter):
    """A filter that writes a folder a site and round, and changes nothing.

    Add one to the task data, where it keeps the weights that the client receives, and one to the
    task results, where it writes `to/round-R-SITE`: last in the chain, so that it sees what leaves
    the client. The training itself is not seen: say it with `training`.
    """

    def __init__(
        self,
        model: str | Model,
        to: str,
        input_shape: Sequence[int],
        examples: int,
        training: Mapping[str, Any],
        normalization: _pixels.Normalization = None,
        batch_norm: str = "train",
        defenses: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Makes a filter.

        Args:
            model: "package.module:name" of a class or function that makes the network without
                arguments, which a job's configuration can hold; or that function itself.
            to: the folder that takes the folders.
            input_shape: of one example, `[C, H, W]` or `[F]`.
            examples: of each client.
            training: the table `training` of docs/capture.md.
            normalization: as of `flbench.Recorder`.
            batch_norm: "train" or "eval", as the client trained.
            defenses: as `bench list defenses` spells them.
        """
        kinds = [DataKind.WEIGHTS, DataKind.WEIGHT_DIFF]
        super().__init__(supported_data_kinds=kinds, data_kinds_to_filter=kinds)
        if batch_norm not in ("train", "eval"):
            raise CaptureError(f'batch_norm={batch_norm!r}: write "train" or "eval"')
        # A job's configuration is made of the attributes that are named as arguments are.
        self.model, self.to, self.input_shape = model, to, list(input_shape)
        self.examples, self.training, self.normalization = examples, training, normalization
        self.batch_norm, self.defenses = batch_norm, list(defenses)

    def process_dxo(self, dxo: DXO, shareable: Any, fl_ctx: Any) -> DXO | None:
        """Keeps the weights of a task, or writes the capture of a result; changes neither.

        Raises CaptureError for a result without a task before it, and for arrays of another model.
        """
        client = self._client("delta" if dxo.data_kind == DataKind.WEIGHT_DIFF else "weights")
        net = client.template()
        arrays = [torch.from_numpy(np.array(value)) for value in dxo.data.values()]
        try:
            found = _watch.named(net, arrays, list(dxo.data))
        except ValueError as e:
            raise CaptureError(f"the exchanged {dxo.data_kind}: {e}") from e
        if self.get_prop(FilterContextKey.CHAIN_TYPE) == FilterChainType.TASK_DATA_CHAIN:
            fl_ctx.set_prop(BEFORE, found, private=True, sticky=True)
            return None
        before = fl_ctx.get_prop(BEFORE)
        if before is None:
            raise CaptureError("no weights before: add a CaptureFilter to the task data, too")
        number = shareable.get_header(AppConstants.CURRENT_ROUND)
        if number is None:
            number = fl_ctx.get_prop(AppConstants.CURRENT_ROUND, 0)
        seen = _watch.Watched(net, self.normalization)
        seen.modes.add(self.batch_norm)
        folder = f"round-{number}-{fl_ctx.get_identity_name()}"
        client.write(folder, net, before, found, seen)
        return None

    def _client(self, holds: str) -> Client:
        return Client(
            _found(self.model) if isinstance(self.model, str) else self.model,
            self.to,
            holds=holds,
            example=torch.zeros(2, *self.input_shape),
            examples=self.examples,
            training=self.training,
            normalization=self.normalization,
            defenses=self.defenses,
        )


def _found(path: str) -> Model:
    module, _, name = path.partition(":")
    if not name:
        raise CaptureError(f'model={path!r}: write "package.module:name"')
    return getattr(importlib.import_module(module), name)
