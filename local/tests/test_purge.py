"""Deleting what the service has stored, as a person at a terminal does it."""

from __future__ import annotations

import io

import pytest

from local import purge
from local.folder import locked
from local.settings import Settings


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """With a picture and a file of keys in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("YES", raising=False)
    folder = tmp_path / "stored"
    monkeypatch.setenv("DATA_DIR", str(folder))
    (folder / "uploads" / "ab").mkdir(parents=True)
    (folder / "uploads" / "ab" / "picture").write_bytes(b"\0" * 9999)
    (folder / "keys").write_text("a key")
    (folder / purge.LOCK).touch()  # as a service leaves it
    return folder


@pytest.fixture
def answer(monkeypatch):
    def answer(text: str) -> int:
        monkeypatch.setattr("sys.stdin", Terminal(text))
        return purge.main()

    return answer


def test_it_says_what_would_go_and_without_a_yes_nothing_does(data_dir, answer, capsys):
    """Reports are written once, by people; and Enter is pressed quickly."""
    assert answer("\n") == 1
    said = capsys.readouterr().out

    assert f"This deletes, in {data_dir}:\n  uploads        1 files " in said
    assert "Nothing was deleted.\n" in said
    assert (data_dir / "uploads" / "ab" / "picture").exists()


def test_a_folder_that_no_service_has_used_is_left_as_it_is(data_dir, monkeypatch, capsys):
    """Many a home folder has "uploads" and "logs" in it, and DATA_DIR is written by hand."""
    monkeypatch.setenv("YES", "1")
    (data_dir / purge.LOCK).unlink()

    assert purge.main() == 0
    assert capsys.readouterr().out == f"Nothing is stored: no service has run with DATA_DIR={data_dir}.\n"
    assert sorted(path.name for path in data_dir.iterdir()) == ["keys", "uploads"]
    assert (data_dir / "uploads" / "ab" / "picture").exists()


def test_of_a_link_it_is_said_where_it_leads(data_dir, tmp_path, answer, capsys):
    (tmp_path / "elsewhere").mkdir()
    (data_dir / "logs").symlink_to(tmp_path / "elsewhere")

    assert answer("\n") == 1
    assert f"log files, in {tmp_path / 'elsewhere'}\n" in capsys.readouterr().out


def test_two_links_to_one_folder_delete_it_once(data_dir, tmp_path, answer):
    (tmp_path / "elsewhere").mkdir()
    for name in ("copies", "logs"):
        (data_dir / name).symlink_to(tmp_path / "elsewhere")

    assert answer("y\n") == 0
    assert not (tmp_path / "elsewhere").exists()
    assert not (data_dir / "logs").is_symlink()


@pytest.mark.parametrize("target", [".", ".."])
def test_a_link_to_the_data_folder_or_above_it_deletes_nothing(data_dir, answer, capsys, target):
    (data_dir / "logs").symlink_to(target)

    assert answer("y\n") == 1
    assert "which holds more" in capsys.readouterr().err
    assert (data_dir / "uploads" / "ab" / "picture").exists()


def test_with_a_yes_all_goes_that_is_the_services_own(data_dir, answer, capsys):
    assert answer("y\n") == 0

    assert [path.name for path in data_dir.iterdir() if path.name != purge.LOCK] == ["keys"]
    assert capsys.readouterr().out.endswith(f"What is not the service's own stays in {data_dir}: keys\n")


def test_a_script_says_yes_beforehand_and_is_refused_without_it(data_dir, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    (data_dir / "keys").unlink()
    assert purge.main() == 1
    assert "YES=1 make purge" in capsys.readouterr().err

    monkeypatch.setenv("YES", "1")
    assert purge.main() == 0
    assert not data_dir.exists()


def test_while_the_service_runs_nothing_is_deleted(data_dir, monkeypatch, capsys):
    """It would go on with what is gone, and feedback that comes then would be lost."""
    monkeypatch.setenv("YES", "1")
    with locked(Settings(data_dir=data_dir)):
        assert purge.main() == 1

    assert capsys.readouterr().err == (
        f"Nothing was deleted: a service is running with DATA_DIR={data_dir}, or just ending. Stop it first.\n"
    )
    assert (data_dir / "uploads" / "ab" / "picture").exists()
