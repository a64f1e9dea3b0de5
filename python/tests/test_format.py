"""The page of the format, its schema and the binary say the same."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import torch
from conftest import SCHEMA
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

import flbench

PAGE = (Path(__file__).parents[2] / "docs" / "capture.md").read_text()


class LeNet(nn.Module):
    """`lenet-zhu` of bench, for 8x8 pictures of 5 classes."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 5, stride=2, padding=2),
            nn.Sigmoid(),
            nn.Conv2d(12, 12, 5, stride=2, padding=2),
            nn.Sigmoid(),
            nn.Conv2d(12, 12, 5, padding=2),
            nn.Sigmoid(),
        )
        self.fc = nn.Sequential(nn.Linear(12 * 4, 5))

    def forward(self, x):
        return self.fc(self.body((x - 0.5) / 0.25).flatten(1))


def valid(said):
    jsonschema.validate(said, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_the_page_lists_every_key():
    rows = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    keys = [*SCHEMA["properties"], *SCHEMA["properties"]["training"]["properties"]]
    assert sorted(rows) == sorted(keys)
    valid(json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1]))


def everything():
    """A description with every key, of weights after two steps of Adam by two clients."""
    return {
        "schema": "bench-capture/1",
        "made_by": "a test",
        "model": {"name": "lenet-zhu", "params": {}, "input": [3, 8, 8], "classes": 5},
        "weights": "before.safetensors",
        "update": "after.safetensors",
        "holds": "weights",
        "examples": 3,
        "training": {
            "optimizer": "adam",
            "lr": 0.1,
            "lr_schedule": [0.1, 0.05, 0.02, 0.01],
            "betas": [0.9, 0.999],
            "weight_decay": 0.0,
            "epochs": 2,
            "minibatch": 1,
        },
        "batch_norm": "eval",
        "normalization": {"mean": [0.5, 0.5, 0.5], "std": [0.25]},
        "labels": [1, 0, 4],
        "contributors": [1, 2],
        "defenses": [{"name": "gaussian-noise", "std": 0.01}],
        "notes": ["free text"],
    }


def folder_with(folder, said):
    net = LeNet()
    before = {name: t.clone() for name, t in net.state_dict().items()}
    save_file(before, folder / "before.safetensors")
    functional.cross_entropy(net(torch.rand(1, 3, 8, 8)), torch.tensor([1])).backward()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter -= 0.1 * parameter.grad
    save_file(net.state_dict(), folder / "after.safetensors")
    (folder / "capture.json").write_text(json.dumps(said))
    return folder


def test_the_binary_reads_every_key(tmp_path, bench):
    said = everything() | {"contributors": [3], "examples": 3}
    said["training"]["lr_schedule"] = [0.1] * 6
    valid(said)
    few = {"iterations": 1}
    folder = folder_with(tmp_path, said)
    # Steps of Adam are followed, and not read as a gradient.
    followed = few | {"unroll": True}
    found = flbench.attack(folder, "inverting-gradients", followed, bench=bench)
    assert found.images.shape == (3, 3, 8, 8)


WRONG = {
    "a key": lambda s: s | {"atack": 3},
    "a key of training": lambda s: s | {"training": s["training"] | {"nesterov": True}},
    "a path": lambda s: s | {"update": "sub/after.safetensors"},
    "another version": lambda s: s | {"schema": "bench-capture/2"},
    "two models": lambda s: s | {"model": s["model"] | {"file": "model.pt2"}},
    "no model": lambda s: s | {"model": {}},
    "no examples": lambda s: {k: v for k, v in s.items() if k != "examples"},
    "what it holds": lambda s: s | {"holds": "gradients"},
    "a mode": lambda s: s | {"batch_norm": "test"},
    "a deviation": lambda s: s | {"normalization": {"mean": [0.5], "std": [0.0]}},
    "an optimizer": lambda s: s | {"training": s["training"] | {"optimizer": "adamw"}},
    "a rate": lambda s: s | {"training": s["training"] | {"lr": 0.0}},
    "training of a gradient": lambda s: s | {"holds": "gradient"},
    "a defense without a name": lambda s: s | {"defenses": [{"std": 0.01}]},
}


@pytest.mark.parametrize("what", WRONG)
def test_schema_and_binary_refuse_the_same(tmp_path, bench, what):
    said = everything() | {"contributors": [3]}
    said["training"]["lr_schedule"] = [0.1] * 6
    wrong = WRONG[what](json.loads(json.dumps(said)))
    with pytest.raises(jsonschema.ValidationError):
        valid(wrong)
    with pytest.raises(flbench.BenchError) as refused:
        flbench.attack(folder_with(tmp_path, wrong), "dlg", {"iterations": 1}, bench=bench)
    assert refused.value.code == 2
