"""The password of Redis: from where it is read, and that it is seen nowhere."""

from __future__ import annotations

import pytest
from redis.connection import parse_url

from contract.redis_address import with_password
from contract.redis_clients import connect
from contract.settings import SharedSettings, load_settings

PASSWORD = "p@ss:w/ord %41#?"  # noqa: S105  # every sign that means something in an address


@pytest.mark.parametrize(
    "url",
    [
        "redis://api@queue:6380/2",
        "unix://api@/run/redis.sock",
        "rediss://api@queue/0?ssl_ca_certs=/ca.pem",
        "redis://queue",
    ],
)
def test_a_password_is_put_into_any_address_and_changes_nothing_else_of_it(url):
    given = parse_url(with_password(url, PASSWORD))

    assert given.pop("password") == PASSWORD
    assert given == parse_url(url)
    assert with_password(url, "") == url


@pytest.mark.parametrize("name", ["REDIS_PASSWORD", "REDIS_PASSWORD_FILE"])
def test_the_password_comes_from_the_environment_or_from_a_file_and_is_not_shown(monkeypatch, tmp_path, name):
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    monkeypatch.setenv("REDIS_URL", "redis://api@queue:6379/0")
    monkeypatch.setenv(name, PASSWORD if name == "REDIS_PASSWORD" else str(tmp_path / "password"))
    settings = load_settings(SharedSettings)

    assert parse_url(settings.redis_address)["password"] == PASSWORD
    assert PASSWORD not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.redis_address not in repr(connect(settings.redis_address))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"REDIS_PASSWORD_FILE": "/nowhere"}, "REDIS_PASSWORD_FILE='/nowhere': it can't be read: "),
        ({"REDIS_PASSWORD_FILE": "/dev/null"}, "REDIS_PASSWORD_FILE='/dev/null': it holds no password\n"),
        (
            {"REDIS_PASSWORD": "hunter2", "REDIS_PASSWORD_FILE": "/dev/null"},
            "REDIS_PASSWORD_FILE='/dev/null': there is a password already\n",
        ),
        (
            {"REDIS_URL": "redis://api:hunter2@queue", "REDIS_PASSWORD": "hunter2"},
            "REDIS_PASSWORD=(not shown): REDIS_URL has a password already\n",
        ),
    ],
)
def test_a_password_that_is_not_there_or_given_twice_ends_the_start_unshown(monkeypatch, capsys, environment, said):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit):
        load_settings(SharedSettings)
    printed = capsys.readouterr().err
    assert printed.startswith(said)
    assert printed.count("\n") == 1
    assert "hunter2" not in printed
