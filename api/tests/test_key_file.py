"""The keys file, and the commands that change it."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

import pytest

from api.keys.__main__ import main
from api.keys.key import Scope, digest_of
from api.keys.key_file import BadKeyFile, parse, read_keys
from api.keys.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

HASH, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys"
    monkeypatch.setenv("API_KEYS_FILE", str(path))
    return path


def test_a_new_key_is_printed_once_and_only_its_hash_is_kept(keys, capsys):
    assert main(["new", "camera-1", "--scope", "classify", "--scope", "jobs", "--mb-per-day", "500", "--private"]) == 0
    secret = capsys.readouterr().out.strip()
    assert main(["list"]) == 0

    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)
    assert secret not in keys.read_text()
    assert capsys.readouterr().out == "camera-1 classify,jobs mb_per_day=500 private\n"
    (key,) = read_keys(keys)
    assert (key.digest, set(key.scopes)) == (digest_of(secret), {Scope.CLASSIFY, Scope.JOBS})
    assert (key.limits, key.private) == (Limits(mb_per_day=500), True)


def test_the_first_key_may_be_made_before_there_is_a_folder_for_it(tmp_path):
    """As the documentation does it: before the first start."""
    keys = tmp_path / "data" / "keys" / "file"

    assert main(["--file", str(keys), "new", "a", "--scope", "classify"]) == 0
    assert [key.name for key in read_keys(keys)] == ["a"]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (keys.parent, keys.parent.parent)} == {0o700}


def test_the_list_needs_no_right_to_write(keys, capsys):
    """As on the volume that a container may only read."""
    main(["new", "a", "--scope", "jobs"])
    keys.with_name(f".{keys.name}.lock").unlink()
    capsys.readouterr()

    assert main(["list"]) == 0
    assert capsys.readouterr().out == "a jobs\n"
    assert not keys.with_name(f".{keys.name}.lock").exists()


def test_nobody_else_on_the_machine_can_read_it(keys):
    main(["new", "a", "--scope", "admin"])

    assert stat.S_IMODE(keys.stat().st_mode) == 0o600


def test_scopes_may_be_written_as_the_file_and_the_list_show_them(keys):
    assert main(["new", "a", "--scope", "classify,jobs", "--scope", "feedback"]) == 0

    assert set(read_keys(keys)[0].scopes) == {Scope.CLASSIFY, Scope.JOBS, Scope.FEEDBACK}


def test_a_rotated_key_keeps_its_name_scopes_limits_and_the_files_comments(keys, capsys):
    main(["new", "a", "--scope", "jobs", "--requests-per-minute", "60"])
    keys.write_text(f"# the office's\n{keys.read_text()}")
    first = capsys.readouterr().out.strip()
    assert main(["rotate", "a"]) == 0
    second = capsys.readouterr().out.strip()

    (key,) = read_keys(keys)
    assert (key.name, key.digest, key.limits.requests_per_minute) == ("a", digest_of(second), 60)
    assert first != second
    assert keys.read_text().startswith("# the office's\n")


def test_a_revoked_key_is_gone_and_the_others_stay(keys):
    for name in ("a", "b", "c"):
        main(["new", name, "--scope", "jobs"])
    assert main(["revoke", "b"]) == 0

    assert [key.name for key in read_keys(keys)] == ["a", "c"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new", "a", "--scope", "jobs"], "there is a key named a already: rotate or revoke it"),
        (["new", "Camera 1", "--scope", "jobs"], "a name has 1 to 40 characters"),
        (["new", "admin", "--scope", "admin"], "the name admin is that of ADMIN_API_KEY"),
        (["new", "b", "--scope", "everything"], "there is no scope 'everything'; there are classify, jobs,"),
        (["rotate", "b"], "there is no key named b"),
        (["revoke", "b"], "there is no key named b"),
    ],
)
def test_what_the_commands_refuse_is_one_line_and_changes_nothing(keys, capsys, arguments, said):
    main(["new", "a", "--scope", "jobs"])
    before = keys.read_text()
    capsys.readouterr()

    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(said)
    assert (printed.out, printed.err.count("\n"), keys.read_text()) == ("", 1, before)


def test_a_link_stays_one_and_what_it_leads_to_is_changed(keys, tmp_path):
    """A service may read the file by its own name: a key revoked through the link must be void there too."""
    main(["new", "a", "--scope", "jobs"])
    real = keys.rename(tmp_path / "real")
    keys.symlink_to(real)

    assert main(["revoke", "a"]) == 0
    assert (keys.is_symlink(), read_keys(real)) == (True, ())


def test_without_a_file_the_commands_say_how_to_name_one(monkeypatch, capsys):
    monkeypatch.delenv("API_KEYS_FILE", raising=False)

    assert main(["list"]) == 1
    assert "set API_KEYS_FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a", "line 1: it needs a name"),
        (f"\n# b\n_a {HASH} jobs", "line 3: a name has 1 to 40"),
        (f"a {HASH[:-1]} jobs", "line 1: the second word must be the key's SHA-256"),
        (f"a {HASH.upper()} jobs", "line 1: the second word must be the key's SHA-256"),
        (f"a {HASH} jobs,all", "line 1: there is no scope 'all'"),
        (f"a {HASH} jobs,jobs", "line 1: a scope is there twice"),
        (f"a {HASH} jobs requests=1", "line 1: 'requests' does not exist"),
        (f"a {HASH} jobs mb_per_day=0", "line 1: a limit is a whole number from 1 to"),
        (f"a {HASH} jobs mb_per_day=" + "9" * 5000, "line 1: a limit is a whole number from 1 to"),
        (f"a {HASH} jobs mb_per_day=" + "0" * 19 + "19999999999", "line 1: a limit is a whole number from 1 to"),
        (f"a {HASH} jobs mb_per_day=1 mb_per_day=2", "line 1: 'mb_per_day' does not exist, or is there twice"),
        (f"a {HASH} jobs\na {OTHER} jobs", "line 2: the name a is in line 1 already"),
        (f"a {HASH} jobs\n\nb {HASH} jobs", "line 3: the key of b is in line 1 already"),
    ],
)
def test_a_wrong_line_is_named_and_no_hash_is_quoted(text, said):
    with pytest.raises(BadKeyFile) as raised:
        parse(text)

    assert str(raised.value).startswith(said)
    assert HASH[:10] not in str(raised.value)


def test_a_file_that_can_not_be_trusted_is_refused(tmp_path):
    readable = tmp_path / "readable"
    readable.write_text(f"a {HASH} jobs\n")
    readable.chmod(0o644)
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    binary.chmod(0o600)
    huge = tmp_path / "huge"
    huge.touch(0o600)
    with huge.open("wb") as file:
        file.truncate(10**9)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)  # nobody writes to it, and nobody may wait for that

    for path, said in (
        (tmp_path / "missing", "No such file"),
        (tmp_path, "it "),
        (readable, "others on this machine can read or write it"),
        (binary, "not a text in UTF-8"),
        (huge, "more than"),
        (pipe, "it is not a file"),
    ):
        with pytest.raises(BadKeyFile, match=said):
            read_keys(path)
