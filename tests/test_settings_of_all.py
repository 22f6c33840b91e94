"""The settings of all processes, side by side."""

from __future__ import annotations

from api.settings import Settings as ApiSettings
from contract.wording import wanted
from local.settings import Settings as LocalSettings
from model.settings import ModelSettings
from model.settings import Settings as WorkerSettings

ALL = (ApiSettings, WorkerSettings, ModelSettings, LocalSettings)


def test_the_same_fault_reads_the_same_from_every_process():
    """Who sets a value that two of them read is told one thing about it, whichever starts first."""
    told: dict[str, set[str]] = {}
    for kind in ALL:
        for name, field in kind.model_fields.items():
            told.setdefault(name, set()).add(wanted(field))

    assert {name: words for name, words in told.items() if len(words) > 1} == {}


def test_what_each_setting_must_be_can_be_said():
    """A new kind of setting needs words, or a ``Wanted``."""
    assert [name for kind in ALL for name, field in kind.model_fields.items() if "something" in wanted(field)] == []
