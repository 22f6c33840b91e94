"""Requests of every shape, by Hypothesis: each is odd in one place, or in several."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from stress_test.fuzz import open_inference, pattern_checks
from stress_test.fuzz.documents import DOCUMENTS
from stress_test.fuzz.framing import ORDINARY_TYPE, PHOTO, framed, request
from stress_test.fuzz.shape import Shape

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

UPLOAD_PATHS = (
    *("/predict", "/infer", "/infer/batch", "/v1/jobs"),
    *("/detect", "/detect/batch", "/v1/inspections", "/inference"),
)
PATHS = (
    *UPLOAD_PATHS,
    pattern_checks.PATH,
    "/v1/patterns",
    "/v1/inspections/latest",
    "/v1/inspections.csv",
    "/v1/inspections/pictures/0123456789abcdef",
    "/v1/jobs/0123456789abcdef0123456789abcdef",
    "/feedback",
    "/health",
    "/stats",
    "/metrics",
    "/openapi.json",
    "/admin/feedback",
    "/docs",
    *open_inference.PATHS,
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
DISPOSITION = b"Content-Disposition: form-data; "
ORDINARY_PART = DISPOSITION + b'name="file"; filename="photo.jpg"'
ODD_BYTES = st.binary(max_size=40)

BOUNDARIES = st.one_of(
    st.sampled_from([b"photo", b"", b"-", b"--", b"a" * 70, b"a" * 71, b"a" * 5_000, b'"quo ted"', b"\xff", b"x;y"]),
    st.binary(min_size=1, max_size=10),
)
PART_HEADERS = st.one_of(
    st.just(ORDINARY_PART),
    st.sampled_from(
        [
            ORDINARY_PART,
            DISPOSITION + b'name="files"; filename="a"',
            DISPOSITION + b'name="image"; filename="a"',
            DISPOSITION + b'name="top_k"',
            DISPOSITION + b'name="strict"',
            DISPOSITION + b'name="min_score"',
            DISPOSITION + b'name="labels"',
            DISPOSITION + b'name="pattern"',
            DISPOSITION,
            b"Content-Disposition: form-data",
            b"Content-Disposition: attachment; filename=a",
            DISPOSITION + b'name="file',
            DISPOSITION + b'name="a"; name="b"',
            DISPOSITION + b'name="file"; filename="\xff\xfe\0\x80"',
            DISPOSITION + b"name=file; filename*=UTF-8''%ff%fe%",
            DISPOSITION + b'name="file"; filename="' + b"../" * 3_000 + b'"',
            b"X: " + b"a" * 100_000,
            b"no colon",
            b": a",
            b"Content-Type: image/jpeg; charset=\xff",
            b"Content-Type: multipart/mixed; boundary=photo",
            b"\0: \0",
            b"Content-Transfer-Encoding: base64",
            b"Content-Length: -1",
            b"A: b\r\n folded",
            b"",
            ORDINARY_PART + b"\r\n" * 3,
        ]
    ),
    st.builds(lambda odd: DISPOSITION + b'name="' + odd + b'"; filename="' + odd + b'"', ODD_BYTES),
)
CONTENTS = st.one_of(
    st.sampled_from(
        [PHOTO, PHOTO[:5_000], b"", b"3", b"true", b"-1", b"1e999", b"\xff\xd8\xff", b"\r\n--photo", b"NaN"]
    ),
    st.binary(max_size=300),
)
TYPES = st.one_of(
    st.sampled_from(
        [
            ORDINARY_TYPE,
            b"multipart/form-data",
            b"multipart/form-data; boundary=",
            b"multipart/form-data; boundary=other",
            b"multipart/mixed; boundary=photo",
            b"application/json",
            b"application/x-www-form-urlencoded",
            b"text/plain",
            b"multipart/form-data; boundary=photo; boundary=other",
            b"MULTIPART/FORM-DATA; BOUNDARY=photo",
            b"",
            b"\xff/\xff",
            b"multipart/form-data; charset=utf-7; boundary=photo",
            b"image/jpeg",
            b"application/json; charset=utf-16",
        ]
    ),
    ODD_BYTES.map(lambda odd: b"multipart/form-data; boundary=" + odd.replace(b"\r", b"").replace(b"\n", b"")),
)
EXTRA_HEADERS = st.one_of(
    st.sampled_from(
        [
            b"Expect: 100-continue",
            b"Expect: teapot",
            b"X: " + b"a" * 7_000,
            b"X: " + b"a" * 9_000,
            b"X: " + b"a" * 70_000,
            b"\r\n".join(b"X-%d: a" % number for number in range(90)),
            b"\r\n".join(b"X-%d: a" % n for n in range(200)),
            b"no colon",
            b": empty name",
            b"Bad Name: a",
            b"X:\0",
            b"X: \xff\xfe",
            b"A: b\r\n folded",
            b"Host: other",
            b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMA",
            b"Connection: keep-alive, close",
            b"Idempotency-Key: " + b"k" * 300,
            b"Idempotency-Key: \xff",
            b"Idempotency-Key:",
            b"X-Request-Id: a b",
            b"X-Request-Id: " + b"r" * 300,
            b"X-Forwarded-For: \xff, ::, 1",
            b'X-Forwarded-Proto: https\r\nForwarded: for="[::1"',
            b"Range: bytes=0-",
            b"Accept: \xff;q=two",
            b"Cookie: =;;=",
            b'If-None-Match: "',
            b"Content-Encoding: gzip",
            b"Authorization: Basic \xff",
            b"X-API-Key: \xff",
            b"TE: trailers",
            b"If-Modified-Since: yesterday",
            b"Origin: null",
            b"Accept-Encoding: *;q=0",
            b"Script-Name: /a\r\nSCRIPT_NAME: /b",
        ]
    ),
    ODD_BYTES.map(lambda odd: b"X-Odd: " + odd),
)
LINES = st.one_of(
    st.builds(
        lambda method, path, version: method + b" " + path + b" " + version,
        st.sampled_from(
            [*(name.encode() for name in METHODS), b"TRACE", b"CONNECT", b"FOO", b"post", b"P\0ST", b"A" * 99]
        ),
        st.sampled_from(
            [
                b"/predict",
                b"/",
                b"*",
                b"//",
                b"/../../etc/passwd",
                b"/%00",
                b"/%ff%fe",
                b"/%",
                b"/predict/",
                b"/a" * 5_000,
                b"/predict?top_k=" + b"9" * 5_000,
                b"/predict?top_k=%ff",
                b"/predict?" + b"a&" * 2_000,
                b"/infer?min_score=nan",
                b"/detect?min_score=nan&max_detections=" + b"9" * 5_000,
                b"/detect?labels=" + b"%2c" * 3_000,
                b"/v1/inspections?pattern=%ff&min_score=-0",
                b"/v1/inspections?page=" + b"9" * 5_000,
                b"/v1/inspections?from=9999-12-31T23:59:59-14:00",
                b"/v1/inspections.csv?decision=%00",
                b"/v1/inspections/pictures/%00",
                b"http://other/predict",
                b"http://[::1/predict",
                b"predict",
                b"/static/../app.py",
                b"/static/%2e%2e/app.py",
                b"/display/%00",
                b"/display/" + b"a" * 300,
                b"/v1/jobs/%0d%0a",
                b"/v1/jobs/\xff",
                b"/docs/../x",
                b"#",
                b"/ /",
            ]
        ),
        st.sampled_from(
            [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.10", b"HTTP/x", b"http/1.1", b""]
        ),
    ),
    ODD_BYTES,
)


def shapes(seed_number: int, count: int) -> list[Shape]:
    """``count`` requests at most (Hypothesis leaves repetitions out); the same for the same seed."""
    found: list[Shape] = []

    @seed(seed_number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(REQUESTS)
    def collect(shape: Shape) -> None:
        found.append(shape)

    collect()
    return found[:count]


@st.composite
def _multipart(draw: DrawFn) -> Shape:
    boundary = draw(st.one_of(st.just(b"photo"), BOUNDARIES))
    said = draw(st.sampled_from([boundary, boundary, boundary, b"photo"]))
    clean = said.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
    body, path = draw(_multipart_bodies(boundary)), draw(st.sampled_from(UPLOAD_PATHS))
    return request("multipart", "POST", path, body, [b"Content-Type: multipart/form-data; boundary=" + clean])


@st.composite
def _multipart_bodies(draw: DrawFn, boundary: bytes) -> bytes:
    line_end = draw(st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r"]))
    sound = st.just(([ORDINARY_PART], PHOTO))
    parts = draw(st.lists(sound | st.tuples(st.lists(PART_HEADERS, max_size=3), CONTENTS), max_size=3))
    body = draw(st.sampled_from([b"", b"", b"preamble" + line_end, line_end * 3]))
    for headers, content in parts:
        body += b"--" + boundary + line_end + line_end.join(headers) + line_end * 2 + content + line_end
    end = draw(st.sampled_from([b"--%s--\r\n"] * 3 + [b"--%s--", b"--%s", b"", b"--%s--epilogue"]))
    return (body * draw(st.sampled_from([1, 1, 1, 200])))[:3_000_000] + end.replace(b"%s", boundary)


@st.composite
def _framing(draw: DrawFn) -> Shape:
    path = draw(st.sampled_from([*UPLOAD_PATHS, *open_inference.INFER_PATHS]))
    body = open_inference.ORDINARY_BODY if path in open_inference.INFER_PATHS else _ordinary_body()
    length = len(body)
    odd_length = st.sampled_from(
        [
            b"%d" % (length + 1_000),
            b"%d" % (length // 2),
            b"-1",
            b"+%d" % length,
            b"0x%x" % length,
            b"",
            b"1e3",
            b"9" * 30,
            b"%d, %d" % (length, length),
            b"%d\r\nContent-Length: %d" % (length, length),
            b"\xb2",
            b"0",
            b" %d " % length,
            b"%d\r\nContent-Length: 5" % length,
            b"%d\r\nTransfer-Encoding: chunked" % length,
            b"25000000",
        ]
    )
    if draw(st.booleans()):
        return framed("length", path, [b"Content-Length: " + draw(odd_length)], body)
    coding = draw(
        st.sampled_from([b"chunked"] * 4 + [b"gzip, chunked", b"chunked, chunked", b"identity", b"\xff", b"Chunked "])
    )
    return framed("chunks", path, [b"Transfer-Encoding: " + coding], draw(_chunks(body)))


@st.composite
def _chunks(draw: DrawFn, body: bytes) -> bytes:
    step = draw(st.sampled_from([1_000, 7_000, 100_000]))
    size = draw(
        st.sampled_from(
            [b"%x", b"%x", b"%X;ext=1", b"0%x", b"-%x", b"%xg", b"ffffffffff%x", b" %x", b"%x;" + b"e" * 9_000]
        )
    )
    end = draw(
        st.sampled_from(
            [b"0\r\n\r\n", b"0\r\n\r\n", b"", b"0\r\n", b"0\r\nTrailer: a\r\n\r\n", b"00000\r\n\r\n", b"x\r\n\r\n"]
        )
    )
    after = draw(st.sampled_from([b"\r\n", b"\r\n", b"\n", b"", b"junk\r\n"]))
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    return b"".join(size.replace(b"%x", b"%x" % len(piece)).replace(b"%X", b"%X" % len(piece)) + b"\r\n" + piece + after
                    for piece in pieces) + end  # fmt: skip


@st.composite
def _headers(draw: DrawFn) -> Shape:
    extra = draw(st.lists(EXTRA_HEADERS, min_size=1, max_size=3))
    method, path = draw(st.sampled_from([("POST", name) for name in UPLOAD_PATHS] + [("GET", name) for name in PATHS]))
    if method == "GET":
        return request("headers", method, path, b"", extra)
    content_type = b"Content-Type: " + draw(st.one_of(st.just(ORDINARY_TYPE), TYPES))
    return request("headers", method, path, _ordinary_body(), [content_type, *extra])


@st.composite
def _lines(draw: DrawFn) -> Shape:
    return Shape("request line", draw(LINES) + draw(st.sampled_from([b"\r\n", b"\n"])) + b"Host: localhost\r\n\r\n")


@st.composite
def _methods(draw: DrawFn) -> Shape:
    return request("method", draw(st.sampled_from(METHODS)), draw(st.sampled_from(PATHS)), b"", [])


@st.composite
def _documents(draw: DrawFn) -> Shape:
    path = draw(st.sampled_from(PATHS))
    body = draw(st.one_of(DOCUMENTS.map(lambda value: json.dumps(value).encode()), ODD_BYTES, st.just(b"[" * 100_000)))
    return request(
        "JSON", draw(st.sampled_from(["POST", "PUT", "DELETE"])), path, body, [b"Content-Type: application/json"]
    )


@st.composite
def _bodies(draw: DrawFn) -> Shape:
    """A picture, or something like one, as the body itself."""
    path, content_type = draw(st.sampled_from(UPLOAD_PATHS)), draw(TYPES)
    body = draw(st.one_of(CONTENTS, st.sampled_from([PHOTO.translate(None, b"\0\r\n"), b" " * 70_000 + b"{"])))
    return request("picture as body", "POST", path, body, [b"Content-Type: " + content_type])


@st.composite
def _json_pictures(draw: DrawFn) -> Shape:
    """Base64 in JSON, odd in its alphabet, its length, its escapes, its place, or in what stands around it."""
    text = b64encode(draw(st.sampled_from([PHOTO, PHOTO[:5_000], b"", b"text"]))).decode()
    cut = draw(st.integers(0, 9))
    odd = st.sampled_from(
        [text, text[cut:], text[: len(text) - cut], text + "====", text[:2000] + "=" + text[2000:], "#0", "data:,",
         f"data:image/jpeg;base64,{text}", text.replace("/", "_"), "\n".join(text), "\ud800", "\0" + text]
    )  # fmt: skip
    value = st.one_of(odd, st.lists(odd, max_size=3), DOCUMENTS)
    names = st.sampled_from(
        ["image", "file", "images", "files", "top_k", "strict", "labels", "pattern", "#0", "x" * 3_000]
    )
    written = json.dumps(draw(st.dictionaries(names, value, max_size=4)))
    body = draw(
        st.sampled_from(
            [
                written,
                written.replace("/", r"\/"),
                written[: len(written) - cut],
                written * 2,
                '{"image": "' + "\\" * cut,
            ]
        )
    ).encode()
    path, kind = draw(st.sampled_from(UPLOAD_PATHS)), draw(st.sampled_from([b"application/json", b"text/plain", b""]))
    return request("base64 in JSON", "POST", path, body, [b"Content-Type: " + kind])


@st.composite
def _forms(draw: DrawFn) -> Shape:
    pairs = draw(
        st.lists(
            st.tuples(st.sampled_from([b"file", b"top_k", b"strict", b"label", b"pattern", b"\xff"]), ODD_BYTES),
            max_size=5,
        )
    )
    body = b"&".join(name + b"=" + value for name, value in pairs)
    path = draw(st.sampled_from([*UPLOAD_PATHS, "/feedback"]))
    return request("form", "POST", path, body, [b"Content-Type: application/x-www-form-urlencoded"])


REQUESTS: SearchStrategy[Shape] = st.one_of(
    _multipart(),
    _framing(),
    _framing(),
    _headers(),
    _lines(),
    _methods(),
    _documents(),
    _forms(),
    _bodies(),
    _json_pictures(),
    open_inference.tensors_in_json(),
    open_inference.binary_tensors(),
    pattern_checks.pattern_checks(),
)


def _ordinary_body() -> bytes:
    return b"--photo\r\n" + ORDINARY_PART + b"\r\n\r\n" + PHOTO + b"\r\n--photo--\r\n"
