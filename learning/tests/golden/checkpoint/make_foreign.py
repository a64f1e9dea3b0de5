"""Makes `foreign_*` and `container_*` beside this file: what people keep beside, around and instead of a state dict.
Needs torch 2.11 and numpy 2; run it in this folder.

The state dict of all of them is `sd`: `fc.weight` of [2, 3] holding 0 to 5, `fc.bias` of [2] holding 0.5 and -0.5. `container_big.pt`
is what a big-endian machine writes: its values are swapped before they are saved, and `byteorder` says so; torch.load, which swaps
them back, is the witness. `container_evil.pt` would run a command under torch.load(weights_only=False).
"""

import argparse
import collections
import copy
import dataclasses
import datetime
import enum
import os
import pathlib
import random
import sys
import zipfile

import numpy as np
import torch

sd = collections.OrderedDict(
    [("fc.weight", torch.arange(6.0).reshape(2, 3)), ("fc.bias", torch.tensor([0.5, -0.5]))]
)
model = torch.nn.Sequential(collections.OrderedDict(fc=torch.nn.Linear(3, 2)))
optimizer = torch.optim.Adam(model.parameters())
model(torch.zeros(1, 3)).sum().backward()
optimizer.step()


class Color(enum.Enum):
    RED = 1


class Member:
    """Pickles as an enumeration does under Python 3.11.0, and as classes within classes do."""

    def __reduce__(self):
        return getattr, (Color, "RED")


@dataclasses.dataclass
class Options:
    lr: float = 0.1


class Weights(collections.OrderedDict):
    """A state dict of a class of one's own."""


Pair = collections.namedtuple("Pair", "a b")

beside = {
    "args": argparse.Namespace(lr=0.1),
    "best": np.float64(0.9),
    "bytes": b"123",
    "bytearray": bytearray(b"123"),
    "classes": {1, 2},
    "color": Color.RED,
    "complex": 1j,
    "counter": collections.Counter("ab"),
    "deque": collections.deque([1]),
    "device": torch.device("cpu"),
    "dir": pathlib.PurePosixPath("/x"),
    "dtype": torch.float32,
    "ellipsis": Ellipsis,
    "epoch": 3,
    "frozen": frozenset([1]),
    "generator": np.random.default_rng(0),
    "history": np.arange(3, dtype="i2"),
    "long": 1 << 3000,
    "member": Member(),
    "meters": collections.defaultdict(list, a=[1]),
    "none": None,
    "numpy_rng": np.random.get_state()[1][:2],
    "optimizer": optimizer.state_dict(),
    "options": Options(),
    "pair": Pair(1, 2),
    "python_rng": random.getstate()[2:],
    "quantised": torch.quantize_per_tensor(torch.zeros(2), 1.0, 0, torch.qint8),
    "range": range(3),
    "rng": torch.zeros(16, dtype=torch.uint8),
    "short": torch.zeros(2, dtype=torch.int16),
    "size": torch.Size([3]),
    "slice": slice(1, 2),
    "sparse": torch.zeros(2).to_sparse(),
    "took": datetime.timedelta(1),
    "u16": torch.zeros(2, dtype=torch.uint16),
    "when": datetime.datetime(2026, 1, 1),
    "wide": torch.zeros(2, dtype=torch.complex64),
}


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil-ran",)


def save(what, name, **how):
    torch.save(what, name, **how)


for protocol in (2, 4, 5):
    save({**beside, "state_dict": sd}, f"foreign_{protocol}.pt", pickle_protocol=protocol)
del beside["u16"]  # which the legacy format cannot hold
save({"state_dict": sd, **beside}, "foreign_legacy.pt", _use_new_zipfile_serialization=False)
save({"state_dict": sd, "x": Evil()}, "container_evil.pt")
save({"state": {"model": sd, "step": 1}, "loss": torch.tensor(0.3)}, "container_deep.pt")
save({"net": Weights(sd), "loss": torch.tensor(0.3)}, "container_subclass.pt")
other = {name: value + 1 for name, value in sd.items()}
save({"model": sd, "net": other}, "container_two.pt")
save({"model": sd, "net": copy.deepcopy(sd)}, "container_twice.pt")
save({"student": sd, "teacher": {"head.weight": torch.zeros(4)}}, "container_others.pt")
save(list(sd.values()), "container_list.pt")
save({1: sd["fc.bias"], 0: sd["fc.weight"]}, "container_numbers.pt")
tagged = collections.OrderedDict((n, torch.nn.Parameter(v.clone())) for n, v in sd.items())
tagged["fc.weight"].decay = False
tagged["fc.bias"] = tagged["fc.bias"].data
tagged["fc.bias"].decay = False
save(tagged, "container_tagged.pt")
save({"fc.weight": sd["fc.weight"].numpy(), "fc.bias": sd["fc.bias"]}, "container_array.pt")

save(sd, "container_plain.pt")
with zipfile.ZipFile("container_plain.pt") as plain:
    entries = [(info, plain.read(info)) for info in plain.infolist()]
with zipfile.ZipFile("container_deflated.pt", "w", zipfile.ZIP_DEFLATED) as out:
    for info, data in entries:
        out.writestr(info.filename, data)
with zipfile.ZipFile("container_bzip2.pt", "w", zipfile.ZIP_BZIP2) as out:
    for info, data in entries:
        out.writestr(info.filename, data)
with zipfile.ZipFile("container_rootless.pt", "w") as out:
    for info, data in entries:
        out.writestr(info.filename.split("/", 1)[1], data)
whole = bytearray(open("container_plain.pt", "rb").read())
whole[whole.find(sd["fc.weight"].numpy().tobytes()) + 5] ^= 0x10
open("container_flipped.pt", "wb").write(whole)
torch.utils.serialization.config.save.compute_crc32 = False
save(sd, "container_no_crc.pt")
torch.utils.serialization.config.save.compute_crc32 = True

mixed = {**sd, "half": torch.tensor([1.5], dtype=torch.float16), "long": torch.tensor([3])}
swapped = {name: value.clone() for name, value in mixed.items()}
for value in swapped.values():
    value.untyped_storage().byteswap(value.dtype)
order, sys.byteorder = sys.byteorder, "big"
save(swapped, "container_big.pt")
sys.byteorder = order
read = torch.load("container_big.pt")
assert all(torch.equal(read[name], value) for name, value in mixed.items())
