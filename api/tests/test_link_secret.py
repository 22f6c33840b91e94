"""The secret behind links: made once, whoever is first, and nobody else's."""

from __future__ import annotations

import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from api.core.link_secret import LinkSecret, NoLinkSecret

if TYPE_CHECKING:
    from pathlib import Path

READ = "import sys; from pathlib import Path; from api.core.link_secret import LinkSecret; "
READ += "sys.stdin.read(); print(LinkSecret('', Path(sys.argv[1])).key.decode())"


def test_of_processes_that_start_together_all_have_the_same_secret(tmp_path):
    path = tmp_path / "data" / "link-secret"
    racing = [
        subprocess.Popen([sys.executable, "-c", READ, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in racing:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    secrets = {process.communicate()[0].strip() for process in racing}

    assert secrets == {path.read_bytes().strip()}
    assert len(secrets.pop()) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_a_given_secret_needs_no_file(tmp_path):
    path = tmp_path / "link-secret"

    assert LinkSecret("a-secret-of-the-operators-own-choice", path).key == b"a-secret-of-the-operators-own-choice"
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "short", "x" * 31])
def test_a_file_that_holds_no_secret_signs_nothing(tmp_path: Path, content: str):
    """An empty file would make every link anybody's."""
    path = tmp_path / "link-secret"
    path.write_text(content)

    with pytest.raises(NoLinkSecret, match="the file holds no secret"):
        _ = LinkSecret("", path).key
