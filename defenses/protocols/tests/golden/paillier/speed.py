"""Speed of python-paillier with a 2048-bit key, one value a ciphertext, as its users get it.

For comparison with the example `paillier`.

pip install phe gmpy2; python speed.py
"""

import time

import phe

public, private = phe.generate_paillier_keypair(n_length=2048)
values = [((i % 2001) - 1000) / 64 for i in range(200)]


def rate(work, count):
    start = time.perf_counter()
    result = work()
    return count / (time.perf_counter() - start), result


encrypt, sent = rate(lambda: [public.encrypt(v) for v in values], len(values))


def add_all():
    total = sent[0]
    for _ in range(100):
        for c in sent:
            total = total + c
    return total


add, _ = rate(add_all, 100 * len(sent))
decrypt, opened = rate(lambda: [private.decrypt(c) for c in sent], len(sent))
assert opened == values
print(f"phe {phe.__version__}, gmpy2: {phe.util.HAVE_GMP}")
print(f"encryptions/s {encrypt:.0f}   additions/s {add:.0f}   decryptions/s {decrypt:.0f}")
print("1 value a ciphertext of 512 bytes: 512 bytes a value")
