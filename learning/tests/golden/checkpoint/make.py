"""Makes the golden checkpoints beside this file. Needs torch 2.11 and safetensors; run it in this folder.

`plain_*` hold one state dict with every supported type, a transposed view, a slice and tied weights; `nested_*` what a
training script writes; `parameters_*` the parameters themselves; `refused_*` what must not be read.
`expected.safetensors` holds the values of `plain_*`. `python2_legacy.pth` was not made here: it is `lpips/weights/v0.1/alex.pth` of
the `lpips` package (BSD, see python2_legacy.LICENSE), written by Python 2 on a GPU in 2018.
"""

from collections import OrderedDict

import torch
from safetensors.torch import save_file

torch.manual_seed(7)
model = torch.nn.Sequential(
    torch.nn.Conv2d(2, 3, 3),
    torch.nn.BatchNorm2d(3),
    torch.nn.Flatten(),
    torch.nn.Linear(12, 4),
)
state = OrderedDict(model.state_dict())
base = torch.randn(5, 4, 3)
state["double"] = torch.randn(3, 2, dtype=torch.float64)
state["half"] = torch.randn(7).half()
state["bfloat16"] = torch.randn(2, 3).bfloat16()
state["int"] = torch.arange(-3, 3, dtype=torch.int32)
state["bool"] = torch.tensor([True, False, True])
state["scalar"] = torch.tensor(2.5)
state["empty"] = torch.zeros(0, 3)
state["transposed"] = base.permute(2, 0, 1)
state["slice"] = base[1:3, :, 1]
state["tied"] = state["3.weight"]

nested = {"epoch": 12, "best": 0.25, "state_dict": state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}}
parameters = OrderedDict(model.named_parameters())


for suffix, new in (("zip", True), ("legacy", False)):
    for name, what in (("plain", state), ("nested", nested), ("parameters", parameters)):
        torch.save(what, f"{name}_{suffix}.pt", _use_new_zipfile_serialization=new)
    torch.save({"w": torch.zeros(2, dtype=torch.uint8)}, f"refused_uint8_{suffix}.pt", _use_new_zipfile_serialization=new)
    torch.save({"w": torch.zeros(1).expand(1000)}, f"refused_expanded_{suffix}.pt", _use_new_zipfile_serialization=new)
torch.save(model, "refused_module_zip.pt")
torch.save(state, "protocol4_zip.pt", pickle_protocol=4)
torch.save(state, "protocol4_legacy.pt", pickle_protocol=4, _use_new_zipfile_serialization=False)
save_file({k: v.clone().contiguous() for k, v in state.items()}, "expected.safetensors")
