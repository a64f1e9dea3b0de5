"""Writes phe.json: a 2048-bit key, ciphertexts and a homomorphic sum made by python-paillier.

pip install phe gmpy2; python make.py
"""

import json
import pathlib
import random

import gmpy2
import phe

rng = random.Random(2048)


def prime():
    """A prime of 1024 bits that is 3 modulo 4, its two highest bits set."""
    while True:
        start = rng.getrandbits(1024) | 3 << 1022
        p = int(gmpy2.next_prime(start))
        if p % 4 == 3 and p.bit_length() == 1024:
            return p


p, q = prime(), prime()
assert gmpy2.gcd(p - 1, q - 1) == 2
public = phe.PaillierPublicKey(p * q)
private = phe.PaillierPrivateKey(public, p, q)


def encrypt(m):
    return public.raw_encrypt(m, r_value=rng.randrange(1, public.n))


plain = [0, 1, 2**2046 + 12345, public.n - 1, rng.getrandbits(2047), rng.getrandbits(1000)]
cases = [{"m": f"{m:x}", "c": f"{encrypt(m):x}"} for m in plain]
for case in cases:
    assert private.raw_decrypt(int(case["c"], 16)) == int(case["m"], 16)
product = 1
for case in cases:
    product = product * int(case["c"], 16) % public.nsquare
golden = {
    "made_with": f"phe {phe.__version__}",
    "p": f"{p:x}",
    "q": f"{q:x}",
    "cases": cases,
    "sum": {"m": f"{sum(plain) % public.n:x}", "c": f"{product:x}"},
}
here = pathlib.Path(__file__).parent
(here / "phe.json").write_text(json.dumps(golden, indent=1) + "\n")
