"""Bodies of ``/check-pattern``: boxes, classes and patterns, of which seldom one is not what it says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from stress_test.fuzz.documents import DOCUMENTS
from stress_test.fuzz.framing import request

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from stress_test.fuzz.shape import Shape

PATH = "/check-pattern"
KEY = "plate"
PATTERNS = f"{KEY}:\n  - {{class_id: 1, inner: [0.2, 0.2, 0.5, 0.5], outer: [0.1, 0.1, 0.6, 0.6]}}\n"
"""What the service under test has in the file of that key."""

EDGES = st.sampled_from([0, 0.1, 0.25, 0.5, 0.75, 1])
ODD_NUMBERS = st.sampled_from([-1, 2, -0.0, 1e308, -1e6, 10**400, float("nan"), float("inf"), True, None, "0.5", [0]])
ODD_CLASSES = st.sampled_from([-1, 99_999, 100_000, 2**64, 10**400, 1.0, True, None, "1", [1]])
ODD_NAMES = st.sampled_from(["", " ", "\0", "\ud800", "x" * 101, "é\n", "x" * 5_000])


def _seldom(usual: SearchStrategy[Any], odd: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.sampled_from([True] * 20 + [False]).flatmap(lambda plain: usual if plain else odd | DOCUMENTS)


BOXES = _seldom(
    st.lists(_seldom(EDGES, ODD_NUMBERS), min_size=4, max_size=4), st.lists(EDGES, max_size=6) | st.just([[0] * 4])
)
CLASSES = _seldom(st.integers(0, 3), ODD_CLASSES)
OBJECTS = _seldom(
    st.fixed_dictionaries(
        {"class_id": CLASSES, "inner": BOXES, "outer": BOXES},
        optional={"label": _seldom(st.just("red"), ODD_NAMES), "iner": BOXES},
    ),
    ODD_NAMES,
)
SOUND = {"class_id": 1, "inner": [0.2, 0.2, 0.5, 0.5], "outer": [0.1, 0.1, 0.6, 0.6]}
SETS = st.dictionaries(
    st.sampled_from(["left", "right"] * 9) | ODD_NAMES,
    _seldom(st.lists(st.just(SOUND) | OBJECTS, max_size=3), st.just([SOUND] * 101)),
    max_size=3,
)


@st.composite
def pattern_checks(draw: DrawFn) -> Shape:
    count = draw(st.sampled_from([0, 1, 2, 3, 4] * 8 + [1_000, 1_001, 3_000]))
    some, classes = draw(st.lists(BOXES, min_size=1, max_size=3)), draw(st.lists(CLASSES, min_size=1, max_size=3))
    document = {
        "coordinates": draw(_seldom(st.just((some * count)[:count]), st.just(some))),
        "class_ids": draw(_seldom(st.just((classes * count)[:count]), st.just(classes))),
    }
    match draw(st.sampled_from(["key", "own", "both", "neither"])):
        case "key":
            document["pattern_key"] = draw(_seldom(st.just(KEY), ODD_NAMES))
        case "own":
            document["pattern"] = draw(_seldom(SETS, ODD_NAMES))
        case "both":
            document |= {"pattern_key": KEY, "pattern": draw(SETS)}
    written = json.dumps(document).encode()
    cut = draw(st.integers(0, len(written)))
    broken = [written[:cut], written * 2, b"\xff" + written, b"{" * 60_000]
    body = draw(st.sampled_from([written] * 20 + broken))
    kind = draw(st.sampled_from([b"application/json", b"application/json", b"text/plain", b"multipart/form-data", b""]))
    return request("pattern check", "POST", PATH, body, [b"Content-Type: " + kind])
