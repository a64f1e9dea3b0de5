"""A step of DP-SGD beside Opacus: same models, same machine, same run, one thread each, interleaved.

Run: cargo build --release -p learning --example dp_sgd
     python learning/benches/dp_sgd_compare.py [--rounds 5] [--batch 64] [CASE ...]

Needs torch 2.11 and opacus (pip install --no-deps opacus opt_einsum). A step is the forward pass, per-example clipping at 1,
Gaussian noise of multiplier 1, the division by the batch and the SGD update. Opacus runs its default (hooks form every
example's gradient) and its ghost clipping (`grad_sample_mode="ghost"`); the ratio is against the faster of the two. Prints a
Markdown table of examples per second: by the clock (fastest step of all rounds) and in processor time (fastest round's mean),
which holds still on a machine that has other work.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time
import warnings

os.environ["OMP_NUM_THREADS"] = "1"
warnings.filterwarnings("ignore")
import torch  # noqa: E402
from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping  # noqa: E402
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping  # noqa: E402
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping  # noqa: E402
from torch import nn  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
torch.set_num_threads(1)


def lenet_zhu():
    """DLG's sigmoid LeNet."""
    layers, last = [], 3
    for stride in (2, 2, 1):
        layers += [nn.Conv2d(last, 12, 5, stride, padding=2), nn.Sigmoid()]
        last = 12
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(768, 10))


def simple_cnn(side):
    """The fl-attack sandbox's face network."""
    layers, last = [], 3
    for width in (64, 128, 256):
        layers += [nn.Conv2d(last, width, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2, 2)]
        last = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * (side // 8) ** 2, 512), nn.ReLU(), nn.Linear(512, 2))


def mnist():
    """The network of Opacus' MNIST example."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 8, 2, padding=3), nn.ReLU(), nn.MaxPool2d(2, 1),
        nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.MaxPool2d(2, 1),
        nn.Flatten(), nn.Linear(512, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip


# name -> (model, shape of an example, classes, steps a round)
CASES = {
    "lenet-zhu": (lenet_zhu, (3, 32, 32), 10, 40),
    "mnist": (mnist, (1, 28, 28), 10, 40),
    "simple-cnn-32": (lambda: simple_cnn(32), (3, 32, 32), 2, 4),
    "simple-cnn-64": (lambda: simple_cnn(64), (3, 64, 64), 2, 2),
}


def opacus_step(case, batch, ghost):
    """A closure that takes one step."""
    build, shape, classes, _ = CASES[case]
    torch.manual_seed(0)
    x, y = torch.rand(batch, *shape), torch.arange(batch) % classes
    model, loss = build().train(), nn.CrossEntropyLoss()
    sgd = torch.optim.SGD(model.parameters(), lr=0.01)
    rule = dict(noise_multiplier=1.0, max_grad_norm=1.0, expected_batch_size=batch)
    if ghost:
        model = GradSampleModuleFastGradientClipping(model, max_grad_norm=1.0, use_ghost_clipping=True)
        optimizer = DPOptimizerFastGradientClipping(sgd, **rule)
        loss = DPLossFastGradientClipping(model, optimizer, loss)
    else:
        model, optimizer = GradSampleModule(model), DPOptimizer(sgd, **rule)

    def step():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step


def timed(step, steps):
    """Fastest seconds of a step by the clock, and mean seconds in processor time."""
    step()
    best, before = float("inf"), time.thread_time()
    for _ in range(steps):
        start = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - start)
    return best, (time.thread_time() - before) / steps


def ours(case, batch, steps):
    program = ROOT / "target/release/examples/dp_sgd"
    out = subprocess.run([program, case, str(batch), str(steps)], check=True, capture_output=True, text=True).stdout
    return tuple(float(v) for v in out.split()[:2])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    if unknown := set(args.cases) - set(CASES):
        sys.exit(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    print("| model | clock | Opacus hooks /s | Opacus ghost /s | ours /s | ours / faster Opacus |\n|---|---|---|---|---|---|")
    for case in args.cases or CASES:
        steps = CASES[case][3]
        hooks, ghost = (opacus_step(case, args.batch, g) for g in (False, True))
        runs = [(timed(hooks, steps), timed(ghost, steps), ours(case, args.batch, steps)) for _ in range(args.rounds)]
        for kind, name in enumerate(("wall", "processor")):
            a, b, c = (args.batch / min(run[who][kind] for run in runs) for who in range(3))
            print(f"| {case} | {name} | {a:,.0f} | {b:,.0f} | {c:,.0f} | {c / max(a, b):.2f} |", flush=True)


if __name__ == "__main__":
    main()
