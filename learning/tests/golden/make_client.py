"""Local training of two clients by torch.optim.SGD and torch.optim.Adam, with and without FedProx's pull (PyTorch 2.11, float64), BatchNorm in train and in eval mode.

Run: python make_client.py   (writes client.json beside this script)

The orders of the examples are what the Rust streams draw (the test asserts it); everything else is PyTorch's.
"""

import json

import torch
from torch import nn

from make_models import HERE, ConvNet, digest, fill, hashed

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
ORDERS = [
    [[6, 1, 2, 5, 0, 3, 4], [5, 3, 6, 4, 2, 1, 0], [3, 6, 2, 5, 1, 0, 4]],
    [[2, 6, 0, 4, 5, 3, 1], [3, 5, 4, 1, 0, 2, 6], [0, 6, 4, 5, 2, 3, 1]],
]
SETTINGS = [
    {"batch_size": 3, "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "mode": "train"},
    {"batch_size": 7, "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "mode": "train"},
    {"batch_size": 2, "lr": 0.05, "momentum": 0.5, "weight_decay": 0.1, "mode": "eval"},
    {"batch_size": 3, "lr": 0.01, "momentum": 0.0, "weight_decay": 0.05, "mode": "train", "betas": [0.8, 0.95]},
    {"batch_size": 2, "lr": 0.05, "momentum": 0.9, "weight_decay": 0.0, "mode": "eval", "prox": 0.7},
    {"batch_size": 4, "lr": 0.02, "momentum": 0.0, "weight_decay": 0.0, "mode": "eval", "prox": 0.7, "betas": [0.9, 0.999]},
]


def build():
    model = ConvNet(width=2)
    model.model.linear = nn.Linear(8, 5)
    return model, fill(model)


def run(client, setting):
    model, _ = build()
    model.train(setting["mode"] == "train")
    pixels = (hashed([2, 7, 3, 9, 9], 50) + 1) / 2
    x = (pixels[client] - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    y = torch.arange(7) * (client + 2) % 5
    common = {"lr": setting["lr"], "weight_decay": setting["weight_decay"]}
    if "betas" in setting:
        optimizer = torch.optim.Adam(model.parameters(), betas=setting["betas"], **common)
    else:
        optimizer = torch.optim.SGD(model.parameters(), momentum=setting["momentum"], **common)
    start = [p.detach().clone() for p in model.parameters()]
    mu = setting.get("prox", 0.0)
    for order in ORDERS[client]:
        for begin in range(0, 7, setting["batch_size"]):
            rows = order[begin : begin + setting["batch_size"]]
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            pull = sum(((p - s) ** 2).sum() for p, s in zip(model.parameters(), start))
            (loss + mu / 2 * pull).backward()
            optimizer.step()
    state = {n: v for n, v in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    return {n: digest(v, 6000 + i) for i, (n, v) in enumerate(state.items())}


if __name__ == "__main__":
    record = {"parameters": build()[1], "orders": ORDERS, "mean": MEAN, "std": STD}
    traces = [{**s, "clients": [run(0, s), run(1, s)]} for s in SETTINGS]
    lines = [f' "{k}": {json.dumps(v)}' for k, v in record.items()]
    lines.append(' "traces": [\n  ' + ",\n  ".join(json.dumps(t) for t in traces) + "\n ]")
    (HERE / "client.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
