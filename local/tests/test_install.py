from __future__ import annotations

import io

from local.install import packages, show, steps

LOCK = """\
numpy==2.1.0 \\
    --hash=sha256:12
pywin32==300 ; sys_platform == 'win32' \\
    --hash=sha256:34
redis==7.0 \\
rq==2.6 \\
"""
SAID = """\
Ignoring pywin32: markers "sys_platform == 'win32'" don't match your environment
Collecting numpy==2.1.0 (from -r local/requirements.txt (line 1))
  Downloading numpy-2.1.0-cp311-cp311-manylinux_2_17_x86_64.whl (16.3 MB)
Requirement already satisfied: redis==7.0 in ./.venv/lib (from -r local/requirements.txt (line 5)) (7.0)
Processing /wheels/rq-2.6-py3-none-any.whl (from -r local/requirements.txt (line 7))
Installing collected packages: numpy, rq
Successfully installed numpy-2.1.0 rq-2.6
""".splitlines()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_what_pip_is_at_is_told_by_packages_and_sizes():
    """On the first start this is all that a newcomer sees for a quarter of a minute."""
    assert packages(LOCK) == ["numpy", "pywin32", "redis", "rq"]
    assert [sentence for _, sentence in steps(SAID, 4)] == [
        "1 of 3: numpy",
        "1 of 3: numpy (16.3 MB)",
        "2 of 3: redis",
        "3 of 3: rq",
        "3 of 3 are here; unpacking them",
    ]


def test_on_a_terminal_it_is_one_line_and_elsewhere_a_few():
    many = [(n, f"{n} of 100: p{n}") for n in range(1, 101)]
    terminal, file = Terminal(), io.StringIO()
    show(many, terminal)
    show(many, file)

    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().count("\r") == 100
    assert 3 <= file.getvalue().count("\n") <= 8
