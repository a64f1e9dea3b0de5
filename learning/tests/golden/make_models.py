"""Golden values of the models from PyTorch 2.11 and torchvision, in float64.

Run: python make_models.py [CASE ...]   (writes one JSON file a case beside this script)

Weights, inputs and targets come from `unit`, an integer hash that the Rust tests compute too, so only the results
are stored: logits, loss and, of every parameter's gradient and of the gradients with respect to the input, the norm,
a projection on hashed values and a few entries.
"""

import json
import pathlib
import sys
from collections import OrderedDict

import numpy as np
import torch
import torchvision
from torch import nn

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
import units  # noqa: E402

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def unit(n, key):
    return torch.from_numpy(units.unit(n, key))


def hashed(shape, key):
    return unit(int(np.prod(shape)), key).reshape(list(shape))


class Lenet(nn.Module):
    """Zhu et al. 2019."""

    def __init__(self):
        super().__init__()
        conv = lambda i, s: nn.Conv2d(i, 12, 5, padding=2, stride=s)
        self.body = nn.Sequential(conv(3, 2), nn.Sigmoid(), conv(12, 2), nn.Sigmoid(), conv(12, 1), nn.Sigmoid())
        self.fc = nn.Sequential(nn.Linear(768, 10))

    def forward(self, x):
        return self.fc(self.body(x).flatten(1))


class ConvNet(nn.Module):
    """Geiping et al. 2020, width 64."""

    def __init__(self, width=64):
        super().__init__()
        layers, last = OrderedDict(), 3
        for i, times in enumerate((1, 2, 2, 4, 4, 4, 4, 4)):
            layers[f"conv{i}"] = nn.Conv2d(last, times * width, 3, padding=1)
            layers[f"bn{i}"] = nn.BatchNorm2d(times * width)
            layers[f"relu{i}"] = nn.ReLU()
            if i in (5, 7):
                layers[f"pool{i}"] = nn.MaxPool2d(3)
            last = times * width
        layers["flatten"] = nn.Flatten()
        layers["linear"] = nn.Linear(36 * width, 10)
        self.model = nn.Sequential(layers)

    def forward(self, x):
        return self.model(x)


class SimpleCnn(nn.Module):
    """The fl-attack sandbox's face network at 64x64."""

    def __init__(self):
        super().__init__()
        conv = lambda i, o: nn.Conv2d(i, o, 3, padding=1)
        self.conv1, self.conv2, self.conv3 = conv(3, 64), conv(64, 128), conv(128, 256)
        self.pool = nn.AvgPool2d(2, 2)
        self.fc1, self.fc2 = nn.Linear(16384, 512), nn.Linear(512, 2)

    def forward(self, x):
        for conv in (self.conv1, self.conv2, self.conv3):
            x = self.pool(torch.relu(conv(x)))
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


class Mlp(nn.Module):
    def __init__(self, inputs, hidden, classes):
        super().__init__()
        self.depth = len(hidden) + 1
        widths = [inputs, *hidden, classes]
        for i in range(self.depth):
            setattr(self, f"fc{i + 1}", nn.Linear(widths[i], widths[i + 1]))

    def forward(self, x):
        x = x.flatten(1)
        for i in range(1, self.depth):
            x = torch.relu(getattr(self, f"fc{i}")(x))
        return getattr(self, f"fc{self.depth}")(x)


class MnistCnn(nn.Module):
    """Keras' MNIST convnet with a hidden linear layer, as without dropout."""

    def __init__(self, flat, padding):
        super().__init__()
        conv = lambda i, o: nn.Conv2d(i, o, 3, padding=padding)
        self.conv1, self.conv2, self.conv3 = conv(1, 32), conv(32, 64), conv(64, 128)
        self.fc1, self.fc2 = nn.Linear(flat, 128), nn.Linear(128, 10)

    def forward(self, x):
        pool = nn.functional.max_pool2d
        x = pool(torch.relu(self.conv1(x)), 2)
        x = pool(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.conv3(x)).flatten(1)
        return self.fc2(torch.relu(self.fc1(x)))


class Block(nn.Module):
    """Convolution, BatchNorm and, unless linear, PReLU."""

    def __init__(self, i, o, kernel, stride, padding, groups=1, linear=False):
        super().__init__()
        self.conv = nn.Conv2d(i, o, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(o)
        self.prelu = nn.Identity() if linear else nn.PReLU(o)

    def forward(self, x):
        return self.prelu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, i, o, stride, expansion):
        super().__init__()
        wide = i * expansion
        self.short = stride == 1 and i == o
        first = [nn.Conv2d(i, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.PReLU(wide)]
        second = [nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.PReLU(wide)]
        self.conv = nn.Sequential(*first, *second, nn.Conv2d(wide, o, 1, bias=False), nn.BatchNorm2d(o))

    def forward(self, x):
        return x + self.conv(x) if self.short else self.conv(x)


class Cosine(nn.Module):
    def __init__(self, features, classes, scale):
        super().__init__()
        self.weight, self.scale = nn.Parameter(torch.zeros(classes, features)), scale

    def forward(self, x):
        return self.scale * nn.functional.linear(nn.functional.normalize(x), nn.functional.normalize(self.weight))


class MobileFaceNet(nn.Module):
    """Chen et al. 2018, table 1; with BatchNorm behind the two linear layers, too."""

    def __init__(self, side, embedding, classes, scale=None):
        super().__init__()
        self.conv1, self.dw_conv1 = Block(3, 64, 3, 2, 1), Block(64, 64, 3, 1, 1, groups=64)
        blocks, last = [], 64
        for expansion, o, repeats, stride in ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1)):
            for i in range(repeats):
                blocks.append(Bottleneck(last, o, stride if i == 0 else 1, expansion))
                last = o
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = Block(128, 512, 1, 1, 0)
        self.linear7 = Block(512, 512, side // 16, 1, 0, groups=512, linear=True)
        self.linear1 = Block(512, embedding, 1, 1, 0, linear=True)
        self.head = nn.Linear(embedding, classes) if scale is None else Cosine(embedding, classes, scale)

    def forward(self, x):
        x = self.conv2(self.blocks(self.dw_conv1(self.conv1(x))))
        return self.head(self.linear1(self.linear7(x)).flatten(1))


def arcface(scale, margin):
    """Deng et al. 2019, by the angle itself where it stays below pi."""

    def loss(logits, labels):
        cosine = logits / scale
        theta = torch.acos(cosine)
        moved = torch.where(theta + margin < torch.pi, torch.cos(theta + margin), cosine - margin * torch.sin(torch.tensor(margin)))
        right = nn.functional.one_hot(labels, logits.shape[1]).bool()
        return nn.functional.cross_entropy(scale * torch.where(right, moved, cosine), labels)

    return loss


def cosface(scale, margin):
    """Wang et al. 2018."""
    return lambda logits, labels: nn.functional.cross_entropy(logits - scale * margin * nn.functional.one_hot(labels, logits.shape[1]), labels)


def resnet(stem):
    model = torchvision.models.resnet18(num_classes=10)
    if stem == "cifar":
        model.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
        model.maxpool = nn.Identity()
    return model


def efficientnet(classes):
    """Without dropout and stochastic depth, which draw in train mode."""
    return torchvision.models.efficientnet_b2(num_classes=classes, dropout=0.0, stochastic_depth_prob=0.0)


class Residual(nn.Module):
    def __init__(self, layers, shortcut=()):
        super().__init__()
        self.layers, self.shortcut = nn.Sequential(*layers), nn.Sequential(*shortcut)

    def forward(self, x):
        return self.layers(x) + self.shortcut(x)


def layered():
    """One of every kind that `[[model.layers]]` knows, but dropout, which draws."""
    block = [nn.Conv2d(8, 8, 3, padding=1, groups=2), nn.GELU(), nn.Conv2d(8, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12)]
    inner = [nn.Conv2d(12, 12, 1), nn.Softplus()]
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 2, 2), nn.GroupNorm(2, 8), nn.SiLU(),
        Residual(block, [nn.Conv2d(8, 12, 1, 2)]), nn.ELU(), Residual(inner), nn.MaxPool2d(3, 1, 1), nn.LeakyReLU(),
        nn.AvgPool2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(48, 16, bias=False), nn.ReLU6(), nn.ReLU(), nn.Linear(16, 9), nn.Sigmoid(),
        nn.Linear(9, 4),
    )  # fmt: skip


LAYERED = [
    {"type": "conv", "out": 8, "kernel": 5, "stride": 2, "padding": 2},
    {"type": "group_norm", "groups": 2},
    {"type": "silu"},
    {
        "type": "residual",
        "layers": [
            {"type": "conv", "out": 8, "kernel": 3, "padding": 1, "groups": 2},
            {"type": "gelu"},
            {"type": "conv", "out": 12, "kernel": 3, "stride": 2, "padding": 1, "bias": False},
            {"type": "batch_norm"},
        ],
        "shortcut": [{"type": "conv", "out": 12, "kernel": 1, "stride": 2}],
    },
    {"type": "elu"},
    {"type": "residual", "layers": [{"type": "conv", "out": 12, "kernel": 1}, {"type": "softplus"}]},
    {"type": "max_pool", "kernel": 3, "stride": 1, "padding": 1},
    {"type": "leaky_relu"},
    {"type": "avg_pool", "kernel": 2},
    {"type": "tanh"},
    {"type": "flatten"},
    {"type": "linear", "out": 16, "bias": False},
    {"type": "relu6"},
    {"type": "relu"},
    {"type": "linear", "out": 9},
    {"type": "sigmoid"},
    {"type": "linear"},
]


def spread(name, tensor, module):
    """Centre and half width of the hashed values of one parameter or buffer."""
    if isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
        return {"weight": (1.0, 0.2), "bias": (0.0, 0.1), "running_mean": (0.0, 0.1), "running_var": (1.0, 0.3)}[name]
    if isinstance(module, nn.PReLU):
        return 0.25, 0.1
    weight = module.weight
    fan_in = weight[0].numel()
    return 0.0, (2.0 / fan_in) ** 0.5 if name == "weight" else fan_in**-0.5


def fill(model):
    """Hashed weights; returns the names in our order (BatchNorm: weight, bias, running_mean, running_var)."""
    order, key = [], 0
    for path, module in model.named_modules():
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for name, tensor in own:
            if name == "num_batches_tracked":
                continue
            full = f"{path}.{name}" if path else name
            centre, width = spread(name, tensor, module)
            with torch.no_grad():
                tensor.copy_(centre + width * hashed(tensor.shape, 1000 + key))
            order.append({"name": full, "shape": list(tensor.shape), "centre": centre, "width": width, "key": 1000 + key})
            key += 1
    return order


def digest(tensor, key, entries=8):
    """Norm, projection on hashed values, and entries spread over the tensor."""
    flat = tensor.detach().reshape(-1)
    picks = [(i * 7919 + 13) % flat.numel() for i in range(entries)]
    return {"norm": flat.norm().item(), "projection": (flat * unit(flat.numel(), key)).sum().item(), "entries": flat[picks].tolist()}


def gradients(model, names, x, labels, criterion, scales=None):
    """Logits, loss, parameter gradients, and both objectives with their gradients with respect to x."""
    logits = model(x)
    loss = criterion(logits, labels)
    named = dict(model.named_parameters())
    grads = torch.autograd.grad(loss, [named[n] for n in names], create_graph=True)
    if scales is None:
        # Targets as large as the gradient they are compared with; a floor where one vanishes (biases before BatchNorm).
        sizes = [g.detach().square().mean().sqrt().item() for g in grads]
        overall = (sum(g.detach().square().sum() for g in grads) / sum(g.numel() for g in grads)).sqrt().item()
        scales = [float(f"{max(s, 1e-3 * overall):.6e}") for s in sizes]
    targets = [(s * hashed(g.shape, 5000 + i)).to(x.dtype) for i, (g, s) in enumerate(zip(grads, scales))]
    l2 = sum((g - t).square().sum() for g, t in zip(grads, targets))
    dot = sum((g * t).sum() for g, t in zip(grads, targets))
    norm = lambda parts: sum(p.square().sum() for p in parts).sqrt()
    cosine = 1 - dot / (norm(grads) * norm(targets))
    objectives = {"l2": (l2, torch.autograd.grad(l2, x, retain_graph=True)[0])}
    objectives["cosine"] = (cosine, torch.autograd.grad(cosine, x)[0])
    return logits, loss, grads, scales, objectives


def off(found, exact):
    """Relative error of a tensor, by norm and by its worst digest entry in units of the root mean square."""
    error = found.double() - exact
    picks = [(i * 7919 + 13) % exact.numel() for i in range(8)]
    rms = exact.square().mean().sqrt()
    return max((error.norm() / exact.norm()).item(), (error.reshape(-1)[picks].abs().max() / rms).item())


def case(name, model, registry, input_shape, classes, batch, mode, criterion=nn.functional.cross_entropy):
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    order = fill(model)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    model.train(mode == "train")
    x = hashed([batch, *input_shape], 1).requires_grad_(True)
    labels = torch.tensor([(3 * b + 1) % classes for b in range(batch)])
    trainable = dict(model.named_parameters())
    names = [o["name"] for o in order if o["name"] in trainable]
    logits, loss, grads, scales, objectives = gradients(model, names, x, labels, criterion)
    model.load_state_dict(state)
    single = gradients(model.float(), names, x.detach().float().requires_grad_(True), labels, criterion, scales)
    largest = max(g.norm() for g in grads)
    entries = 8 if len(names) < 200 else 2
    first = max([off(single[0], logits), *(off(s, g) for s, g in zip(single[2], grads) if g.norm() > 1e-9 * largest)])
    second = max(off(single[4][k][1], objectives[k][1]) for k in objectives)
    record = {
        "model": registry,
        "input": list(input_shape),
        "classes": classes,
        "batch": batch,
        "mode": mode,
        "labels": labels.tolist(),
        "parameters": order,
        "logits": logits.detach().reshape(-1).tolist(),
        "loss": loss.item(),
        "gradients": [{"name": n, "target_scale": s, **digest(g, 2000 + i, entries)} for i, (n, s, g) in enumerate(zip(names, scales, grads))],
        "l2": {"value": objectives["l2"][0].item(), **digest(objectives["l2"][1], 3000)},
        "cosine": {"value": objectives["cosine"][0].item(), **digest(objectives["cosine"][1], 3001)},
        "pytorch_f32_off": {"first": float(f"{first:.1e}"), "second": float(f"{second:.1e}")},
    }
    (HERE / f"{name}.json").write_text(compact(record))
    print(f"{name}: loss {loss.item():.4f}, PyTorch's own f32 is off by {first:.1e} (first order), {second:.1e} (second order)")


def compact(record):
    """One line a top-level key and a parameter, so that differences are readable."""
    rows = []
    for key, value in record.items():
        if key in ("parameters", "gradients"):
            value = "[\n  " + ",\n  ".join(json.dumps(v) for v in value) + "\n ]"
        else:
            value = json.dumps(value)
        rows.append(f' "{key}": {value}')
    return "{\n" + ",\n".join(rows) + "\n}\n"


def main():
    cifar, face = (3, 32, 32), (3, 64, 64)
    case("lenet-zhu", Lenet(), {"name": "lenet-zhu"}, cifar, 10, 2, "eval")
    case("simple-cnn", SimpleCnn(), {"name": "simple-cnn"}, face, 2, 2, "eval")
    case("mnist-cnn", MnistCnn(1152, 0), {"name": "mnist-cnn"}, (1, 28, 28), 10, 2, "eval")
    case("mnist-cnn-padded", MnistCnn(512, 1), {"name": "mnist-cnn", "padding": 1}, (1, 8, 8), 10, 2, "eval")
    case("mobilefacenet", MobileFaceNet(48, 512, 7), {"name": "mobilefacenet"}, (3, 48, 48), 7, 2, "eval")
    face128 = {"name": "mobilefacenet", "embedding": 128, "scale": 16.0}
    arc, cos = {**face128, "head": "arcface"}, {**face128, "head": "cosface", "margin": 0.25}
    case("mobilefacenet-arcface-train", MobileFaceNet(64, 128, 7, 16.0), arc, (3, 64, 64), 7, 3, "train", arcface(16.0, 0.5))
    case("mobilefacenet-cosface", MobileFaceNet(32, 128, 7, 16.0), cos, (3, 32, 32), 7, 2, "eval", cosface(16.0, 0.25))
    for mode in ("train", "eval"):
        still = {"name": "efficientnet-b2", "dropout": 0.0, "stochastic_depth": 0.0}
        case(f"efficientnet-b2-{mode}", efficientnet(14), still if mode == "train" else {"name": "efficientnet-b2"}, face, 14, 2, mode)
    case("mlp", Mlp(30, [16, 12], 2), {"name": "mlp", "hidden": [16, 12]}, (30,), 2, 3, "eval")
    case("mlp-image", Mlp(192, [128], 10), {"name": "mlp"}, (3, 8, 8), 10, 1, "eval")
    case("logistic", Mlp(64, [], 10), {"name": "logistic"}, (1, 8, 8), 10, 2, "eval")
    pooled = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    small = [{"type": "conv", "out": 6, "kernel": 3}, {"type": "relu"}, {"type": "global_avg_pool"}, {"type": "flatten"}, {"type": "linear"}]
    case("layers-pooled", pooled, {"name": "layers", "layers": small}, (3, 9, 9), 4, 2, "eval")
    for mode in ("train", "eval"):
        case(f"layers-{mode}", layered(), {"name": "layers", "layers": LAYERED}, (3, 16, 16), 4, 3, mode)
    for mode in ("train", "eval"):
        case(f"convnet64-{mode}", ConvNet(), {"name": "convnet64"}, cifar, 10, 2, mode)
        case(f"resnet18-imagenet-{mode}", resnet("imagenet"), {"name": "resnet18"}, face, 10, 2, mode)
        case(f"resnet18-cifar-{mode}", resnet("cifar"), {"name": "resnet18", "stem": "cifar"}, cifar, 10, 2, mode)


if __name__ == "__main__":
    main()
