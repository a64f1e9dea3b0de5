"""Makes resize/*.in.{png,jpg} and what torchvision's Resize + CenterCrop (on PIL images) make of them, resize/*.out.png.

Run from this folder with torchvision 0.26 and Pillow 12 or later: python resize.py
"""

import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

CASES = [  # name, width, height, size, format
    ("portrait", 178, 218, 64, "png"),
    ("landscape", 211, 97, 64, "png"),
    ("upscaled", 23, 40, 64, "png"),
    ("wide", 150, 9, 32, "png"),
    ("odd", 67, 64, 64, "png"),
    ("photo", 178, 218, 64, "jpg"),
    ("photo444", 96, 120, 48, "jpg"),
]


def picture(width, height, rng):
    y, x = np.mgrid[0:height, 0:width].astype(float)
    waves = [127 + 90 * np.sin(x / a + p) * np.cos(y / b - p) for a, b, p in [(7, 11, 0.3), (13, 5, 1.1), (9, 17, 2.0)]]
    noise = rng.normal(0, 12, (height, width, 3))
    return Image.fromarray(np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8))


def main():
    rng = np.random.default_rng(20)
    for name, width, height, size, kind in CASES:
        path = f"resize/{name}_{size}.in.{kind}"
        options = {"quality": 92, "subsampling": 0 if "444" in name else 2} if kind == "jpg" else {}
        picture(width, height, rng).save(path, **options)
        image = Image.open(path).convert("RGB")
        out = CenterCrop(size)(Resize(size, InterpolationMode.BILINEAR, antialias=True)(image))
        assert out.size == (size, size)
        out.save(f"resize/{name}_{size}.out.png")


main()
