"""What is tried of a bucket at the start, with answers as Amazon's S3 gives them, which the tests' store does not."""

from __future__ import annotations

import hashlib
import os
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING
from unittest import mock
from uuid import uuid4

import pytest

from contract.bucket_address import BucketAddress
from contract.errors import BackendDown, StoreMisused
from contract.image_store.bucket import Bucket
from contract.image_store.bucket_store import PROBED
from contract.image_store.check import check_to_write
from tests.support import certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.certificate import Pair

HOUR_S = 3600.0
TOO_SKEWED = b"<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>"


@contextmanager
def s3(
    *,
    clock_off_s: float = 0.0,
    gone_after_h: float | None = None,
    refusal: bytes = b"",
    tls: Pair | None = None,
    ca_file: Path | None = None,
) -> Iterator[Bucket]:
    """A bucket of a server that answers each request alike."""

    class Answers(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(403 if refusal else 200)
            now = datetime.now(UTC) + timedelta(seconds=clock_off_s)
            self.send_header("Last-Modified", format_datetime(now, usegmt=True))
            self.send_header("ETag", f'"{hashlib.md5(PROBED, usedforsecurity=False).hexdigest()}"')
            if gone_after_h is not None:
                gone = format_datetime(datetime.now(UTC) + timedelta(hours=gone_after_h), usegmt=True)
                self.send_header("x-amz-expiration", f'expiry-date="{gone}", rule-id="old ones"')
            self.send_header("Content-Length", str(len(refusal)))
            self.end_headers()
            self.wfile.write(refusal)

        do_PUT = do_HEAD = _answer  # noqa: N815  http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    if tls is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls.cert_file, tls.key_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    credentials = {"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "something"}
    with mock.patch.dict(os.environ, credentials):
        endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        yield Bucket(BucketAddress("s3", "pictures", ""), endpoint=endpoint, ca_file=ca_file, timeout_s=60.0)
    server.shutdown()
    server.server_close()


def test_a_clock_that_the_store_refuses_is_named():
    with s3(refusal=TOO_SKEWED) as bucket, pytest.raises(StoreMisused, match="this machine's clock is wrong"):
        check_to_write(bucket, needed_for_s=HOUR_S)


@pytest.mark.parametrize("off_s", [-300.0, 300.0])
def test_clocks_that_differ_are_refused_before_a_picture_is_deleted_by_them(off_s):
    """Stores take requests whose time is wrong by a quarter of an hour; a picture in use is young for a minute."""
    with s3(clock_off_s=off_s) as bucket, pytest.raises(StoreMisused, match=r"differ by (299|30[01]) s"):
        check_to_write(bucket, needed_for_s=HOUR_S)


def test_a_rule_of_the_bucket_that_deletes_pictures_too_early_is_refused():
    with s3(gone_after_h=47.5) as bucket, pytest.raises(StoreMisused, match=r"after 4[78] h, .* needed for 24 h"):
        check_to_write(bucket, needed_for_s=24 * HOUR_S)


@pytest.mark.parametrize("gone_after_h", [None, 49.0])
def test_a_bucket_without_such_a_rule_can_be_used(gone_after_h):
    with s3(gone_after_h=gone_after_h) as bucket:
        check_to_write(bucket, needed_for_s=24 * HOUR_S)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_store_of_ones_own_is_asked_over_tls_only_if_its_certificate_is_trusted(trusted, tmp_path):
    pair = certificate.make(tmp_path)
    refused = pytest.raises(StoreMisused, match="a rule") if trusted else pytest.raises(BackendDown, match="answer")
    ca_file = pair.cert_file if trusted else None
    with s3(tls=pair, ca_file=ca_file, gone_after_h=1.0) as bucket, refused:  # the rule is read by another client
        check_to_write(bucket, needed_for_s=HOUR_S, ca_file=pair.cert_file)


def test_a_real_store_can_be_used(object_store):
    check_to_write(object_store.bucket(uuid4().hex), needed_for_s=24 * HOUR_S)
