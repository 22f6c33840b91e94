"""What ``make clean`` asks before it takes the environment and the models away."""

from __future__ import annotations

import subprocess
import sys

from local.at_rest import in_use, main


def test_while_a_service_stands_on_the_folder_it_is_not_at_rest(tmp_path, capsys):
    """Wherever its data are: its next worker would find no model."""
    with in_use(tmp_path), in_use(tmp_path):
        assert main(tmp_path) == 1
    assert capsys.readouterr().err == "Nothing was deleted: a service is running from this folder. Stop it first.\n"

    assert main(tmp_path) == 0


def test_a_service_that_was_killed_is_at_rest(tmp_path):
    program = (
        "import pathlib, sys; from local.at_rest import in_use\n"
        "with in_use(pathlib.Path(sys.argv[1])): print(flush=True); input()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as service:
        assert service.stdout is not None
        service.stdout.readline()
        assert main(tmp_path) == 1
        service.kill()

    assert main(tmp_path) == 0
