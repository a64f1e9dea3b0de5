"""Writes ats_golden.txt: what PIL makes of one image by every operation of the ATS library, at every magnitude it is used with.

Run as `python ats_golden.py > ats_golden.txt` with Pillow and NumPy. A line is `operation step sign channels height width hex`.
"""
import numpy as np
from PIL import Image, ImageEnhance, ImageOps

USED = {
    "translate-x": [5, 9], "translate-y": [2, 3], "shear-y": [2, 5], "rotate": [2], "colour": [0, 3, 5, 8], "posterise": [5],
    "solarise": [0, 1, 4], "contrast": [6, 7], "sharpness": [1, 3, 5, 6, 9], "brightness": [3, 5, 6, 9], "autocontrast": [0],
    "equalise": [0], "invert": [0],
}
TWO_WAYS = {"translate-x", "translate-y", "shear-y", "colour", "contrast", "sharpness", "brightness"}


def rotated(image, degrees):
    turned = image.convert("RGBA").rotate(degrees)
    grey = Image.new("RGBA", turned.size, (128,) * 4)
    return Image.composite(turned, grey, turned).convert(image.mode)


def moved(image, matrix, **resampling):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=(0, 0, 0), **resampling)


def apply(image, operation, step, sign):
    fraction = step / 9
    half, (width, height) = 0.5 * fraction * sign, image.size
    shift = np.linspace(0, 150 / 331, 10)[step] * sign
    return {
        "translate-x": lambda: moved(image, (1, 0, shift * width, 0, 1, 0)),
        "translate-y": lambda: moved(image, (1, 0, 0, 0, 1, shift * height)),
        "shear-y": lambda: moved(
            image, (1, 0, 0, np.linspace(0, 0.3, 10)[step] * sign, 1, 0), resample=Image.Resampling.BICUBIC),
        "rotate": lambda: rotated(image, np.linspace(0, 30, 10)[step]),
        "colour": lambda: ImageEnhance.Color(image).enhance(1 + half),
        "posterise": lambda: ImageOps.posterize(image, int(np.round(np.linspace(8, 4, 10), 0)[step])),
        "solarise": lambda: ImageOps.solarize(image, np.linspace(256, 0, 10)[step]),
        "contrast": lambda: ImageEnhance.Contrast(image).enhance(1 + half),
        "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(1 + half),
        "brightness": lambda: ImageEnhance.Brightness(image).enhance(1 + half),
        "autocontrast": lambda: ImageOps.autocontrast(image),
        "equalise": lambda: ImageOps.equalize(image),
        "invert": lambda: ImageOps.invert(image),
    }[operation]()


def line(name, step, sign, image):
    planes = np.asarray(image).transpose(2, 0, 1)
    print(name, step, sign, *planes.shape, planes.astype(np.uint8).tobytes().hex())


def smooth_noise(rng, height, width, low, high):
    coarse = Image.fromarray(rng.integers(low, high, (4, 5, 3), dtype=np.uint8))
    fine = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=int)
    return Image.fromarray(np.clip(fine + rng.integers(-8, 9, fine.shape), 0, 255).astype(np.uint8))


if __name__ == "__main__":
    rng = np.random.default_rng(7)
    # Wider than high, so that no axis is taken for the other, and 18 x 16 pixels so that the histogram has a step.
    image = smooth_noise(rng, 16, 18, 20, 230)
    line("original", 0, 1, image)
    for operation, steps in USED.items():
        for step in steps:
            for sign in [1, -1] if operation in TWO_WAYS else [1]:
                line(operation, step, sign, apply(image, operation, step, sign))
