"""Our matching iteration beside PyTorch's own loops: same machine, same run, one thread each, interleaved.

Run: cargo build --release -p learning --example speed
     python learning/benches/compare.py [--rounds 5] [CASE ...]
     python learning/benches/compare.py --derivatives [CASE ...]      ours alone, without torch and breaching

Needs torch 2.11, torchvision and breaching (pip). For each case it alternates our program and theirs and prints a Markdown
table of milliseconds per trial-iteration: by the clock (fastest iteration of all rounds) and in processor time (fastest
round's mean), which holds still on a machine that has other work.

bare  forward, parameter gradients with their graph, objective against a fixed target, gradient by the images alone
loop  an attack's whole iteration: for LeNet and ConvNet breaching's `invertinggradients` as it is; for the others the loop
      that most attack code has: `autograd.grad(..., create_graph=True)`, objective, `backward()`, a step of Adam

Every row is measured twice for us: by second-order autograd (`exact`) and as a difference of first derivatives (`difference`).
`--derivatives` prints the ratio of the two alone, and the peak memory of each.
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/speed"
if "--derivatives" not in sys.argv:
    import breaching
    import torch
    import torchvision
    from breaching.attacks.auxiliaries.objectives import CosineSimilarity, Euclidean
    from breaching.cases.models.model_preparation import ConvNet, LeNetZhu
    from torch import nn

    torch.set_num_threads(1)


def simple_cnn():
    """The fl-attack sandbox's face network."""
    layers, last = [], 3
    for width in (64, 128, 256):
        layers += [nn.Conv2d(last, width, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2, 2)]
        last = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16384, 512), nn.ReLU(), nn.Linear(512, 2))


# name -> (model, side, objective, our trials, iterations a round)
CASES = {
    "lenet-zhu": (lambda: LeNetZhu(), 32, lambda: CosineSimilarity(), (1, 16), 60),
    "convnet64": (lambda: ConvNet(width=64), 32, lambda: CosineSimilarity(), (1, 4), 3),
    "resnet18": (lambda: torchvision.models.resnet18(num_classes=10), 64, lambda: CosineSimilarity(), (1, 4), 4),
    "simple-cnn": (simple_cnn, 64, lambda: Euclidean(), (1, 4), 5),
}


def prepare(case):
    build, side, *_ = CASES[case]
    torch.manual_seed(0)
    model = build().eval()
    x, label = torch.randn(1, 3, side, side), torch.tensor([1])
    gradients = torch.autograd.grad(nn.functional.cross_entropy(model(x), label), model.parameters())
    return model, [g.detach() for g in gradients], label, (3, side, side)


def iterate(case, iterations, whole):
    """Fastest iteration and mean processor time of breaching's objective classes, bare or in the customary loop."""
    model, target, label, shape = prepare(case)
    config = breaching.get_config().attack.impl
    objective = CASES[case][2]()
    objective.initialize(nn.CrossEntropyLoss(), config)
    x = torch.randn(1, *shape, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=0.1)
    best, processor = float("inf"), 0.0
    for i in range(iterations + 2):
        if i == 2:
            processor = time.thread_time()
        start = time.perf_counter()
        optimizer.zero_grad()
        value, _ = objective(model, target, x, label)
        if whole:
            value.backward()
            optimizer.step()
        else:
            value.backward(inputs=x)
        best = min(best, time.perf_counter() - start)
    return best * 1e3, (time.thread_time() - processor) / iterations * 1e3


def breaching_loop(case, iterations):
    """breaching's own attacker; mean over one run of its `_run_trial`."""
    model, target, label, shape = prepare(case)
    config = breaching.get_config(overrides=["attack=invertinggradients"])
    config.attack.optim.max_iterations = iterations
    config.attack.restarts.num_trials = 1
    setup = dict(device=torch.device("cpu"), dtype=torch.float)
    meta = type(config.case.data)({**config.case.data, "shape": list(shape)})
    payload = dict(parameters=list(model.parameters()), buffers=list(model.buffers()), metadata=meta)
    known = dict(num_data_points=1, labels=label, local_hyperparams=None)
    shared = dict(gradients=target, buffers=None, metadata=known)
    attacker = breaching.attacks.prepare_attack(model, nn.CrossEntropyLoss(), config.attack, setup)
    models, labels, stats = attacker.prepare_attack([payload], [shared])
    start, processor = time.perf_counter(), time.thread_time()
    attacker._run_trial(models, [shared], labels, stats, 0)
    return (time.perf_counter() - start) / iterations * 1e3, (time.thread_time() - processor) / iterations * 1e3


def theirs(case, kind):
    iterations = CASES[case][4]
    if kind == "bare":
        return iterate(case, iterations, False)
    if case in ("lenet-zhu", "convnet64"):
        return breaching_loop(case, iterations)
    return iterate(case, iterations, True)


def ours(case, trials, kind, derivative="exact"):
    repeats = max(2, CASES[case][4] // trials)
    extra = [word for word in (kind, derivative) if word in ("loop", "difference")]
    printed = subprocess.run([PROGRAM, case, str(trials), str(repeats), *extra], check=True, capture_output=True, text=True)
    return tuple(float(number) for number in printed.stdout.split())


WAYS = ("exact", "difference")
NEVER = (float("inf"),) * 3


def fastest(old, new):
    return tuple(min(pair) for pair in zip(old, new))


def measure(case, kind, rounds):
    trials = CASES[case][3]
    reference, found = NEVER[:2], {(t, way): NEVER for t in trials for way in WAYS}
    for _ in range(rounds):
        reference = fastest(reference, theirs(case, kind))
        for t, way in found:
            found[t, way] = fastest(found[t, way], ours(case, t, kind, way))
    for (t, way), own in found.items():
        cells = [f"{theirs:.2f} | {ours:.2f} | {theirs / ours:.2f}" for theirs, ours in zip(reference, own)]
        print(f"| {case} | {kind} | {t} | {way} | {cells[0]} | {cells[1]} |", flush=True)


def derivatives(cases, rounds):
    """Ours alone: how many times faster differences are, and their peak memory."""
    print("| network | our trials | exact: processor ms | difference | ratio | exact: peak MB | difference |")
    print("|---|---|---|---|---|---|---|")
    for case in cases:
        for t in CASES[case][3]:
            found = dict.fromkeys(WAYS, NEVER)
            for _ in range(rounds):
                found = {way: fastest(own, ours(case, t, "loop", way)) for way, own in found.items()}
            (_, exact, before), (_, difference, after) = found["exact"], found["difference"]
            cells = f"{exact:.2f} | {difference:.2f} | {exact / difference:.2f} | {before:.0f} | {after:.0f}"
            print(f"| {case} | {t} | {cells} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kind", choices=["bare", "loop", "both"], default="both")
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--derivatives", action="store_true")
    args = parser.parse_args()
    if args.derivatives:
        return derivatives(args.cases, args.rounds)
    print("| network | iteration | our trials | derivative | clock: PyTorch ms | ours | ratio | processor: PyTorch ms | ours | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for case in args.cases:
        for kind in ("bare", "loop") if args.kind == "both" else (args.kind,):
            measure(case, kind, args.rounds)


if __name__ == "__main__":
    sys.exit(main())
