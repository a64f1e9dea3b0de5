"""Makes bench-sans.ttf from LiberationSans-Regular.ttf (2.1.5). Usage: python subset.py LiberationSans-Regular.ttf bench-sans.ttf

Needs fonttools. The family name is changed because the licence reserves the original one.
"""
import sys

from fontTools import subset
from fontTools.ttLib import TTFont

NAMES = {1: "Bench Sans", 3: "Bench Sans 1.0", 4: "Bench Sans", 6: "BenchSans"}
SIGNS = [
    0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026, 0x2190, 0x2191, 0x2192, 0x2193, 0x2212, 0x2215, 0x221E,
    0x2248, 0x2260, 0x2264, 0x2265, 0x2206, 0x2211, 0x221A, *range(0x2074, 0x207A), *range(0x2080, 0x2083),
]

options = subset.Options(name_IDs=["*"], hinting=False, layout_features=["kern"], legacy_kern=True, notdef_outline=True)
font = TTFont(sys.argv[1])
subsetter = subset.Subsetter(options)
subsetter.populate(unicodes=[*range(0x20, 0x7F), *range(0xA0, 0x180), *range(0x391, 0x3CA), *SIGNS])
subsetter.subset(font)
for record in font["name"].names:
    record.string = NAMES.get(record.nameID, record.toUnicode())
font["name"].names = [r for r in font["name"].names if r.nameID in (0, 1, 2, 3, 4, 5, 6, 13, 14)]
font.save(sys.argv[2])
