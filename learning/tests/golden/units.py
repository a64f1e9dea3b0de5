"""Values that the Rust tests compute too: an integer hash."""

import numpy as np


def unit(n, key):
    """n values in [-1, 1): a 32-bit mix of the position and the key."""
    mask = np.uint64(0xFFFFFFFF)
    h = (np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B1) + np.uint64(key) * np.uint64(0x85EBCA77) + np.uint64(0x165667B1)) & mask
    for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
        h = ((h ^ (h >> np.uint64(shift))) * np.uint64(factor)) & mask
    h ^= h >> np.uint64(15)
    return h.astype(np.float64) / 2.0**31 - 1.0
