"""What is sent: by wrk's script and by the generator of overload, to a server that notes it."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from model.export.graph import CENTRED, INPUT
from stress_test.capacity.open_loop import Generator
from stress_test.capacity.stock_model import float_input
from stress_test.capacity.wrk import post
from stress_test.senders import Senders

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.long

PHOTO = b"\xff\xd8 a photo \xff\xd9"


@contextmanager
def server(
    status: int, headers: dict[str, str], uploads: list[bytes], keys: set[str | None] | None = None
) -> Iterator[str]:
    """Answers every upload in the same way, over connections that stay open."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            if keys is not None:
                keys.add(self.headers["Authorization"])
            uploads.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "2"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a generator that ends closes its connections

    with Server(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}/predict"
        listening.shutdown()
        thread.join()


def pictures(uploads: list[bytes]) -> list[bytes]:
    return [upload[upload.index(b"\xff\xd8") : upload.rindex(b"\r\n--")] for upload in uploads]


@pytest.mark.usefixtures("wrk")
@pytest.mark.parametrize("distinct", [True, False])
def test_wrk_sends_whole_photos_distinct_only_where_that_is_asked_for(tmp_path, distinct):
    """A photo that the service has seen costs it nothing, and would make any figure look good."""
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    uploads: list[bytes] = []
    with server(200, {}, uploads) as url:
        seen = post(url, [tmp_path / "photo.jpg"], concurrency=2, seconds=1, distinct=distinct)
    sent = pictures(uploads)

    assert seen.answered > 0
    assert seen.failed == 0
    assert all(picture.startswith(PHOTO) for picture in sent)
    assert len(set(sent)) == (len(sent) if distinct else 1)


@pytest.mark.usefixtures("wrk")
def test_both_generators_send_the_keys_in_turns(tmp_path, monkeypatch):
    """Of one key, the service would refuse most of it, and what it costs would be that of refusals."""
    monkeypatch.setenv("CLASSIFIER_KEY", "of-the-shell")
    (tmp_path / "photo.jpg").write_bytes(PHOTO)
    seen: dict[str, set[str | None]] = {"wrk": set(), "the other": set(), "without": set()}
    senders = Senders(("one", "two"))
    with server(200, {}, [], seen["wrk"]) as url:
        post(url, [tmp_path / "photo.jpg"], concurrency=2, seconds=1, senders=senders)
    with server(200, {}, [], seen["the other"]) as url:
        asyncio.run(Generator(url, [PHOTO], senders).offer(rate=20, seconds=0.2))
    with server(200, {}, [], seen["without"]) as url:
        post(url, [tmp_path / "photo.jpg"], concurrency=2, seconds=1)

    assert seen == {"wrk": {"Bearer one", "Bearer two"}, "the other": {"Bearer one", "Bearer two"}, "without": {None}}


def test_the_generator_of_overload_sends_at_its_rate_whatever_the_answers():
    """One that waits for answers would offer less the worse the service does."""
    uploads: list[bytes] = []
    with server(503, {"Retry-After": "3"}, uploads) as url:
        responses = asyncio.run(Generator(url, [PHOTO]).offer(rate=100, seconds=0.5))

    assert [seen.sent_s for seen in responses] == [number / 100 for number in range(50)]
    assert {(seen.status, seen.retry_after) for seen in responses} == {(503, "3")}
    assert len(set(pictures(uploads))) == 50


def test_an_address_where_nothing_listens_gives_no_answer_but_no_crash():
    with server(200, {}, []) as url:
        pass
    (seen,) = asyncio.run(Generator(url, [PHOTO]).offer(rate=10, seconds=0.1))

    assert seen.status == 0


def test_the_stock_model_takes_what_our_own_computes_first():
    """The conventional loop normalises by itself; everything behind that is the same network."""
    mean = np.array([1, 2, 3], np.float32).reshape(1, 3, 1, 1)
    nodes = [
        helper.make_node("Cast", [INPUT], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["channels_first", "mean"], [CENTRED]),
        helper.make_node("GlobalAveragePool", [CENTRED], ["pooled"]),
    ]
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["N", 4, 4, 3])
    pooled = helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["N", 3, 1, 1])
    graph = helper.make_graph(nodes, "tiny", [pixels], [pooled], [numpy_helper.from_array(mean, "mean")])
    own = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    stock = float_input(own)
    onnx.checker.check_model(stock)
    picture = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    centred = picture.astype(np.float32).transpose(0, 3, 1, 2) - mean

    (expected,), (found,) = (
        ort.InferenceSession(model.SerializeToString()).run(None, {INPUT: value})
        for model, value in ((own, picture), (stock, centred))
    )
    assert np.array_equal(expected, found)
