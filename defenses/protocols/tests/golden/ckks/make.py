"""Writes `tenseal.json`: the mean of five vectors, averaged under encryption by TenSEAL.

    pip install tenseal==0.3.18 numpy
    python make.py
"""

import json
from pathlib import Path

import numpy as np
import tenseal as ts


def main():
    rng = np.random.default_rng(20240501)
    clients = rng.uniform(-1.0, 1.0, (5, 200)).round(6)
    weights = [3, 1, 4, 1, 5]
    context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60])
    context.global_scale = 2**40
    total = None
    for values, weight in zip(clients, weights):
        vector = ts.ckks_vector(context, (values * weight).tolist())
        total = vector if total is None else total + vector
    mean = (total * (1.0 / sum(weights))).decrypt()
    golden = {
        "tenseal": ts.__version__,
        "weights": weights,
        "clients": clients.tolist(),
        "mean": mean,
    }
    path = Path(__file__).with_name("tenseal.json")
    path.write_text(json.dumps(golden).replace("], [", "],\n[") + "\n")


if __name__ == "__main__":
    main()
