"""Which of 32 values two seeds keep at p = 0.5: the words in tests/dropout.rs.

Run: python make_dropout.py
"""

MASK, FACTORS, SPREAD = 0xFFFFFFFF, (0x21F0AAAD, 0x735A2D97), 0x9E3779B1


def half(h, factor, shift):
    return ((h ^ h >> shift) * factor) & MASK


def mix(h, key=0):
    h = half(half(h, FACTORS[0], 16) ^ key, FACTORS[1], 15)
    return h ^ h >> 15


def keys(seed, turn, layer):
    first = mix((seed + turn * SPREAD + layer * FACTORS[0]) & MASK)
    return first, mix(seed >> 32 ^ first)


if __name__ == "__main__":
    for seed in (1, 0x123456789ABCDEF0):
        first, second = keys(seed, 0, 1)
        kept = [mix(i ^ first, second) >= 2**31 for i in range(32)]
        print(int("".join("1" if k else "0" for k in kept), 2))
