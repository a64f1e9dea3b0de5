"""Cuts the embedded photographs out of scikit-image's bundled pictures.

Run as `python make.py` with scikit-image 0.26 and Pillow installed; writes NN-split-name.png (64x64 RGB) beside this file.
Only pictures whose licence note in `skimage.data` says public domain or CC0 are used (see SOURCES.md).
"""

from pathlib import Path

import skimage
from PIL import Image

SOURCE = Path(skimage.__file__).parent / "data"
HERE = Path(__file__).parent

# (split, name, file, (left, top, side) in source pixels)
CROPS = [
    ("test", "astronaut", "astronaut.png", (130, 0, 190)),
    ("test", "coffee", "coffee.png", (80, 0, 400)),
    ("test", "cat", "chelsea.png", (90, 0, 300)),
    ("test", "rocket", "rocket.jpg", (180, 107, 320)),
    ("test", "cameraman", "camera.png", (0, 40, 380)),
    ("test", "bricks", "brick.png", (120, 220, 200)),
    ("test", "retina", "retina.jpg", (0, 0, 1411)),
    ("test", "galaxies", "hubble_deep_field.jpg", (560, 400, 240)),
    ("train", "shuttle", "astronaut.png", (340, 10, 172)),
    ("train", "grass", "grass.png", (60, 60, 200)),
    ("train", "helmet", "astronaut.png", (275, 330, 182)),
    ("train", "gravel", "gravel.png", (100, 100, 160)),
    ("train", "clock", "clock_motion.png", (90, 20, 260)),
    ("train", "cell", "cell.png", (300, 300, 250)),
    ("train", "skyline", "camera.png", (384, 60, 128)),
    ("train", "vessels", "microaneurysms.png", (0, 0, 102)),
    ("train", "lattice", "rocket.jpg", (0, 0, 180)),
    ("train", "stars", "hubble_deep_field.jpg", (240, 20, 280)),
    ("train", "patch", "astronaut.png", (110, 330, 130)),
    ("train", "wood", "coffee.png", (480, 0, 120)),
]

for number, (split, name, file, (left, top, side)) in enumerate(CROPS):
    picture = Image.open(SOURCE / file).convert("RGB")
    box = (left, top, left + side, top + side)
    assert box[2] <= picture.width and box[3] <= picture.height, (name, picture.size)
    cut = picture.crop(box).resize((64, 64), Image.Resampling.LANCZOS)
    cut.save(HERE / f"{number:02}-{split}-{name}.png", optimize=True)
