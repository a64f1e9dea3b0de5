"""RDP of one Poisson-subsampled Gaussian step by 50-digit quadrature (mpmath 1.3.0), at settings that double precision finds hard.

python make_rdp_golden.py > rdp_golden.csv
"""

import mpmath as mp

mp.mp.dps = 50


def rdp(sigma, rate, order):
    sigma, rate, order = mp.mpf(sigma), mp.mpf(rate), mp.mpf(order)

    def integrand(x):
        ratio = 1 - rate + rate * mp.exp((2 * x - 1) / (2 * sigma**2))
        return mp.npdf(x, 0, sigma) * ratio**order

    crossing = sigma**2 * mp.log((1 - rate) / rate) + mp.mpf(1) / 2
    marks = {mp.mpf(0), order, crossing}
    marks |= {m + k * sigma for m in (0, order, crossing) for k in (-40, -20, -10, -5, -2, 2, 5, 10, 20, 40)}
    return mp.log(mp.quad(integrand, sorted(marks), maxdegree=9)) / (order - 1)


print("sigma,rate,order,rdp")
for sigma in ("0.05", "0.1", "0.3", "1", "10", "1000"):
    for rate in ("1e-4", "0.01", "0.5", "0.99"):
        for order in ("1.01", "1.5", "2.7", "7", "10.9", "40"):
            print(f"{sigma},{rate},{order},{mp.nstr(rdp(sigma, rate, order), 17)}", flush=True)
