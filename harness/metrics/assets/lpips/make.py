"""Makes heads_v0.1.safetensors from the weights that the `lpips` package (0.1.4) carries. Needs torch, lpips, safetensors.

Names are `<net>.<layer>`, each a vector of one weight a channel.
"""

from pathlib import Path

import lpips
import torch
from safetensors.torch import save_file

weights = Path(lpips.__file__).parent / "weights" / "v0.1"
heads = {}
for net in ("alex", "vgg", "squeeze"):
    for name, value in torch.load(weights / f"{net}.pth", map_location="cpu").items():
        layer = name.split(".")[0].removeprefix("lin")
        heads[f"{net}.{layer}"] = value.flatten().float().contiguous()
save_file(heads, "heads_v0.1.safetensors")
