"""Exported programs (.pt2) and golden values of them, from PyTorch and torchvision in float64.

Run: [SUFFIX=-2.15] python make.py [--onnx | --large FOLDER] [CASE ...]

Writes one .pt2 and, for each mode, one JSON file a case beside this script; with --large those of torchvision's networks at
full width into FOLDER, which is not part of the repository: `BENCH_GRAPHS=FOLDER cargo test --test graphs_golden` reads it.
--onnx writes the same networks as ONNX, by both exporters of PyTorch (pip install onnx onnxscript), into onnx/.
The .pt2 files are packed again with compression, which readers of zips do not notice.
"""

import json
import os
import pathlib
import sys
import zipfile

import numpy as np
import torch
import torchvision
from torch import nn

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import make_models as base  # noqa: E402  (sets float64 and one thread)

# The fused kernels of attention know no second derivative.
for kernel in ("flash", "mem_efficient"):
    getattr(torch.backends.cuda, f"enable_{kernel}_sdp")(False)


class Mixed(nn.Module):
    """Convolutions of every kind, BatchNorm, pools, a bias-free linear layer and a shared one."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(8, eps=1e-3)
        self.b = nn.Conv2d(8, 8, (1, 3), padding="same", groups=2)
        self.c = nn.Conv2d(8, 8, 3, padding=2, dilation=2, bias=False)
        self.d = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.gn = nn.GroupNorm(2, 8)
        self.inorm = nn.InstanceNorm2d(8, affine=True)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))
        self.shared = nn.Linear(8, 8)
        self.bn1 = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 4, bias=False)
        self.drop = nn.Dropout(0.0)
        self.register_buffer("order", torch.arange(7, -1, -1))

    def forward(self, x):
        f = nn.functional
        x = f.elu(self.bn(self.a(x)))
        x = x + f.silu(self.b(x)) * self.scale
        x = f.max_pool2d(f.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 2, 1)
        x = f.leaky_relu(self.gn(self.c(x)), 0.1, inplace=True)
        x = f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = f.hardswish(self.inorm(self.d(x)))
        x = f.adaptive_avg_pool2d(f.avg_pool2d(x, 2, ceil_mode=True), 1).flatten(1)
        x = self.shared(f.softplus(self.shared(x)))
        x = self.bn1(x.index_select(1, self.order))
        low, high = x.chunk(2, dim=1)
        return self.head(self.drop(torch.cat([torch.tanh(high), low.clamp(-1, 1)], 1)))


class Signal(nn.Module):
    """A table's row as a signal: 1-d convolutions, LayerNorm, RMSNorm."""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv1d(1, 4, 5, stride=2, padding=2)
        self.bn = nn.BatchNorm1d(4)
        self.ln = nn.LayerNorm([15])
        self.d = nn.Conv1d(4, 6, 3, padding=1, groups=2)
        self.rms = nn.RMSNorm(7)
        self.fc = nn.Linear(42, 3)

    def forward(self, x):
        f = nn.functional
        x = f.gelu(self.bn(self.ln(self.c(x.unsqueeze(1)))), approximate="tanh")
        x = f.max_pool1d(self.d(x), 3, 2)
        x = self.rms(torch.sigmoid(x)) / (1 + x.pow(2)).sqrt() - x.mean(1, keepdim=True)
        return self.fc(x.reshape(x.shape[0], -1))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 2))

    def forward(self, x):
        return self.body(x)


class Edges(nn.Module):
    """Slopes at exact zeros, bounds that are tensors, masks with infinities, BatchNorm's exits."""

    def __init__(self):
        super().__init__()
        self.up, self.prelu = nn.Linear(6, 8), nn.PReLU()
        self.low = nn.Parameter(torch.full((8,), -0.3))
        self.weigh = nn.Parameter(torch.randn(5, 8))
        self.register_buffer("mask", torch.tensor([True, False] * 4))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        f = nn.functional
        x = self.up(x)
        zero = x - x.detach()
        kinds = [f.leaky_relu(zero, 0.2), f.relu6(zero), f.hardtanh(zero), f.elu(zero), f.celu(zero)]
        x = x + sum(w * k for w, k in zip(self.weigh, kinds))
        # PReLU away from zero: there torch's first and second derivative take different sides.
        x = torch.clamp(self.prelu(x), self.low, self.low + 1.5)
        weights = x.masked_fill(self.mask, float("-inf")).softmax(-1)
        x = torch.where(x > 0.1, x * weights, x - weights) + x.clamp(min=0.05)
        return self.head(x.sub(0.5, alpha=2) / (x.var(-1, keepdim=True) + 1))


class Tied(nn.Module):
    """Two layers with one weight, which `state_dict()` lists twice and `parameters()` once."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(12, 12)
        self.b = nn.Linear(12, 12)
        self.b.weight = self.a.weight
        self.head = nn.Linear(12, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.b(torch.tanh(self.a(x)))))


class Conv1D(nn.Module):
    """A linear layer with its weight the other way round, as GPT-2 has it."""

    def __init__(self, i, o):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(i, o) * i**-0.5), nn.Parameter(torch.zeros(o))

    def forward(self, x):
        size = x.shape[:-1] + (self.weight.shape[1],)
        return torch.addmm(self.bias, x.view(-1, x.shape[-1]), self.weight).view(size)


# A token of the golden batch.
PADDING = int(((base.hashed([3, 6], 1) + 1) / 2 * 20)[0, 0])


class Decoder(nn.Module):
    """GPT-2's block twice (pre-norm, causal attention) on tokens, classified by the last one."""

    def __init__(self, words=20, length=6, width=8, heads=2):
        super().__init__()
        self.heads = heads
        self.wte, self.wpe = nn.Embedding(words, width, padding_idx=PADDING), nn.Embedding(length, width)
        block = lambda: nn.ModuleList([nn.LayerNorm(width), Conv1D(width, 3 * width), Conv1D(width, width), nn.LayerNorm(width), Conv1D(width, 32), Conv1D(32, width)])
        self.h = nn.ModuleList([block(), block()])
        self.ln = nn.LayerNorm(width)
        self.score = nn.Linear(width, 3, bias=False)

    def attention(self, x):
        parts = x.split(x.shape[-1] // 3, dim=2)
        q, k, v = (p.view(*p.shape[:2], self.heads, -1).transpose(1, 2) for p in parts)
        x = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for norm1, qkv, out, norm2, up, down in self.h:
            x = x + out(self.attention(qkv(norm1(x))))
            x = x + down(nn.functional.gelu(up(norm2(x)), approximate="tanh"))
        return self.score(self.ln(x)[:, -1])


class Encoder(nn.Module):
    """Two of PyTorch's own encoder layers (BERT's: post-norm, GELU) on the columns of a table."""

    def __init__(self, columns=6, width=8):
        super().__init__()
        self.lift = nn.Linear(1, width)
        self.place = nn.Parameter(torch.randn(1, columns, width))
        self.cls = nn.Parameter(torch.randn(1, 1, width))
        layer = lambda: nn.TransformerEncoderLayer(width, 2, 16, dropout=0.0, activation="gelu", batch_first=True)
        self.layers = nn.ModuleList([layer(), layer()])
        self.head = nn.Linear(width, 2)

    def forward(self, x):
        x = self.lift(x.unsqueeze(-1)) + self.place
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1)
        for layer in self.layers:
            x = layer(x)
        return self.head(x[:, 0])


def hardsigmoid(x, inplace=False):
    """By operations that have a second derivative, unlike torch's own."""
    return (x + 3).clamp(0, 6) / 6


def settle(model, seed):
    """Drawn weights, none of which is zero or one where that would hide a mistake."""
    torch.manual_seed(seed)
    for name, p in [*model.named_parameters(), *model.named_buffers()]:
        if not p.is_floating_point():
            continue
        with torch.no_grad():
            if name.endswith("running_var"):
                p.uniform_(0.7, 1.3)
            elif p.dim() > 1:
                p.add_(0.05 * torch.randn_like(p))
            else:
                p.add_(0.1 * torch.randn_like(p))
    return model.float()


def export(model, x, path):
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, path)
    with zipfile.ZipFile(path) as z:
        entries = [(i.filename, z.read(i)) for i in z.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in entries:
            if name.endswith("model.json"):
                content = json.dumps(anonymous(json.loads(content)), separators=(",", ":")).encode()
            z.writestr(name, content)


def export_onnx(model, x, name):
    """By both exporters, with every parameter by its name; without what tells of the machine."""
    import onnx

    keep = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    old = {"dynamo": False, "opset_version": 17, "input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}, **keep}
    new = {"dynamo": True, "optimize": False, "external_data": False, "verbose": False}
    new["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    for kind, how in (("script", old), ("dynamo", new)):
        path = HERE / "onnx" / f"{name}-{kind}.onnx"
        path.parent.mkdir(exist_ok=True)
        try:
            torch.onnx.export(model, (x,), path, **how)
        except Exception as e:
            print(f"{name} ({kind}): not exported: {str(e).splitlines()[-1][:100]}")
            continue
        program = onnx.load(path)
        for part in (program, program.graph, *program.graph.node, *program.graph.value_info, *program.graph.input, *program.graph.output):
            for field in ("doc_string", "metadata_props"):
                if field in part.DESCRIPTOR.fields_by_name:
                    part.ClearField(field)
        onnx.save(program, path)
        print(f"{path.name}: {path.stat().st_size} bytes")


def anonymous(tree):
    """Without the folders of the machine that wrote it."""
    if isinstance(tree, dict):
        return {k: anonymous(v) for k, v in tree.items()}
    if isinstance(tree, list):
        return [anonymous(v) for v in tree]
    if isinstance(tree, str) and "File \"" in tree:
        parts = tree.split('File "')
        short = lambda p: p if '"' not in p else short_name(p.split('"', 1)[0]) + '"' + p.split('"', 1)[1]
        return parts[0] + "".join('File "' + short(p) for p in parts[1:])
    return tree


def short_name(path):
    for known in ("site-packages/", "golden/"):
        if known in path:
            return path.split(known, 1)[1]
    return path.rsplit("/", 1)[-1]


def case(folder, name, model, shape, classes, modes=("eval",), tokens=None, batch=3):
    wanted = [a for a in sys.argv[1:] if not a.startswith("-") and a != str(folder)]
    if wanted and name not in wanted:
        return
    name += os.environ.get("SUFFIX", "")
    settle(model, 7)
    make = lambda b, kind: (base.hashed([b, *shape], 1).to(kind) if tokens is None else ((base.hashed([b, *shape], 1) + 1) / 2 * tokens).floor().long())
    torch.set_default_dtype(torch.float32)
    if "--onnx" in sys.argv:
        model.load_state_dict(torch.export.load(HERE / f"{name}.pt2").state_dict)
        export_onnx(model.eval(), make(2, torch.float32), name)
        torch.set_default_dtype(torch.float64)
        return
    export(model.train(modes == ("train",)), make(2, torch.float32), folder / f"{name}.pt2")
    torch.set_default_dtype(torch.float64)
    known, nn.functional.hardsigmoid = nn.functional.hardsigmoid, hardsigmoid
    state = {k: v.clone() for k, v in model.state_dict().items()}
    for mode in modes:
        model.double().load_state_dict({k: v.double() if v.is_floating_point() else v for k, v in state.items()})
        model.train(mode == "train")
        x = make(batch, torch.float64)
        x = x if tokens else x.requires_grad_(True)
        labels = torch.tensor([(3 * b + 1) % classes for b in range(batch)])
        names = [n for n, p in model.named_parameters() if p.requires_grad]
        if tokens:
            logits = model(x)
            loss = nn.functional.cross_entropy(logits, labels)
            grads = torch.autograd.grad(loss, [dict(model.named_parameters())[n] for n in names])
            scales, objectives = [1.0] * len(names), {}
        else:
            logits, loss, grads, scales, objectives = base.gradients(model, names, x, labels, nn.functional.cross_entropy)
        record = {
            "file": f"{name}.pt2",
            "torch": torch.__version__.split("+")[0],
            "input": list(shape),
            "classes": classes,
            "batch": batch,
            "mode": mode,
            "tokens": tokens,
            "labels": labels.tolist(),
            "logits": logits.detach().reshape(-1).tolist(),
            "loss": loss.item(),
            "gradients": [{"name": n, "target_scale": s, **base.digest(g, 2000 + i, 4)} for i, (n, s, g) in enumerate(zip(names, scales, grads))],
            **{k: {"value": v.item(), **base.digest(d, 3000 + i)} for i, (k, (v, d)) in enumerate(objectives.items())},
        }
        (folder / f"{name}-{mode}.json").write_text(base.compact(record))
        print(f"{name} ({mode}): {sum(p.numel() for p in model.parameters())} parameters, loss {loss.item():.4f}", flush=True)
    nn.functional.hardsigmoid = known


def small(folder):
    vision = torchvision.models
    both = ("eval", "train")
    case(folder, "mixed", Mixed(), (3, 16, 16), 4, both)
    case(folder, "signal", Signal(), (30,), 3, both)
    case(folder, "mlp", Mlp(), (30,), 2)
    case(folder, "edges", Edges(), (6,), 3)
    case(folder, "tied", Tied(), (12,), 3)
    vit = vision.vision_transformer.VisionTransformer(16, 8, 2, 2, 16, 32, num_classes=5)
    case(folder, "vit", vit, (3, 16, 16), 5)
    stages = [vision.convnext.CNBlockConfig(8, 16, 1), vision.convnext.CNBlockConfig(16, None, 1)]
    case(folder, "convnext", vision.convnext.ConvNeXt(stages, stochastic_depth_prob=0.0, num_classes=4), (3, 32, 32), 4)
    dense = vision.DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, num_classes=4)
    case(folder, "densenet", dense, (3, 32, 32), 4, both)
    case(folder, "decoder", Decoder(), (6,), 3, tokens=20)
    case(folder, "encoder", Encoder(), (6,), 2)


def large(folder):
    vision = torchvision.models
    quiet = {"dropout": 0.0, "stochastic_depth_prob": 0.0}
    both = ("eval", "train")
    nets = {
        "resnet18": (vision.resnet18(num_classes=10), 64, both),
        "resnet50": (vision.resnet50(num_classes=10), 64, both),
        "vgg11_bn": (vision.vgg11_bn(num_classes=10, dropout=0.0), 32, both),
        "mobilenet_v3_small": (vision.mobilenet_v3_small(num_classes=10, dropout=0.0), 64, both),
        "densenet121": (vision.densenet121(num_classes=10), 64, both),
        "efficientnet_b0": (vision.efficientnet_b0(num_classes=10, **quiet), 64, both),
        "convnext_tiny": (vision.convnext_tiny(num_classes=10, stochastic_depth_prob=0.0), 64, ("eval",)),
        "vit_b_16": (vision.VisionTransformer(32, 16, 12, 12, 768, 3072, num_classes=10), 32, ("eval",)),
    }
    for name, (net, side, modes) in nets.items():
        case(folder, name, net, (3, side, side), 10, modes)


if __name__ == "__main__":
    torch.manual_seed(0)
    if "--large" in sys.argv:
        folder = pathlib.Path(sys.argv[sys.argv.index("--large") + 1])
        folder.mkdir(exist_ok=True)
        large(folder)
    else:
        small(HERE)
