"""A real HTTP server that follows a script, for what the real service does only on a bad day."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SEEN = {"predictions": [{"label": "Egyptian_cat", "confidence": 0.7587}], "inference_time_ms": 12.5}
FOUND = {
    "detections": [
        {"label": "cat", "class_id": 15, "confidence": 0.93, "box": {"x": 1.5, "y": 2, "width": 220, "height": 275.9}}
    ],
    "image": {"width": 451, "height": 300},
    "inference_time_ms": 16.8,
}
JOB_ID = "0123456789abcdef" * 2
DESCRIPTION = {"X-Model": "resnet50@0123456789ab", "X-Cache": "miss"}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: bytes = json.dumps(SEEN).encode()
    headers: Mapping[str, str] = field(default_factory=lambda: DESCRIPTION)


class HangUp:
    """Ends the connection without an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Play = Answer | HangUp


def problem(status: int, detail: str = "so it is", **headers: str) -> Answer:
    """An RFC 9457 answer; write the dashes of a header's name as underscores."""
    body = json.dumps({"type": "about:blank", "title": "", "status": status, "detail": detail}).encode()
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def job_answer(state: str, **more: Any) -> Answer:
    """How ``/v1/jobs`` shows a job."""
    body = {"id": JOB_ID, "state": state, **more}
    return Answer(202 if state == "queued" else 200, json.dumps(body).encode(), {"Retry-After": "0"})


class ScriptedService:
    """Gives each request the next answer of ``script``, or what ``play`` returns; when the script is over, a cat.

    ``requests`` are those that arrived in full; ``busiest`` is the most that were being answered at any moment.
    """

    def __init__(self, *script: Play, play: Callable[[Request], Play] | None = None) -> None:
        self._script = list(script)
        self._play = play
        self._lock = threading.Lock()
        self._in_hand = 0
        self.requests: list[Request] = []
        self.busiest = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                match outer.answer(Request(self.command, self.path, dict(self.headers), body)):
                    case HangUp():
                        self.close_connection = True
                    case Answer(status, content, headers):
                        self.send_response(status)
                        for name, value in {**headers, "Content-Length": str(len(content))}.items():
                            self.send_header(name, value)
                        self.end_headers()
                        self.wfile.write(content)

            do_GET = do_POST = do_DELETE = handle_one

            def log_message(self, *_: object) -> None:
                """Nothing on the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True  # a kept connection would hold up the end
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: Request) -> Play:
        with self._lock:
            self.requests.append(request)
            self._in_hand += 1
            self.busiest = max(self.busiest, self._in_hand)
            scripted = self._script.pop(0) if self._script else Answer()
        try:
            return self._play(request) if self._play else scripted
        finally:
            with self._lock:
                self._in_hand -= 1
