from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.unknown_settings import remarks

ROOT = Path(__file__).parents[2]
FOREIGN = [
    "PORTFOLIO",
    "HOSTNAME",
    "EDITOR",
    "REDIS_URI",
    "REDIS_HOST",
    "OPENAI_API_KEY",
    "XDG_DATA_DIRS",
    "LS_COLORS",
]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("TOPK", ".env: nobody reads TOPK: is TOP_K meant?"),
        ("modelpath", ".env: nobody reads modelpath: is MODEL_PATH meant?"),
        ("COLOUR_OF_THE_SKY", ".env: nobody reads COLOUR_OF_THE_SKY"),
    ],
)
def test_a_name_in_the_file_of_settings_that_nobody_reads_is_said_with_the_nearest_known_one(name, said):
    """A setting without effect is found out when it is written, not when it was needed."""
    assert list(remarks([name, "TOP_K", "top_k_max", "TICKET_TTL_S"], [])) == [said]


def test_of_the_environment_only_what_looks_like_a_slip_is_named():
    """A shell has many variables of other programs, and each start would name them."""
    assert list(remarks([], FOREIGN)) == []
    assert list(remarks([], [*FOREIGN, "MODEL_PATHS", "MODEL"])) == [
        "Nobody reads MODEL_PATHS, which is in the environment: is MODEL_PATH meant?",
        "Nobody reads MODEL, which is in the environment: is MODELS meant?",
    ]


def test_what_compose_reads_in_the_file_has_a_reader():
    """Both read the same ``.env``."""
    files = [ROOT / "docker-compose.yml", *(ROOT / "deploy").glob("*.yml")]
    names = {name for file in files for name in re.findall(r"\$\{([A-Z_]+)", file.read_text())}

    assert {"MODEL_PACKAGE", "DOMAIN"} <= names
    assert list(remarks(sorted(names), [])) == []
