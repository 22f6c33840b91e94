"""Whether OpenAPI describes an answer: its status, media type, headers and body."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from functools import reduce
from typing import TYPE_CHECKING, Any

from openapi_schema_validator import OAS31Validator

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBLEM = "application/problem+json"
BEFORE_ANY_ROUTE = {400, 408, 414, 417, 429, 431, 501}  # as the description of the document says
ON_EVERY_PATH = {403: "CrossOrigin", 421: "WrongHost"}  # the examples, which such an answer equals
NOWHERE = {404, 405, 308}  # the answers to a path or a method that does not exist
OPEN_INFERENCE = re.compile(r"/v2(/|$)")  # where errors are another protocol's
NOT_DESCRIBED = re.compile(r"^/(static/|docs/)")


class Conformance:
    """Compares answers with a document.

    A field that the document does not name is an error here: an answer may grow, but not in secret.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = _strict(deepcopy(dict(document)))
        self._paths = [
            (re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path))), path) for path in sorted(document["paths"])
        ]  # sorted: a fixed name comes before one in braces

    def check(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Raise AssertionError if the answer is not documented."""
        if NOT_DESCRIBED.match(path) or method == "OPTIONS":
            return
        media_type = headers.get("Content-Type", "").partition(";")[0]
        operation = self._operation("GET" if method == "HEAD" else method, path)
        asked = f"{method} {path} answered {status} {media_type}"
        if status in BEFORE_ANY_ROUTE and headers.get("Connection") == "close" and "Server" not in headers:
            assert media_type == PROBLEM, asked  # not by gunicorn, which names itself in what a route answers
            self._fits(json.loads(body), self._document["components"]["schemas"]["Problem"], asked)
            return
        foreign = OPEN_INFERENCE.match(path) is not None
        of_errors = "application/json" if foreign else PROBLEM
        example = self._document["components"]["examples"].get(ON_EVERY_PATH.get(status))
        if example and media_type == of_errors:
            told = {"error": example["value"]["detail"]} if foreign else example["value"]
            if method == "HEAD" or json.loads(body) == told:
                return
        if operation is None:
            assert status in NOWHERE, f"{asked}, but is not documented"
            assert status < 400 or media_type == of_errors, asked
            return
        assert str(status) in operation["responses"], f"{asked}: not documented"
        answer = self.resolved(operation["responses"][str(status)])
        for name, referred in answer.get("headers", {}).items():
            header = self.resolved(referred)
            if name in headers or header.get("required"):
                assert name in headers, f"{asked} without {name}"
                self._fits(_read(headers[name], header["schema"]), header["schema"], f"{asked}: {name}")
        contents = answer.get("content")
        if not contents:
            assert not body, asked
            return
        described = contents.get(media_type) or contents.get(media_type.partition("/")[0] + "/*")
        assert described is not None, f"{asked}: only {sorted(contents)} are documented"
        if media_type.endswith("json") and method != "HEAD":
            self._fits(json.loads(body), described["schema"], asked)

    def resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        """``part`` itself, or what its ``$ref`` names in the document."""
        while "$ref" in part:
            steps = part["$ref"].removeprefix("#/").split("/")
            part = reduce(lambda within, step: within[step], steps, self._document)
        return part

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for pattern, name in self._paths:
            if pattern.fullmatch(path):
                found: dict[str, Any] | None = self._document["paths"][name].get(method.lower())
                return found
        return None

    def _fits(self, value: Any, schema: Mapping[str, Any], what: str) -> None:
        whole = {**schema, "components": self._document["components"]}
        errors = [f"{error.json_path}: {error.message}" for error in OAS31Validator(whole).iter_errors(value)]
        assert not errors, f"{what}: {errors}"


def _read(text: str, schema: Mapping[str, Any]) -> Any:
    return int(text) if schema.get("type") == "integer" and text.isdigit() else text


def _strict(part: Any) -> Any:
    if isinstance(part, list):
        return [_strict(item) for item in part]
    if not isinstance(part, dict):
        return part
    strict = {name: _strict(value) for name, value in part.items()}
    if "properties" in strict and strict.get("type") == "object":
        strict.setdefault("additionalProperties", False)
    return strict
