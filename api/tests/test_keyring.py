"""The keys that a process knows follow the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from api.keys.key import Key, Scope, digest_of
from api.keys.key_file import BadKeyFile, line_of, replace_line
from api.keys.keyring import ADMIN, LOOKED_AT_EVERY_S, Keyring

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    put(path, "a", "secret of a")
    return path


def put(path: Path, name: str, secret: str) -> None:
    replace_line(path, name, line_of(Key(name, digest_of(secret), frozenset({Scope.JOBS}))))


def name_of(key: Key | None) -> str | None:
    return key.name if key else None


def test_a_key_is_found_by_its_secret_alone(path):
    keyring = Keyring(path)

    assert name_of(keyring.drawn("secret of a")) == "a"
    for wrong in ("", "secret of A", "secret of a ", digest_of("secret of a").hex(), "\udcff", "x" * 10**6):
        assert keyring.drawn(wrong) is None


def test_a_revoked_key_is_void_within_a_second(path, clock):
    keyring = Keyring(path, clock=clock)
    put(path, "a", "another")
    clock.now_s += LOOKED_AT_EVERY_S

    assert keyring.drawn("secret of a") is None
    assert name_of(keyring.drawn("another")) == "a"


def test_a_new_key_opens_at_once(path, clock):
    """Whoever is handed one tries it."""
    keyring = Keyring(path, clock=clock)
    put(path, "b", "secret of b")

    assert name_of(keyring.drawn("secret of b")) == "b"


def test_a_file_gone_wrong_changes_nothing_until_it_is_right_again(path, clock, caplog):
    """An operator's slip must not lock everybody out; the log says so, once."""
    keyring = Keyring(path, clock=clock)
    right = path.read_text()
    for wrong in (f"{right}b nonsense\n", None):
        path.write_text(wrong) if wrong else path.unlink()
        for _ in range(3):
            clock.now_s += LOOKED_AT_EVERY_S
            assert name_of(keyring.drawn("secret of a")) == "a"
    put(path, "b", "secret of b")
    clock.now_s += LOOKED_AT_EVERY_S

    assert (keyring.drawn("secret of a"), name_of(keyring.drawn("secret of b"))) == (None, "b")
    assert sum("can't be used" in record.message for record in caplog.records) == 2


def test_the_admins_key_has_one_name_and_one_scope(path):
    keyring = Keyring(path, "chosen by a person")
    key = keyring.chosen("chosen by a person")

    assert key is not None
    assert (key.name, set(key.scopes)) == (ADMIN, {Scope.ADMIN})
    assert (keyring.chosen("chosen"), keyring.drawn("chosen by a person")) == (None, None)
    put(path, ADMIN, "another")
    with pytest.raises(BadKeyFile, match="a key is named admin"):
        Keyring(path, "chosen by a person")


def test_without_a_file_nothing_is_shut():
    keyring = Keyring(None)

    assert (keyring.shut, keyring.has_admin, keyring.drawn("x"), keyring.chosen("")) == (False, False, None, None)
