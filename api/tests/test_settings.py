from __future__ import annotations

import pytest

from api.settings import Settings
from contract.settings import load_settings


def test_more_labels_than_are_computed_end_the_start_with_one_line(monkeypatch, capsys):
    """An operator who sets twenty must not wonder why answers have ten."""
    monkeypatch.setenv("TOP_K", "20")

    with pytest.raises(SystemExit) as ended:
        load_settings(Settings)
    assert ended.value.code == 2
    assert capsys.readouterr().err == "TOP_K='20': must be at most TOP_K_MAX, which is 10\n"


@pytest.mark.parametrize("value", ["nginx", "10.0.0.1/8"])
def test_a_proxy_that_is_no_address_is_told_in_one_line_with_what_to_write(monkeypatch, capsys, value):
    monkeypatch.setenv("TRUSTED_PROXIES", f"127.0.0.1, {value}")

    with pytest.raises(SystemExit):
        load_settings(Settings)
    said = capsys.readouterr().err
    assert said.startswith(f"TRUSTED_PROXIES='127.0.0.1, {value}': ")
    assert said.endswith(": write addresses or networks, as 10.0.0.2 or 10.0.0.0/8\n")
    assert said.count("\n") == 1


def test_what_is_wrong_with_a_setting_that_nobody_set_does_not_show_it_as_if_it_were(monkeypatch, capsys):
    monkeypatch.setenv("TLS_CERT_FILE", "cert.pem")

    with pytest.raises(SystemExit):
        load_settings(Settings)
    assert capsys.readouterr().err.startswith("TLS_KEY_FILE is not set: TLS_CERT_FILE and TLS_KEY_FILE ")


def test_fewer_labels_computed_than_are_usually_shown_need_no_second_setting(monkeypatch):
    monkeypatch.setenv("TOP_K_MAX", "3")

    assert load_settings(Settings).top_k_max == 3


@pytest.mark.parametrize(("retention_hours", "job_ttl_s", "kept_for_s"), [(168, 86400, 604800), (1, 86400, 86400)])
def test_a_picture_is_kept_until_the_last_job_that_needs_it_is_gone(retention_hours, job_ttl_s, kept_for_s):
    """Its turn may come late, and a worker without the picture can only give the job up."""
    settings = Settings(retention_hours=retention_hours, job_ttl_s=job_ttl_s)

    assert settings.pictures_kept_for_s == kept_for_s


def test_a_wrong_bound_is_the_only_error_reported(monkeypatch, capsys):
    monkeypatch.setenv("TOP_K", "20")
    monkeypatch.setenv("TOP_K_MAX", "many")

    with pytest.raises(SystemExit):
        load_settings(Settings)
    assert capsys.readouterr().err.startswith("TOP_K_MAX='many': ")


@pytest.mark.parametrize(
    "key", ["too-short-a-key", "with a space in the middle", "not-ascii-clé-0123456789", "tab\tin-between-0123456789"]
)
def test_an_admin_key_that_is_easily_guessed_or_cannot_be_sent_ends_the_start_unshown(monkeypatch, capsys, key):
    """Logs are read by more people than may hold the key, and a near miss gives most of it away."""
    monkeypatch.setenv("ADMIN_API_KEY", key)

    with pytest.raises(SystemExit) as ended:
        load_settings(Settings)
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "ADMIN_API_KEY=(not shown): must be at least 16 printable ASCII characters, without spaces\n"
    )


@pytest.mark.parametrize("key", [None, "", "0123456789abcdef"])
def test_an_admin_key_is_optional_and_never_printed(monkeypatch, key):
    if key is None:
        monkeypatch.delenv("ADMIN_API_KEY", raising=False)
    else:
        monkeypatch.setenv("ADMIN_API_KEY", key)
    settings = load_settings(Settings)

    assert settings.admin_api_key.get_secret_value() == (key or "")
    assert "0123456789abcdef" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_a_wrong_address_is_shown_without_its_password(monkeypatch, capsys):
    monkeypatch.setenv("REDIS_URL", "reds://:hunter2@queue/0")
    with pytest.raises(SystemExit):
        load_settings(Settings)

    assert capsys.readouterr().err.startswith("REDIS_URL='reds://***@queue/0': ")


@pytest.mark.parametrize("name", ["JOB_TTL_S", "TICKET_TTL_S"])
def test_how_long_jobs_live_is_read_by_its_older_name_too_and_a_wrong_one_is_named_as_it_was_set(
    monkeypatch, capsys, name
):
    """Who upgrades from 0.1 looks for the name that they wrote."""
    monkeypatch.setenv(name, "120")
    assert load_settings(Settings).job_ttl_s == 120

    monkeypatch.setenv(name, "soon")
    with pytest.raises(SystemExit):
        load_settings(Settings)

    assert capsys.readouterr().err.startswith(f"{name}='soon': ")


@pytest.mark.parametrize("name", ["TLS_CERT_FILE", "TLS_KEY_FILE"])
def test_half_of_a_certificates_pair_ends_the_start(monkeypatch, capsys, name):
    """Otherwise a slip in one name would have the service speak in clear."""
    monkeypatch.setenv(name, "here.pem")
    with pytest.raises(SystemExit):
        load_settings(Settings)

    assert capsys.readouterr().err.endswith("TLS_CERT_FILE and TLS_KEY_FILE are set together, or neither is\n")
