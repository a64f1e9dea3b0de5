"""Makes stats.json: the reference values of the statistics.

Usage: python make_stats.py > stats.json (numpy, scipy).
"""
import json

import numpy as np
from scipy import stats

rng = np.random.default_rng(20240501)
cases = []
for size in (2, 5, 12, 60):
    values = rng.normal(22.0, 4.0, size).round(3)
    cases.append({
        "values": values.tolist(), "mean": values.mean(), "sd": values.std(ddof=1),
        "median": np.median(values),
        "q05": np.quantile(values, 0.05),
    })
# BCa at the level whose normal quantile is Student's, as a small sample needs it (Hesterberg, 2015).
bca = []
samples = [
    rng.normal(22.0, 4.0, 8), rng.lognormal(3.0, 0.5, 12), rng.exponential(20.0, 40),
    rng.permutation([12.0] * 5 + [40.0] * 4),
]
for values in samples:
    values, n = values.round(3), len(values)
    for confidence in (0.95, 0.99):
        z = stats.t.ppf(0.5 + confidence / 2, n - 1) * np.sqrt(n / (n - 1))
        level = 2 * stats.norm.cdf(z) - 1
        found = stats.bootstrap(
            (values,), np.mean, n_resamples=200_000, method="BCa", confidence_level=level, rng=rng
        )
        ci = found.confidence_interval
        bca.append({
            "values": values.tolist(), "confidence": confidence, "low": ci.low, "high": ci.high,
        })
wilson = []
for k, n in ((0, 10), (1, 10), (7, 10), (10, 10), (33, 200), (1, 1)):
    ci = stats.binomtest(k, n).proportion_ci(method="wilson")
    wilson.append({"successes": k, "tries": n, "low": ci.low, "high": ci.high})
# At 1 - 0.05/m, as for the largest of m shares.
joint = []
for k, n, m in ((0, 8, 2), (2, 8, 2), (7, 10, 3), (33, 200, 12)):
    ci = stats.binomtest(k, n).proportion_ci(confidence_level=1 - 0.05 / m, method="wilson")
    joint.append({
        "successes": k, "tries": n, "confidence": 1 - 0.05 / m, "low": ci.low, "high": ci.high,
    })
print(json.dumps({"cases": cases, "bca": bca, "wilson": wilson, "wilson_joint": joint}, indent=1))
