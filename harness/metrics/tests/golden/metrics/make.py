"""Makes the golden scores beside this file. Needs scikit-image 0.26, torch 2.11, torchvision, lpips 0.1.4, safetensors, pillow.

    python make.py SQUEEZENET

SQUEEZENET is torchvision's SqueezeNet 1.1 features as safetensors or its .pth. Three files come out:

- pairs.json with <photo>_<damage>.png: public-domain photographs of the embedded set (datasets/assets/photos, sources
  there) under four kinds of damage, scored by scikit-image and by lpips with the real SqueezeNet;
- formula.json: images whose pixels are a formula of their index, in several sizes, scored by scikit-image;
- lpips.json: scores of the three networks with weights that are a formula too (no one has to ship them), real heads.
"""

import json
import sys
import warnings
from pathlib import Path

import lpips
import numpy as np
import skimage
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

warnings.filterwarnings("ignore")
here = Path(__file__).parent
photos = here.parents[4] / "datasets" / "assets" / "photos"
tools = {"skimage": skimage.__version__, "lpips": "0.1.4", "torch": torch.__version__}
M32 = 0xFFFFFFFF


def uniform(k, n):
    """n values in [0, 1): an integer hash of (index, k), exact in any language."""
    x = ((np.arange(n, dtype=np.uint64) + 1) * 0x9E3779B1 + (k + 1) * 0x85EBCA77) & M32
    x = ((x ^ (x >> 15)) * 0x2C1B3C6D) & M32
    x = ((x ^ (x >> 12)) * 0x297A2D39) & M32
    return (x ^ (x >> 15)) / 2.0**32


def formula_image(k, height, width, channels):
    return (uniform(k, height * width * channels) * 256).astype(np.uint8).reshape(height, width, channels)


def classical(truth, guess):
    t, g = truth.astype(np.float64) / 255, guess.astype(np.float64) / 255
    ssim = structural_similarity(
        t, g, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, channel_axis=2
    )
    return {"mse": float(np.mean((t - g) ** 2)), "psnr": float(peak_signal_noise_ratio(t, g, data_range=1.0)), "ssim": float(ssim)}


def tensor(image):
    x = torch.tensor(image).permute(2, 0, 1)[None].float() / 255
    return (x if x.shape[1] == 3 else x.repeat(1, 3, 1, 1)) * 2 - 1


def network(net, weights):
    """LPIPS with the backbone's tensors given by torchvision's name."""
    model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    state = model.net.state_dict()
    names = {key: "features." + key.split(".", 1)[1] for key in state}
    model.net.load_state_dict({key: weights(name, state[key]) for key, name in names.items()})
    return model.eval()


def distance(model, truth, guess):
    with torch.no_grad():
        return float(model(tensor(guess), tensor(truth)))


def formula_weights(net):
    """Weight k of the state dict's order: uniform in +-sqrt(6 / fan in), biases in +-0.05."""
    order = [key for key in lpips.LPIPS(net=net, pnet_rand=True, verbose=False).net.state_dict()]
    position = {"features." + key.split(".", 1)[1]: k for k, key in enumerate(order)}

    def weights(name, like):
        bound = 0.05 if like.ndim == 1 else np.sqrt(6 / like[0].numel())
        values = (2 * uniform(position[name], like.numel()) - 1) * bound
        return torch.tensor(values.astype(np.float32)).reshape(like.shape)

    return weights


def damaged(truth, seed):
    rng = np.random.default_rng(seed)
    noisy = truth + rng.normal(0, 25, truth.shape)
    yield "noise25", np.clip(np.round(noisy), 0, 255).astype(np.uint8)
    yield "blur2", np.round(gaussian_filter(truth.astype(float), (2, 2, 0))).astype(np.uint8)
    yield "grey", np.full_like(truth, 128)
    yield "shift2", np.roll(truth, 2, axis=1)


def make_pairs(path):
    file = load_file(path) if path.endswith("safetensors") else torch.load(path, map_location="cpu")
    model = network("squeeze", lambda name, _: file[name])
    pairs = []
    for seed, name in enumerate(["00-test-astronaut", "01-test-coffee", "02-test-cat"]):
        truth = np.array(Image.open(photos / f"{name}.png").convert("RGB"))
        for damage, guess in damaged(truth, seed):
            out = f"{name.split('-')[-1]}_{damage}.png"
            Image.fromarray(guess).save(here / out)
            scores = {**classical(truth, guess), "lpips-squeeze": distance(model, truth, guess)}
            pairs.append({"truth": f"{name}.png", "guess": out, **scores})
    return {"tools": tools, "pairs": pairs}


def make_formula():
    cases = []
    for k, (height, width, channels) in enumerate([(11, 11, 1), (11, 40, 3), (28, 28, 1), (64, 64, 3), (218, 178, 3)]):
        truth, guess = (formula_image(2 * k + i, height, width, channels) for i in (0, 1))
        near = (truth.astype(int) * 3 + guess) // 4
        size = {"k": k, "height": height, "width": width, "channels": channels}
        cases.append({**size, "far": classical(truth, guess), "near": classical(truth, near)})
    return {"tools": tools, "cases": cases}


def make_lpips():
    cases = []
    for net, least in (("squeeze", 17), ("alex", 31), ("vgg", 16)):
        model = network(net, formula_weights(net))
        for k, (height, width, channels) in enumerate([(least, least, 3), (32, 48, 3), (64, 64, 1)]):
            truth, guess = (formula_image(100 + 2 * k + i, height, width, channels) for i in (0, 1))
            size = {"net": net, "k": 100 + 2 * k, "height": height, "width": width, "channels": channels}
            cases.append({**size, "score": distance(model, truth, guess)})
    return {"tools": tools, "cases": cases}


for name, made in (("pairs", make_pairs(sys.argv[1])), ("formula", make_formula()), ("lpips", make_lpips())):
    (here / f"{name}.json").write_text(json.dumps(made, indent=1) + "\n")
