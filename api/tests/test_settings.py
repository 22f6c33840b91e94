from __future__ import annotations

import pytest

from api.settings import Settings
from contract.settings import load_settings


def test_more_labels_than_are_computed_end_the_start_with_one_line(monkeypatch, capsys):
    """An operator who asks for twenty must not wonder why ten come."""
    monkeypatch.setenv("TOP_K", "20")

    with pytest.raises(SystemExit) as ended:
        load_settings(Settings)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "TOP_K='20': Value error, must be at most TOP_K_MAX, which is 10\n"


def test_fewer_labels_computed_than_are_usually_shown_need_no_second_setting(monkeypatch):
    monkeypatch.setenv("TOP_K_MAX", "3")

    assert load_settings(Settings).top_k_max == 3


def test_a_wrong_bound_is_the_only_thing_said(monkeypatch, capsys):
    monkeypatch.setenv("TOP_K", "20")
    monkeypatch.setenv("TOP_K_MAX", "many")

    with pytest.raises(SystemExit):
        load_settings(Settings)
    assert capsys.readouterr().err.startswith("TOP_K_MAX='many': ")
