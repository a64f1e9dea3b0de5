"""How PyTorch 2.11 and torchvision initialise: largest magnitude and standard deviation of every parameter.

Run: python make_init.py   (writes init.json beside this script)
"""

import json

import torch

from make_models import HERE, ConvNet, Lenet, Mlp, MnistCnn, SimpleCnn, efficientnet, resnet

torch.manual_seed(0)
MODELS = {
    "lenet-zhu": ({"name": "lenet-zhu"}, (3, 32, 32), 10, Lenet),
    "convnet64": ({"name": "convnet64"}, (3, 32, 32), 10, ConvNet),
    "simple-cnn": ({"name": "simple-cnn"}, (3, 64, 64), 2, SimpleCnn),
    "resnet18": ({"name": "resnet18"}, (3, 64, 64), 10, lambda: resnet("imagenet")),
    "mlp": ({"name": "mlp"}, (784,), 10, lambda: Mlp(784, [128], 10)),
    "logistic": ({"name": "logistic"}, (784,), 10, lambda: Mlp(784, [], 10)),
    "efficientnet-b2": ({"name": "efficientnet-b2"}, (3, 32, 32), 14, lambda: efficientnet(14)),
    "mnist-cnn": ({"name": "mnist-cnn"}, (1, 28, 28), 10, lambda: MnistCnn(1152, 0)),
}

if __name__ == "__main__":
    rows = []
    for registry, shape, classes, build in MODELS.values():
        values = {n: v for n, v in build().state_dict().items() if not n.endswith("num_batches_tracked")}
        parameters = [{"name": n, "max": v.abs().max().item(), "mean": v.mean().item(), "std": v.std(correction=0).item()} for n, v in values.items()]
        rows.append({"model": registry, "input": list(shape), "classes": classes, "parameters": parameters})
    (HERE / "init.json").write_text("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]\n")
