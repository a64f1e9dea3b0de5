"""Makes tests.json: reference p-values of the tests that comparisons use.

Usage: python make_tests.py > tests.json (numpy, scipy, statsmodels).
"""
import json

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

rng = np.random.default_rng(20250611)


def signed_rank(values, exact):
    """Zeros dropped; exact by going through all sign patterns, which is right with ties, too."""
    method = stats.PermutationMethod(n_resamples=2**20) if exact else "asymptotic"
    found = stats.wilcoxon(values, zero_method="wilcox", correction=False, method=method)
    return {
        "values": [float(v) for v in values],
        "statistic": float(found.statistic),
        "p": float(found.pvalue),
    }


few = [
    rng.normal(0.8, 1.0, 7).round(3),
    rng.normal(-0.5, 1.0, 12).round(3),
    # Ties and zeros.
    np.array([0.5, -0.5, 1.0, 0.0, 1.0, 2.0, -1.0, 0.5, 0.0, 3.0]),
    np.array([1, 1, 1, -1, 1, 1, 0, 0, 1, -1, 1.0]),
    np.array([2, 2, 2, -1, 3, 3, 1, -1, 4, 4, 4, 5, 0.0]),
    np.array([-1, -2, -3, -4, -5, -6.0]),
    rng.integers(-4, 6, 18).astype(float),
]
# Without ties, scipy's own exact distribution goes on to 50.
no_ties = []
for size in (25, 40, 50):
    values = rng.normal(0.3, 1.0, size)
    found = stats.wilcoxon(values, method="exact")
    no_ties.append({
        "values": values.tolist(),
        "statistic": float(found.statistic),
        "p": float(found.pvalue),
    })
many = [
    rng.normal(0.2, 1.0, 60),
    rng.integers(-5, 7, 200).astype(float),
    rng.normal(0.0, 1.0, 400).round(1),
]
signs = []
for plus, minus in ((0, 6), (7, 1), (4, 4), (1, 0), (30, 12), (3, 17), (250, 180)):
    p = stats.binomtest(min(plus, minus), plus + minus).pvalue
    signs.append({"plus": plus, "minus": minus, "p": float(p)})
families = []
for size in (1, 4, 12):
    p = rng.beta(0.4, 3.0, size)
    families.append({"p": p.tolist(), "adjusted": multipletests(p, method="holm")[1].tolist()})
four = [0.01, 0.01, 0.04, 0.5]
families.append({"p": four, "adjusted": multipletests(four, method="holm")[1].tolist()})
print(json.dumps({
    "exact": [signed_rank(v, True) for v in few] + no_ties,
    "normal": [signed_rank(v, False) for v in many],
    "sign": signs,
    "holm": families,
}, indent=1))
