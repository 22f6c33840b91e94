"""``python -m docs.routes_reference``: runs what docs/api.md says and writes the answers that came into it.

The page is its own source. In a ``console`` block each line that begins with ``$`` is run by bash, and what follows it
is replaced by what was answered; a ``python`` block is run, and the ``text`` block after it becomes what it printed.
Everything runs in one folder of pictures against a fresh service with the int8 model and the detector, in the page's
order. The folder
is what the page's ``sh`` block makes, in a folder that has the tests' pictures where the project has them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api.md"
URL = "http://127.0.0.1:8000"  # as `make run` answers; what is run goes to the fresh service's port
ADMIN_KEY = "an-admin-key-for-this-page"
COMMAND_TIMEOUT_S = 120
LINES = {"json": 60, "text": 15}  # of a body

SHOWN_HEADERS = {
    "allow", "content-disposition", "content-type", "etag", "inference-header-content-length", "location",
    "retry-after", "server-timing", "www-authenticate", "x-cache", "x-error", "x-model", "x-model-version",
}  # fmt: skip

MAKES_FOLDER = re.compile(r"^```sh\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
BLOCKS = re.compile(
    r"^```console\n(?P<console>.*?)^```$|^```python\n(?P<python>.*?)^```\n\n```text\n(?P<printed>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
IDENTIFIERS = re.compile(r"\b[0-9a-f]{12,}\b")
SMALL_OBJECT = re.compile(r"(?<=[ ])\{\n([^{}\[\]]{1,90})\n +\}")  # one line is enough for a label and its score
SCORES = re.compile(r"\b[01]\.\d+\b")
SCORE_TOLERANCE = 0.05  # processors differ in their int8 arithmetic
VARYING: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (re.compile(r"Allow: .*"), lambda found: "Allow: " + ", ".join(sorted(found[0][7:].split(", ")))),  # a set's order
    (re.compile(r'\{ ?"label": "\w+", "\w+": 0\.0[0-4]\d* ?\}'), "<improbable>"),  # their order is chance
    (re.compile(r"(Unprocessable|Request Entity|Content) (Entity|Content|Too Large)"), "<phrase>"),  # Python 3.13's own
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "<date>"),  # in the name of a download
    (re.compile(r"dur=\d+\.\d"), "dur=<ms>"),
    (re.compile(r'("\w*(?:_ms|_seconds|_per_second|_rate|_requests)": )[\d.]+'), r"\1<number>"),
    (re.compile(r"^(classifier_.* )\S+$", re.MULTILINE), r"\1<number>"),
    (re.compile(r'("(?:x|y|width|height)": \d+)\.\d+'), r"\1"),  # pixels of a box
    (re.compile(r"\([\d,]+ bytes\)"), "(<number> bytes)"),
    (re.compile(r"Retry-After: \d+"), "Retry-After: <s>"),
    (re.compile(r"expires=\d+&signature=[\w-]+"), "<signature>"),
    (re.compile(r'"state": "(queued|running)"'), '"state": "<waiting>"'),  # the worker may be faster than the answer
    (IDENTIFIERS, "<id>"),
]


def main() -> None:
    PAGE.write_text(answered(PAGE.read_text()))


def answered(page: str) -> str:
    """The page with the answers of a service that is started for it."""
    with service() as (url, folder, curl_home):
        return _Run(url, folder, curl_home).page(page)


def skeleton(page: str) -> tuple[str, list[float]]:
    """What has to be the same every time, and the scores, which are the same within ``SCORE_TOLERANCE``."""
    for pattern, name in VARYING:
        page = pattern.sub(name, page)
    return SCORES.sub("<score>", page), [float(score) for score in SCORES.findall(page)]


@contextmanager
def service() -> Iterator[tuple[str, Path, Path]]:
    """A fresh service, a folder of pictures, and a home for curl with which the service's address is ``URL``."""
    with tempfile.TemporaryDirectory(prefix="reference-") as scratch:
        folder = _folder_of_pictures(Path(scratch), PAGE.read_text())
        models = f"{ROOT / 'models' / 'resnet50-int8'},ssdlite-mobilenetv2"
        settings = {"MODELS": models, "WORKERS": "1", "WEB_CONCURRENCY": "1", "ADMIN_API_KEY": ADMIN_KEY}
        with Stack(Path(scratch) / "service", **settings) as stack:
            curlrc = f"silent\nshow-error\ninclude\nconnect-to = {URL.removeprefix('http://')}:127.0.0.1:{stack.port}\n"
            (Path(scratch) / ".curlrc").write_text(curlrc)
            yield stack.url, folder, Path(scratch)


def _folder_of_pictures(scratch: Path, page: str) -> Path:
    (scratch / "tests").symlink_to(ROOT / "tests")
    (command,) = MAKES_FOLDER.findall(page)
    shell = ["bash", "-ec", f"{command}\npwd"]
    made = subprocess.run(shell, cwd=scratch, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # what the page says
    return Path(made.stdout.strip())


class _Run:
    """One way through the page. Identifiers in commands follow those that came in the answers before."""

    def __init__(self, url: str, folder: Path, curl_home: Path) -> None:
        self._url = url
        self._folder = folder
        self._environment = {**os.environ, "CURL_HOME": str(curl_home), "no_proxy": "*"}
        self._renamed: dict[str, str] = {}

    def page(self, page: str) -> str:
        return BLOCKS.sub(self._block, page)

    def _block(self, block: re.Match[str]) -> str:
        if block["console"] is not None:
            return f"```console\n{self._console(block['console'])}```"
        printed = self._run([sys.executable, "-c", block["python"].replace(URL, self._url)])
        text = printed.decode().replace(self._url, URL)
        return f"```python\n{block['python']}```\n\n```text\n{text}```"

    def _console(self, text: str) -> str:
        shown = []
        for entry in re.split(r"^(?=\$ )", text, flags=re.MULTILINE)[1:]:
            command, stale = re.fullmatch(r"\$ ((?:[^\n]*\\\n)*[^\n]*\n)(.*)", entry, re.DOTALL).groups()  # type: ignore[union-attr]
            for old, new in self._renamed.items():
                command = command.replace(old, new)
            fresh = _shown(self._run(["bash", "-ec", command])).replace(self._url, URL)
            self._renamed |= dict(zip(IDENTIFIERS.findall(stale), IDENTIFIERS.findall(fresh), strict=False))
            shown.append(f"$ {command}{fresh}")
        return "\n".join(shown)

    def _run(self, command: list[str]) -> bytes:
        done = subprocess.run(  # noqa: S603  # what the page says
            command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout.decode(errors='replace')}"
        return done.stdout


def _shown(answer: bytes) -> str:
    """What curl printed: the status, the headers that matter here, and the body, JSON indented."""
    if not answer.startswith(b"HTTP/"):
        return answer.decode()
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        return _shown(body)
    status, *lines = head.decode().splitlines()
    shown = [status.strip(), *sorted(line for line in lines if line.partition(":")[0].lower() in SHOWN_HEADERS)]
    (content_type,) = [line for line in lines if line.lower().startswith("content-type:")] or [""]
    return "\n".join([*shown, *_body(body, content_type), ""])


def _body(body: bytes, content_type: str) -> list[str]:
    if not body:
        return []
    if "json" in content_type:
        indented = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
        return _cut(SMALL_OBJECT.sub(lambda found: f"{{{' '.join(found[1].split())}}}", indented), LINES["json"])
    if "text/html" in content_type:
        return ["", f"(a page: {''.join(re.findall('<title>(.*?)</title>', body.decode()))})"]
    if "text/" in content_type:
        return _cut(body.decode(), LINES["text"])
    return ["", f"({len(body):,} bytes)"]


def _cut(text: str, most: int) -> list[str]:
    lines = text.splitlines()
    return ["", *lines[:most], *(["..."] if len(lines) > most else [])]


if __name__ == "__main__":
    main()
