r"""TenSEAL and the `ckks_inference` example on the same encrypted scores, one thread, in turns.

    pip install tenseal
    cargo build --release -p protocols --example ckks_inference
    python defenses/protocols/tests/ckks_inference_tenseal.py \
        target/release/examples/ckks_inference [ROWS] [REPETITIONS] [DOTS]

TenSEAL scores in two ways: `dot` with one row at a time (DOTS of them are timed, the rest counted
by proportion), and `mm` with the rows as columns of matrices of at most 4,096.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np
import tenseal as ts

DIMENSION = 512


def vectors(rows, shift):
    at = np.arange(rows * DIMENSION, dtype=np.int64)
    values = ((at * 7919 + shift * 104_729) % 2_000_003) / 1_000_001.0 - 1.0
    values = values.reshape(rows, DIMENSION)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    return unit.astype(np.float32).astype(np.float64)


def context():
    made = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60], n_threads=1)
    made.global_scale = 2**40
    made.generate_galois_keys()
    return made


def timed(f):
    start = time.perf_counter()
    result = f()
    return result, time.perf_counter() - start


def tenseal(way, rows, query, dots):
    made, keys = timed(context)
    server = ts.context_from(made.serialize(save_secret_key=False))
    vector, encrypt = timed(lambda: ts.ckks_vector(made, query.tolist()))
    up = vector.serialize()
    received = ts.ckks_vector_from(server, up)
    if way == "dot":
        taken = rows[:dots]
        parts = [row.tolist() for row in taken]
        answers, score = timed(lambda: [received.dot(row) for row in parts])
    else:
        taken = rows
        parts = [rows[i : i + 4096].T.tolist() for i in range(0, len(rows), 4096)]
        answers, score = timed(lambda: [received.mm(part) for part in parts])
    messages = [answer.serialize() for answer in answers]
    opened, decrypt = timed(
        lambda: [ts.ckks_vector_from(made, message).decrypt() for message in messages]
    )
    share = len(rows) / len(taken)
    error = np.abs(np.concatenate(opened) - taken @ query).max()
    return {
        "who": f"TenSEAL {ts.__version__} {way}",
        "keys s": keys,
        "encrypt s": encrypt,
        "score s": score * share,
        "decrypt s": decrypt * share,
        "key bytes": len(made.serialize(save_secret_key=False)),
        "bytes up": len(up),
        "bytes down": int(sum(map(len, messages)) * share),
        "largest error": float(error),
    }


def ours(binary, count, parameters):
    command = [binary, str(count), str(DIMENSION), parameters]
    environment = {**os.environ, "RAYON_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return {"who": f"this, {parameters}", **json.loads(done.stdout)}


def cell(value):
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}"


def main():
    binary = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    repetitions = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    dots = int(sys.argv[4]) if len(sys.argv) > 4 else 50
    rows, query = vectors(count, 0), vectors(1, 5)[0]
    for repetition in range(repetitions):
        table = [ours(binary, count, parameters) for parameters in ("fedavg", "8192/60,60/40")]
        table += [tenseal(way, rows, query, dots) for way in ("dot", "mm")]
        names = list(table[-1])[1:]
        size = f"{count} x {DIMENSION}"
        print(f"run {repetition + 1}, {size}, one thread; dot by proportion from {dots}")
        print("| | " + " | ".join(row["who"] for row in table) + " |")
        print("|---|" + "---|" * len(table))
        for name in names:
            cells = [cell(row[name]) for row in table]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
