"""Writes digits.csv.gz and wdbc.csv.gz from the copies of the UCI tables that scikit-learn bundles.

Run as `python make.py` with scikit-learn and numpy installed. Values are written as the tables give them; rows keep their order.
"""

import gzip
from pathlib import Path

from sklearn.datasets import load_breast_cancer, load_digits

HERE = Path(__file__).parent


def write(name, header, rows):
    text = "\n".join([header, *rows]) + "\n"
    (HERE / name).write_bytes(gzip.compress(text.encode(), mtime=0))


digits = load_digits()
pixels = [f"p{row}{column}" for row in range(8) for column in range(8)]
write(
    "digits.csv.gz",
    ",".join(["digit", *pixels]),
    [",".join([str(label), *(str(int(v)) for v in image)]) for image, label in zip(digits.data, digits.target)],
)

cancer = load_breast_cancer()
names = [name.replace(" ", "_") for name in cancer.feature_names]
write(  # scikit-learn counts benign as 1; here the positive class is malignant
    "wdbc.csv.gz",
    ",".join(["malignant", *names]),
    [",".join([str(1 - label), *(f"{v:.12g}" for v in row)]) for row, label in zip(cancer.data, cancer.target)],
)
