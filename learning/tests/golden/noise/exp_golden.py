"""Digits of exp(-p/q) and probabilities of the discrete laws, added up as exact fractions.

python learning/tests/golden/noise/exp_golden.py

Writes exp_golden.csv (2^127 exp(-p/q), rounded down) and pmf_golden.csv (probabilities of ranges of
integers under the discrete Gaussian and Laplace: Canonne, Kamath, Steinke 2020, definitions 1 and 3).
Nothing here is shared with the sampler: the series is summed in whole numbers of 400 bits.
"""

import os
import random

BITS = 400
ONE = 1 << BITS
HERE = os.path.dirname(os.path.abspath(__file__))


def exp_neg(p, q):
    """exp(-p/q) in units of 2^-400: (exp(-p/(q 2^s)))^(2^s), the inner one by Taylor's series."""
    squarings = max(0, (p // q).bit_length() + 8)
    x = (p << (BITS + 64)) // (q << squarings)
    one = ONE << 64
    term, total, k = one, one, 1
    while term:
        term = term * x // (k * one)
        total += -term if k % 2 else term
        k += 1
    for _ in range(squarings):
        total = total * total // one
    return total >> 64


def exponentials():
    rng = random.Random(1)
    pairs = [(0, 1), (1, 1), (1, 2), (1, 1 << 62), (127, 1), (85, 1), ((1 << 62) - 1, 1 << 62)]
    while len(pairs) < 40:
        q = rng.randrange(1, 1 << rng.randrange(2, 63))
        pairs.append((rng.randrange(0, 90 * q), q))
    return [(p, q, exp_neg(p, q) >> (BITS - 127)) for p, q in pairs]


# Law, scale (exact in binary), bounds of the magnitudes' bins.
LAWS = [
    ("gaussian", 1, 2, [1, 2]),
    ("gaussian", 13, 16, [1, 2, 3, 4]),
    ("gaussian", 5, 1, [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18]),
    ("gaussian", 1000, 1, [16, 32, 33, 100, 250, 500, 750, 1000, 1500, 2000, 2500, 3000]),
    ("gaussian", 1 << 15, 1, [1 << 10, 1500, 1 << 13, 1 << 14, 20000, 1 << 15, 50000, 70000, 100000]),
    ("laplace", 1, 1, [1, 2, 3, 4, 5, 7]),
    ("laplace", 27, 4, [1, 2, 3, 4, 6, 8, 12, 20, 30]),
    ("laplace", 1000, 1, [16, 32, 33, 100, 250, 500, 1000, 2000, 3000, 5000]),
]


def probabilities():
    rows = []
    for law, num, den, bounds in LAWS:
        reach = (16 if law == "gaussian" else 60) * num // den + 2
        if law == "gaussian":
            weight = lambda k: exp_neg(k * k * den * den, 2 * num * num)
        else:
            weight = lambda k: exp_neg(k * den, num)
        weights = [weight(k) for k in range(reach)]
        total = weights[0] + 2 * sum(weights[1:])
        edges = [0] + bounds + [reach]
        for low, high in zip(edges, edges[1:]):
            mass = sum((1 if k == 0 else 2) * weights[k] for k in range(low, high))
            last = high == reach
            rows.append((law, num / den, low, -1 if last else high, f"{mass / total:.17g}"))
    return rows


def write(name, head, rows):
    with open(os.path.join(HERE, name), "w") as out:
        out.write(head + "\n")
        out.writelines(",".join(map(str, row)) + "\n" for row in rows)


if __name__ == "__main__":
    write("exp_golden.csv", "p,q,floor", exponentials())
    write("pmf_golden.csv", "law,scale,from,to,probability", probabilities())
