"""Areas under ROC curves by scikit-learn, with ties and with lost images (scored below everything)."""

import json
import pathlib

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

rng = np.random.default_rng(20)
cases = []
for positives, negatives, decimals in [(30, 40, 6), (25, 25, 0), (7, 50, 1), (40, 9, 0), (1, 1, 0)]:
    good = np.round(rng.normal(18, 4, positives), decimals)
    null = np.round(rng.normal(15, 3, negatives), decimals)
    for lost in (0, 5):
        scores = np.concatenate([good, np.full(lost, -1e9), null])
        truth = np.concatenate([np.ones(positives + lost), np.zeros(negatives)])
        fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
        cases.append({
            "positives": good.tolist(),
            "lost": lost,
            "negatives": null.tolist(),
            "auc": float(roc_auc_score(truth, scores)),
            "fpr": fpr.tolist(),
            "tpr": tpr.tolist(),
        })
path = pathlib.Path(__file__).with_name("roc.json")
path.write_text(json.dumps({"cases": cases}, indent=1) + "\n")
