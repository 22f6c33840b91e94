from __future__ import annotations

import pytest

from contract.settings import SharedSettings, load_settings


def test_defaults_need_no_environment(monkeypatch):
    monkeypatch.delenv("REDIS_URL", raising=False)

    assert load_settings(SharedSettings).redis_url == "redis://127.0.0.1:6379/0"


def test_an_empty_variable_counts_as_unset(monkeypatch):
    """Compose passes ``${NAME:-}`` as an empty string."""
    monkeypatch.setenv("TOP_K_MAX", "")

    assert load_settings(SharedSettings).top_k_max == 10


@pytest.mark.parametrize(
    ("name", "value"),
    [("TOP_K_MAX", "0"), ("MAX_PIXELS", "many"), ("REDIS_URL", "http://redis"), ("LOG_LEVEL", "loud")],
)
def test_a_wrong_setting_ends_the_start_with_one_line_that_names_it(monkeypatch, capsys, name, value):
    """An operator must not have to read a stack trace."""
    monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as ended:
        load_settings(SharedSettings)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"{name}={value!r}: ")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TOP_K_MAX", "0", "must be a whole number from 1 to 100"),
        ("MAX_PIXELS", "many", "must be a whole number, at least 1"),
        ("BULK_SHARE", "1", "must be a number above 0 and below 1"),
        ("log_level", "loud", "must be DEBUG, INFO, WARNING or ERROR"),
        ("REDIS_URL", "http://redis", "must be redis://, rediss:// or unix:// and what follows it"),
    ],
)
def test_a_wrong_setting_is_told_in_words_about_the_setting(monkeypatch, capsys, name, value, said):
    """Not in those of a library about its types, which change with its versions."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load_settings(SharedSettings)

    assert capsys.readouterr().err == f"{name.upper()}={value!r}: {said}\n"
