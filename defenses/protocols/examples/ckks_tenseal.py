r"""TenSEAL and the `ckks` example on the same mean of five updates, one thread, in turns.

    pip install tenseal
    cargo build --release -p protocols --example ckks
    python defenses/protocols/examples/ckks_tenseal.py target/release/examples/ckks \
        [VALUES] [REPETITIONS]
"""

import json
import subprocess
import sys
import time

import numpy as np
import tenseal as ts

CLIENTS = 5


def update(client, length):
    index = np.arange(length, dtype=np.int64)
    return ((index * 7919 + client * 104_729) % 2_000_003) / 1_000_001.0 - 1.0


def measure(length, symmetric):
    kind = ts.ENCRYPTION_TYPE.SYMMETRIC if symmetric else ts.ENCRYPTION_TYPE.ASYMMETRIC
    context = ts.context(
        ts.SCHEME_TYPE.CKKS,
        8192,
        coeff_mod_bit_sizes=[60, 40, 40, 60],
        encryption_type=kind,
        n_threads=1,
    )
    context.global_scale = 2**40
    updates = [update(client, length) for client in range(CLIENTS)]
    steps = ["encrypt s", "serialise s", "read s", "add 5 s", "times 1/5 s", "decrypt s"]
    seconds = dict.fromkeys(steps, 0.0)

    def timed(name, f, share=1):
        start = time.perf_counter()
        result = f()
        seconds[name] += (time.perf_counter() - start) / share
        return result

    total, size = None, 0
    for values in updates:
        values = values.tolist()
        vector = timed("encrypt s", lambda: ts.ckks_vector(context, values), CLIENTS)
        message = timed("serialise s", vector.serialize, CLIENTS)
        size = len(message)
        received = timed("read s", lambda: ts.ckks_vector_from(context, message), CLIENTS)
        if total is None:
            total = received
        else:
            timed("add 5 s", lambda: total.add_(received))
    mean = timed("times 1/5 s", lambda: total * 0.2)
    opened = timed("decrypt s", mean.decrypt)
    error = float(np.abs(np.array(opened) - np.mean(updates, axis=0)).max())
    ciphertexts = -(-length // 4096)
    return {
        "parameters": f"TenSEAL {ts.__version__} 8192/60,40,40+60/40",
        "encrypted under": "secret" if symmetric else "public",
        **seconds,
        "bytes a ciphertext": size // ciphertexts,
        "bytes a client": size,
        "times f32": size / (4 * length),
        "largest error": error,
    }


def cell(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main():
    binary = sys.argv[1]
    length = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    repetitions = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    for repetition in range(repetitions):
        rows = [measure(length, False), measure(length, True)]
        command = [binary, str(length)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows += [json.loads(line) for line in done.stdout.splitlines()]
        print(f"run {repetition + 1}, {length} values, {CLIENTS} clients, one thread")
        names = [name for name in rows[0] if name not in ("parameters", "encrypted under")]
        print("| parameters | under | " + " | ".join(names) + " |")
        print("|---|---|" + "---|" * len(names))
        for row in rows:
            cells = [cell(row[name]) for name in names]
            print(f"| {row['parameters']} | {row['encrypted under']} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
