"""Writes precode_golden.txt: loss and gradients of a small network with PRECODE's bottleneck, from PyTorch in double precision.

Run as `python precode_golden.py > precode_golden.txt`. A line is `case name values...`. The network is 12-5-[bottleneck 3]-10 with ReLU; value i of
parameter k is sin(0.7 i + k)/2. EPS is what the library draws from the seed 1, 2, 3, 4.
"""
import math

import torch
from torch.nn import functional as F

EPS = [-0.3554759621620178, -1.339545488357544, 0.8133116364479065, -0.47319361567497253, 0.20520766079425812, -1.2149667739868164]
BETA, WIDTH = 0.05, 3
NAMES = {
    "fc1.weight": (5, 12), "fc1.bias": (5,), "bottleneck.encoder.weight": (6, 5), "bottleneck.encoder.bias": (6,),
    "bottleneck.decoder.weight": (5, 3), "bottleneck.decoder.bias": (5,), "fc2.weight": (10, 5), "fc2.bias": (10,),
}


def wave(shape, k):
    n = math.prod(shape)
    return (torch.sin(0.7 * torch.arange(n, dtype=torch.float64) + k) / 2).reshape(shape)


def loss(p, x, y, eps):
    layer = lambda name, v: F.linear(v, p[f"{name}.weight"], p[f"{name}.bias"])
    r = F.relu(layer("fc1", x))
    statistics = layer("bottleneck.encoder", r)
    mu, std = statistics[:, :WIDTH], F.softplus(statistics[:, WIDTH:])
    logits = layer("fc2", layer("bottleneck.decoder", mu + eps * std))
    nats = torch.distributions.kl_divergence(
        torch.distributions.Normal(mu, std), torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(std)))
    return F.cross_entropy(logits, y) + BETA * nats.sum(1).mean() / math.log(2)


if __name__ == "__main__":
    x, y = wave((2, 12), 0.5), torch.tensor([3, 8])
    for case, eps in [("drawn", torch.tensor(EPS, dtype=torch.float64).reshape(2, WIDTH)), ("mean", torch.zeros(2, WIDTH))]:
        p = {name: wave(shape, k).requires_grad_() for k, (name, shape) in enumerate(NAMES.items())}
        value = loss(p, x, y, eps)
        value.backward()
        print(case, "loss", repr(value.item()))
        for name, tensor in p.items():
            print(case, name, *(repr(v) for v in tensor.grad.flatten().tolist()))
