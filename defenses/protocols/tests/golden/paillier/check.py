"""Decrypts ours.json with python-paillier.

The test `paillier_golden` writes that file under BENCH_WRITE_GOLDEN=1.

pip install phe gmpy2; python check.py
"""

import json
import pathlib

import phe

here = pathlib.Path(__file__).parent
key = json.loads((here / "phe.json").read_text())
p, q = int(key["p"], 16), int(key["q"], 16)
private = phe.PaillierPrivateKey(phe.PaillierPublicKey(p * q), p, q)
cases = json.loads((here / "ours.json").read_text())
for case in cases:
    assert private.raw_decrypt(int(case["c"], 16)) == int(case["m"], 16), case["m"]
print(f"phe {phe.__version__} decrypts {len(cases)} of {len(cases)}")
