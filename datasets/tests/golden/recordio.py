"""Makes recordio/faces.{rec,idx,lst}, recordio/property and recordio/faces.csv, and recordio/sample.csv of a given file.

faces.rec is laid out as InsightFace's data sets are: record 0 holds the ends of the images' and the identities' keys, the last records hold each
identity's range of keys. Keys are in no order, one record is of three parts, labels are vectors in some.
The .csv files hold what the plain reading below finds: key, label, bytes, sha256 of the image.

Run from this folder with Pillow 12 or later: python recordio.py FOLDER_OF_train.rec
"""

import hashlib
import io
import random
import struct
import sys
from pathlib import Path

from PIL import Image

MAGIC = struct.pack("<I", 0xCED7230A)


def write(out, data):
    parts, start = [], 0
    for i in range(0, len(data) // 4 * 4, 4):
        if data[i : i + 4] == MAGIC:
            parts.append(data[start:i])
            start = i + 4
    parts.append(data[start:])
    for i, part in enumerate(parts):
        flag = 0 if len(parts) == 1 else 1 if i == 0 else 3 if i == len(parts) - 1 else 2
        out.write(MAGIC + struct.pack("<I", flag << 29 | len(part)) + part + b"\0" * (-len(part) % 4))


def pack(labels, key, payload=b""):
    flag = len(labels) if len(labels) > 1 else 0
    vector = struct.pack(f"<{flag}f", *labels) if flag else b""
    return struct.pack("<IfQQ", flag, labels[0] if not flag else 0.0, key, 0) + vector + payload


def read(file, offset):
    file.seek(offset)
    data, flag = b"", None
    while flag not in (0, 3):
        magic, word = struct.unpack("<II", file.read(8))
        assert magic == 0xCED7230A
        data, flag = data + (MAGIC if flag else b""), word >> 29
        length = word & (1 << 29) - 1
        data += file.read(length)
        file.read(-length % 4)
    count, label, key, _ = struct.unpack("<IfQQ", data[:24])
    labels = struct.unpack(f"<{count}f", data[24 : 24 + 4 * count]) if count else (label,)
    return labels, data[24 + 4 * count :]


def listing(rec, idx, csv):
    rows = ["key,label,bytes,sha256"]
    with open(rec, "rb") as file:
        for key, offset in sorted(tuple(map(int, line.split())) for line in open(idx)):
            labels, payload = read(file, offset)
            if payload:
                rows.append(f"{key},{labels[0]:g},{len(payload)},{hashlib.sha256(payload).hexdigest()}")
    Path(csv).write_text("\n".join(rows) + "\n")


def picture(identity, shot):
    """A JPEG; one of identity 2 holds the magic number twice, in a comment that begins at a multiple of four of the record."""
    out = io.BytesIO()
    image = Image.new("RGB", (16, 16), (40 * identity % 256, 60 * shot, 128))
    image.save(out, "jpeg", quality=80)
    data = out.getvalue()
    if (identity, shot) == (2, 1):
        data = data[:2] + b"\xff\xfe\0\x12" + b"\0\0" + MAGIC + b"abcd" + MAGIC + b"zz" + data[2:]
    return data


def faces(identities=4, shots=3):
    images = [(1 + i * shots + s, i, picture(i, s)) for i in range(identities) for s in range(shots)]
    end = 1 + len(images)
    records = [(0, pack([end, end + identities], 0))]
    records += [(k, pack([i] if k % 2 else [i, 1], k, image)) for k, i, image in images]
    records += [(end + i, pack([1 + i * shots, 1 + (i + 1) * shots], end + i)) for i in range(identities)]
    random.Random(4).shuffle(records)
    index = []
    with open("recordio/faces.rec", "wb") as out:
        for key, data in records:
            index.append(f"{key}\t{out.tell()}\n")
            write(out, data)
    random.Random(5).shuffle(index)
    Path("recordio/faces.idx").write_text("".join(index))
    Path("recordio/faces.lst").write_text("".join(f"1\t/faces/id-{i:03}/{k}.jpg\t{i}\n" for k, i, _ in images))
    Path("recordio/property").write_text(f"{identities},16,16\n")


if __name__ == "__main__":
    faces()
    listing("recordio/faces.rec", "recordio/faces.idx", "recordio/faces.csv")
    sample = Path(sys.argv[1])
    listing(sample / "train.rec", sample / "train.idx", "recordio/sample.csv")
