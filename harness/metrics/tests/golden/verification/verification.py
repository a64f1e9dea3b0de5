"""Makes verification.json: ROC, AUC, EER and TAR at FAR by scikit-learn and SciPy, 10-fold accuracy by a plain loop in NumPy.

Run from this folder with scikit-learn 1.9 and SciPy 1.17 or later: python verification.py
"""

import json

import numpy as np
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve


def best_threshold(scores, same):
    ordered = np.unique(scores)
    candidates = np.concatenate([[ordered[0]], ordered[:-1] + (ordered[1:] - ordered[:-1]) / 2, [np.nextafter(ordered[-1], np.inf)]])
    right = np.array([((scores >= t) == same).sum() for t in candidates])
    best = candidates[right == right.max()]
    return best[len(best) // 2]


def lfw(scores, same, fold):
    thresholds, accuracies = [], []
    for k in range(fold.max() + 1):
        t = best_threshold(scores[fold != k], same[fold != k])
        thresholds.append(t)
        accuracies.append(np.mean((scores[fold == k] >= t) == same[fold == k]))
    return thresholds, accuracies


def case(name, scores, same, fold):
    far, tar, thresholds = roc_curve(same, scores, drop_intermediate=False)
    eer = brentq(lambda x: 1 - x - interp1d(far, tar)(x), 0, 1)
    chosen, accuracies = lfw(scores, same, fold)
    return {
        "name": name, "scores": scores.tolist(), "same": same.tolist(), "fold": fold.tolist(),
        "roc": [[None if np.isinf(t) else t, f, r] for t, f, r in zip(thresholds, far, tar)],
        "auc": roc_auc_score(same, scores), "eer": eer,
        "tar_at_far": [[f, float(tar[far <= f].max())] for f in [0.1, 0.05, 0.01] if f * (~same).sum() >= 1],
        "thresholds": chosen, "accuracies": accuracies, "accuracy": np.mean(accuracies),
        "standard_error": np.std(accuracies, ddof=1) / np.sqrt(len(accuracies)),
    }


def main():
    rng = np.random.default_rng(8)
    cases = []
    for name, n, gap, decimals in [("apart", 200, 3.0, 12), ("close", 300, 0.8, 12), ("ties", 240, 1.2, 1), ("chance", 160, 0.0, 2)]:
        same = rng.random(n) < 0.5
        scores = np.round(np.tanh(0.4 * (rng.normal(size=n) + gap * same)), decimals)
        cases.append(case(name, scores, same, np.arange(n) % 10))
    with open("verification.json", "w") as out:
        json.dump(cases, out)
        out.write("\n")


main()
