"""Small ONNX graphs of single operations with their gradients from PyTorch, in float64.

Run: python make_onnx_ops.py   (pip install torch onnx)   Writes onnx-ops/NAME.onnx and onnx-ops.txt.
"""

import json
import pathlib

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "onnx-ops"
INPUTS, CLASSES = 6, 3
node = helper.make_node
ints = lambda *values: np.array(values, dtype=np.int64)


def draw(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32)).double()


def case(name, shape, nodes, torch_op, out, constants={}, trained={}):
    """x -> fc1 -> reshape to [B, *shape] -> nodes from `h` to `y` -> flatten -> fc2, one example."""
    hidden = int(np.prod(shape))
    values = {"fc1.weight": 0.7 * draw(1, hidden, INPUTS), "fc1.bias": draw(2, hidden), "fc2.weight": draw(3, CLASSES, out), "fc2.bias": draw(4, CLASSES), **trained}
    values = {k: v.float().double().requires_grad_() for k, v in values.items()}
    stored = {k: v.detach().float().numpy() for k, v in values.items()}
    stored |= {"shape": ints(-1, *shape), **constants}
    chain = [node("Gemm", ["x", "fc1.weight", "fc1.bias"], ["a"], transB=1), node("Reshape", ["a", "shape"], ["h"]), *nodes, node("Flatten", ["y"], ["f"]), node("Gemm", ["f", "fc2.weight", "fc2.bias"], ["o"], transB=1)]
    info = lambda name, n: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", n])
    graph = helper.make_graph(chain, "g", [info("x", INPUTS)], [info("o", CLASSES)], [numpy_helper.from_array(v, k) for k, v in stored.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, FOLDER / f"{name}.onnx")
    x = torch.linspace(0.05, 0.95, INPUTS, dtype=torch.float64)[None]
    y = torch_op((x @ values["fc1.weight"].T + values["fc1.bias"]).reshape(-1, *shape), values)
    logits = y.reshape(1, -1) @ values["fc2.weight"].T + values["fc2.bias"]
    torch.nn.functional.cross_entropy(logits, torch.tensor([1])).backward()
    beside = ReferenceEvaluator(model).run(None, {"x": x.float().numpy()})[0]
    assert np.allclose(beside, logits.detach().numpy(), atol=1e-4), name
    return {"name": name, "gradients": {k: v.grad.reshape(-1).tolist() for k, v in values.items()}}


def main():
    FOLDER.mkdir(exist_ok=True)
    side = torch.arange(4)
    mask = [node("Range", ["zero", "four", "one"], ["r"]), node("Unsqueeze", ["r", "first"], ["row"]), node("Unsqueeze", ["r", "second"], ["column"])]
    mask += [node("LessOrEqual", ["row", "column"], ["m"]), node("Where", ["m", "h", "nothing"], ["y"])]
    numbers = {"zero": np.array(0), "four": np.array(4), "one": np.array(1), "first": ints(0), "second": ints(1), "nothing": np.array(0.0, np.float32)}
    shared = {"w.weight": draw(5, 4, 4)}
    gate = [node("GlobalAveragePool", ["h"], ["p"]), node("Squeeze", ["p", "spatial"], ["s"]), node("Unsqueeze", ["s", "last"], ["u"]), node("Mul", ["h", "u"], ["y"])]
    cases = [
        case("causal-mask", (4, 4), mask, lambda h, p: torch.where(side[None] <= side[:, None], h, 0.0), 16, numbers),
        case("two-new-dimensions", (3, 3, 2), gate, lambda h, p: h * h.mean((2, 3))[..., None, None], 18, {"spatial": ints(2, 3), "last": ints(-2, -1)}),
        case("one-transpose-two-products", (4,), [node("Transpose", ["w.weight"], ["t"], perm=[1, 0]), node("MatMul", ["h", "t"], ["b"]), node("Tanh", ["b"], ["c"]), node("MatMul", ["c", "t"], ["y"])], lambda h, p: torch.tanh(h @ p["w.weight"].T) @ p["w.weight"].T, 4, trained=shared),
        case("slopes-of-channels", (3, 2, 2), [node("PRelu", ["h", "act.weight"], ["y"])], lambda h, p: torch.where(h > 0, h, h * p["act.weight"]), 12, trained={"act.weight": draw(6, 3, 1, 1)}),
        case("whole-division", (4,), [node("Div", ["seven", "two"], ["d"]), node("Cast", ["d"], ["e"], to=1), node("Mul", ["h", "e"], ["y"])], lambda h, p: h * torch.tensor([[3.0, 2.0, 1.0, 4.0]]), 4, {"seven": ints(7, 5, 3, 9).reshape(1, 4), "two": np.array([[2]])}),
        case("nothing-dropped", (4,), [node("Dropout", ["h", "half"], ["y"])], lambda h, p: h, 4, {"half": np.array(0.5, np.float32)}),
    ]  # fmt: skip
    (HERE / "onnx-ops.txt").write_text("\n".join(json.dumps(c) for c in cases) + "\n")


main()
