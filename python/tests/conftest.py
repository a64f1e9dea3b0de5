import json
import os
from pathlib import Path

import jsonschema
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import flbench

SCHEMA = json.loads(Path(flbench.__file__).with_name("capture.schema.json").read_text())


class SigmoidNet(nn.Module):
    """A small network that leaks: sigmoids, and weights from -0.5 to 0.5."""

    def __init__(self, channels=3, side=8, classes=5):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 12, 5, stride=2, padding=2),
            nn.Sigmoid(),
            nn.Conv2d(12, 12, 5, padding=2),
            nn.Sigmoid(),
        )
        self.head = nn.Linear(12 * (side // 2) ** 2, classes)

    def forward(self, x):
        return self.head(self.body(x).flatten(1))


class NormNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.norm2 = nn.BatchNorm2d(4)
        self.head = nn.Linear(4 * 16, 3)

    def forward(self, x):
        return self.head(self.norm2(torch.tanh(self.norm(self.conv(x)))).flatten(1))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(7)
    torch.set_num_threads(1)


@pytest.fixture
def sigmoid_net():
    net = SigmoidNet()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.uniform_(-0.5, 0.5)
    return net


@pytest.fixture
def norm_net():
    return NormNet()


@pytest.fixture
def bench():
    path = os.environ.get("BENCH")
    assert path and Path(path).is_file(), "set BENCH to the binary; python/test does"
    return path


def described(folder):
    """capture.json, which must fit the schema."""
    said = json.loads((folder / "capture.json").read_text())
    jsonschema.validate(said, SCHEMA, cls=jsonschema.Draft202012Validator)
    return said


def update_of(folder):
    return load_file(folder / "update.safetensors")


def weights_of(folder):
    """The weights that the model's file holds."""
    return dict(torch.export.load(folder / "model.pt2").state_dict)


def psnr(guess, truth):
    return (-10 * ((guess - truth) ** 2).mean().log10()).item()
