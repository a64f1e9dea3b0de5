"""Writes traces.json: what torch.optim does on small problems, in f64 (torch 2.11, CPU, one thread).

Run: python make_traces.py   (in this folder; the file is rewritten)
The problems are rebuilt in attacks/src/optim/tests.rs from the same formulas; starting points are stored in the trace.
"""
import json
import math
import pathlib

import torch
from torch.optim.lbfgs import _strong_wolfe

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def quadratic(x):
    i = torch.arange(x.numel(), dtype=torch.float64)
    curvature = 10 ** (4 * i / (x.numel() - 1))  # condition number 1e4
    return 0.5 * (curvature * (x - torch.sin(i)) ** 2).sum()


def net(x):
    """Least squares of a 3-4-2 tanh network on six fixed examples; x holds W1 [4,3], b1, W2 [2,4], b2."""
    w1, b1, w2, b2 = x[:12].view(4, 3), x[12:16], x[16:24].view(2, 4), x[24:26]
    inputs = torch.sin(torch.arange(18, dtype=torch.float64) * 0.7).view(6, 3)
    targets = torch.cos(torch.arange(12, dtype=torch.float64) * 1.3).view(6, 2)
    return ((torch.tanh(inputs @ w1.T + b1) @ w2.T + b2 - targets) ** 2).mean()


def start(n, shift):
    return torch.cos(torch.arange(n, dtype=torch.float64) * 1.1 + shift)


PROBLEMS = {
    "rosenbrock-2": (rosenbrock, torch.tensor([-1.2, 1.0])),
    "rosenbrock-10": (rosenbrock, start(10, 0.3)),
    "quadratic-50": (quadratic, start(50, 0.9)),
    "net": (net, 0.6 * start(26, 0.1)),
}
CLASSES = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD, "lbfgs": torch.optim.LBFGS}
RUNS = [
    (["rosenbrock-2", "quadratic-50", "net"], {"name": "adam", "lr": 0.1}, 50),
    (["rosenbrock-10"], {"name": "adam", "lr": 0.02, "betas": [0.8, 0.99], "eps": 1e-4, "weight_decay": 0.01}, 50),
    (["net", "rosenbrock-10"], {"name": "adam", "lr": 0.05, "signed": True}, 50),
    (["quadratic-50", "net"], {"name": "adamw", "lr": 0.1}, 50),
    (["net"], {"name": "adamw", "lr": 0.05, "weight_decay": 0.2}, 50),
    (["rosenbrock-2", "net"], {"name": "sgd", "lr": 1e-3}, 50),
    (["rosenbrock-10"], {"name": "sgd", "lr": 5e-4, "momentum": 0.9}, 50),
    (["quadratic-50"], {"name": "sgd", "lr": 5e-5, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, 50),
    (["rosenbrock-10", "net"], {"name": "sgd", "lr": 0.05, "momentum": 0.5, "clip": 0.5}, 50),
    # One L-BFGS iteration a step shows every iterate; the defaults (20 a step) show the whole step as attacks use it.
    (["rosenbrock-2", "rosenbrock-10", "quadratic-50", "net"],
     {"name": "lbfgs", "max_iter": 1, "max_eval": 25, "line_search": "strong-wolfe"}, 40),
    # Two steps, 40 iterations: after 60, torch itself answers a start moved by one unit in the last place with 1e-8 and more.
    (["rosenbrock-10", "quadratic-50", "net"], {"name": "lbfgs", "line_search": "strong-wolfe"}, 2),
    (["rosenbrock-10", "quadratic-50"],
     {"name": "lbfgs", "max_iter": 1, "max_eval": 25, "history": 3, "line_search": "strong-wolfe"}, 30),
    (["quadratic-50"], {"name": "lbfgs", "max_iter": 8, "max_eval": 4, "line_search": "strong-wolfe"}, 20),
    (["rosenbrock-10"], {"name": "lbfgs", "lr": 20.0, "max_iter": 1, "max_eval": 25, "line_search": "strong-wolfe"}, 20),
    (["net", "quadratic-50"], {"name": "lbfgs", "lr": 0.5, "max_iter": 5, "line_search": "none"}, 10),
    (["rosenbrock-10"], {"name": "lbfgs", "clip": 100.0, "max_iter": 4, "max_eval": 25, "line_search": "strong-wolfe"}, 6),
]
RENAMED = {"history": "history_size", "line_search": "line_search_fn"}


def build(config, x):
    options = {k: v for k, v in config.items() if k not in ("name", "signed", "clip")}
    if "line_search" in options:
        options["line_search"] = {"none": None, "strong-wolfe": "strong_wolfe"}[options["line_search"]]
    if "betas" in options:
        options["betas"] = tuple(options["betas"])
    return CLASSES[config["name"]]([x], **{RENAMED.get(k, k): v for k, v in options.items()})


def trace(name, config, steps):
    function, x0 = PROBLEMS[name]
    x = x0.clone().requires_grad_(True)
    optimizer = build(config, x)
    calls = 0

    def closure():
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        value = function(x)
        value.backward()
        if "clip" in config:
            torch.nn.utils.clip_grad_norm_([x], config["clip"])
        if config.get("signed"):
            x.grad.sign_()
        return value

    values, iterates = [], {}
    for step in range(1, steps + 1):
        values.append(optimizer.step(closure).item())
        if step in (1, 2, steps // 2, steps):
            iterates[str(step)] = x.detach().tolist()
    return {"problem": name, "config": config, "start": x0.tolist(), "values": values, "iterates": iterates, "evaluations": calls}


def schedules():
    """Factors torch's schedulers give over 40 iterations: cosine annealing to zero, and x0.1 at 3/8, 5/8, 7/8."""
    out = {}
    for name in ("cosine", "step"):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        scheduler = {
            "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40),
            "step": lambda: torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[15, 25, 35], gamma=0.1),
        }[name]()
        out[name] = []
        for _ in range(40):
            out[name].append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return out


def line_searches():
    """The points torch's line search takes on three lines t -> (value, slope), from several first steps."""
    lines = [
        lambda t: ((t - 3) ** 2, 2 * (t - 3)),
        lambda t: (-t / (t * t + 2), (t * t - 2) / (t * t + 2) ** 2),
        lambda t: (t**4 - 2 * t * t - t, 4 * t**3 - 4 * t - 1),
    ]
    out = []
    for number, line in enumerate(lines):
        for first in (1e-3, 0.1, 1.0, 10.0, 1e3):

            def evaluate(_, t, __):
                value, slope = line(float(t))
                return value, torch.tensor([slope])

            value, slope = line(0.0)
            direction, gradient = torch.tensor([1.0]), torch.tensor([slope])
            f, _, t, evaluations = _strong_wolfe(evaluate, None, first, direction, value, gradient, gradient[0], max_ls=25)
            out.append({"line": number, "first": first, "t": float(t), "value": float(f), "evaluations": evaluations})
    return out


traces = [trace(name, config, steps) for names, config, steps in RUNS for name in names]
assert all(math.isfinite(v) for t in traces for v in t["values"])
body = {"torch": torch.__version__.split("+")[0], "schedules": schedules(), "line_searches": line_searches(), "traces": traces}
text = json.dumps(body).replace('{"problem"', '\n{"problem"')
pathlib.Path(__file__).with_name("traces.json").write_text(text + "\n")
