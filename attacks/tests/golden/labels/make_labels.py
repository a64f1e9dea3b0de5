"""Labels that the methods' authors read off gradients of small networks, by their own code.

    python make_labels.py BREACHING LLG ILRG

The arguments are checkouts of JonasGeiping/breaching (8bd99d5), tklab-tud/LLG and BUAA-CST/iLRG.
Gradients are PyTorch's (2.11, f64). breaching's code runs as it is; what it fills up at random
stands as -1. Its `wainakh-whitebox` does not run: labels are floats, and a row of the weight is no
part of the graph. It also sums the impact over all rows, which is zero, and raises the last class
instead of the chosen one. MENDED lists what is replaced for it, and for it alone.
"""

import importlib.util
import json
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

BREACHING, LLG, ILRG = map(Path, sys.argv[1:4])
IN, WIDTHS, K = 6, [12, 8], 5

MENDED = [
    ("torch.as_tensor([class_idx] * num_data_points, **self.setup)",
     "torch.as_tensor([class_idx] * num_data_points)"),
    ("torch.arange(num_classes, **self.setup)", "torch.arange(num_classes)"),
    ("torch.autograd.grad(loss, (weight_params[0][class_idx],))",
     "torch.autograd.grad(loss, weight_params)"),
    ("s_offset[class_idx] += W_cls.sum() / T", "s_offset[class_idx] += W_cls[class_idx].sum() / T"),
    ("m_impact += g_i.sum() *", "m_impact += g_i[class_idx] *"),
    ("g_i[idx] -= m_impact\n            # Finalize", "g_i[selected_idx] -= m_impact\n            # Finalize"),
]


def load(path, name, package=None, mend=()):
    text = path.read_text()
    for old, new in mend:
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    module = types.ModuleType(name)
    module.__package__ = package or ""
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


def stub(name, **names):
    module = types.ModuleType(name)
    module.__dict__.update(names)
    module.__path__ = []
    sys.modules[name] = module


stub("breaching"), stub("breaching.attacks"), stub("breaching.attacks.auxiliaries")
stub("breaching.attacks.auxiliaries.common", optimizer_lookup=None)
stub("breaching.cases"), stub("breaching.cases.models")
stub("breaching.cases.models.transformer_dictionary", lookup_grad_indices=None)
BASE = BREACHING / "breaching/attacks/base_attack.py"
AS_IS = load(BASE, "as_is", "breaching.attacks")
WHITEBOX = load(BASE, "whitebox", "breaching.attacks", MENDED)
RESTORE = load(ILRG / "methods.py", "ilrg")
for name in ("Setting", "Dataloader"):
    stub(name)
PREDICTOR = load(LLG / "Code/Predictor.py", "llg")


def breaching(module, strategy, model, gradients, batch):
    own = module._BaseAttacker.__new__(module._BaseAttacker)
    own.cfg = SimpleNamespace(label_strategy=strategy, impl=SimpleNamespace(mixed_precision=False))
    own.setup = dict(dtype=torch.double, device=torch.device("cpu"))
    own.data_shape, own.loss_fn = [IN], torch.nn.CrossEntropyLoss()
    gradients = [g.clone() for g in gradients]
    data = [dict(gradients=gradients, metadata=dict(num_data_points=batch))]
    drawn, torch.randint = torch.randint, lambda low, high, size, **_: torch.full(size, -1)
    try:
        return own._recover_label_information(data, None, [model]).tolist()
    finally:
        torch.randint = drawn


def whitebox(model, gradients, batch, pictures):
    normal, torch.randn = torch.randn, lambda size, **_: pictures[: size[0]]
    try:
        return breaching(WHITEBOX, "wainakh-whitebox", model, gradients, batch)
    finally:
        torch.randn = normal


def llg(gradients, batch):
    own = PREDICTOR.Predictor.__new__(PREDICTOR.Predictor)
    own.setting = SimpleNamespace(
        parameter=dict(batch_size=batch, num_classes=K, local_iterations=1),
        dlg=SimpleNamespace(gradient=gradients))
    own.prediction = []
    own.LLG_prediction()
    return [int(k) for k in own.prediction]


def ilrg(model, gradients, batch):
    dw, db = gradients[-2].float().double(), gradients[-1]
    last = model[-1]
    inputs = torch.stack([RESTORE.get_emb(gradients[-2][k].numpy(), db[k].item()) for k in range(K)])
    probs = torch.softmax(last(inputs.double()), dim=-1)
    caught = {}
    solve, np.linalg.pinv = np.linalg.pinv, lambda a: caught.setdefault("pinv", solve(a))
    try:
        RESTORE.iLRG(probs, db.tolist(), K, batch)
    finally:
        np.linalg.pinv = solve
    values = np.array([batch] + [batch * g for g in db.tolist()])
    return caught["pinv"].dot(values).tolist()


def network(seed):
    torch.manual_seed(seed)
    sizes = [IN, *WIDTHS, K]
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1]).double()


def examples(labels, seed):
    torch.manual_seed(seed)
    centres = torch.randn(K, IN, dtype=torch.double)
    return centres[labels] + 0.7 * torch.randn(len(labels), IN, dtype=torch.double)


def trained(model, steps):
    loss = torch.nn.CrossEntropyLoss()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    labels = torch.arange(200) % K
    x = examples(labels, 7)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(model(x), labels).backward()
        optimiser.step()
    return model


def case(seed, steps, labels):
    labels = torch.tensor(labels)
    model, batch = trained(network(seed), steps), len(labels)
    x = examples(labels, 7)
    x += 0.3 * torch.randn(x.shape, dtype=torch.double, generator=torch.Generator().manual_seed(seed))
    loss = torch.nn.functional.cross_entropy(model(x), labels)
    gradients = [g.detach() for g in torch.autograd.grad(loss, model.parameters())]
    # As many dummies as the offset's K - 1, so that impact and offset ask the same pictures.
    pictures = torch.randn(K - 1, IN, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    found = {s: breaching(AS_IS, s, model, gradients, batch)
             for s in ["analytic", "yin", "wainakh-simple", "bias-corrected"]}
    if batch == 1:
        found["idlg"] = breaching(AS_IS, "iDLG", model, gradients, batch)
    if batch == K - 1:
        found["wainakh-whitebox"] = whitebox(model, gradients, batch, pictures)
    found["llg"] = llg(gradients, batch)
    return dict(
        batch=batch, labels=sorted(labels.tolist()), found=found, restored=ilrg(model, gradients, batch),
        weights=[p.detach().flatten().tolist() for p in model.parameters()],
        gradients=[g.flatten().tolist() for g in gradients],
        pictures=pictures.flatten().tolist())


def as_it_is():
    model = network(1)
    gradients = [torch.ones_like(p) * 0.1 for p in model.parameters()]
    try:
        breaching(AS_IS, "wainakh-whitebox", model, gradients, K - 1)
        return "runs"
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"


CASES = [
    case(1, 0, [3]), case(2, 300, [1]),
    case(3, 0, [0, 1, 2, 4]), case(4, 0, [2, 2, 2, 0]), case(5, 300, [4, 4, 1, 0]),
    case(6, 0, [0, 0, 1, 1, 1, 1, 3, 4]), case(7, 100, [2, 2, 2, 2, 2, 2, 2, 2]),
    case(8, 30, [i % K for i in range(16)]), case(9, 300, [0] * 9 + [3] * 6 + [2]),
]
out = dict(classes=K, input=IN, widths=WIDTHS, whitebox_as_it_is=as_it_is(), cases=CASES)
Path(__file__).with_name("labels.json").write_text(json.dumps(out, indent=None) + "\n")
print(out["whitebox_as_it_is"])
for c in CASES:
    print(c["labels"], c["found"], np.round(c["restored"], 2).tolist())
