"""Assembles the OpenAPI 3.1 document from an application's routes, their operations and the table of errors."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from http import HTTPStatus
from inspect import getdoc
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from werkzeug.exceptions import HTTPException, InternalServerError

from api import VERSION
from api.bodies import Problem
from api.errors import AdminClosed, ApiError, TemporarilyUnavailable, WrongAdminKey
from api.problems import STATUS, detail_of, problem_body
from api.reference.error_examples import DETAIL
from api.reference.operation import HTML, Answer, Content, Header, Operation, operation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from flask import Flask
    from werkzeug.routing import Rule

    from api.reference.operation import Error
    from api.settings import Settings

PROBLEM = "application/problem+json"
SCHEMAS = "#/components/schemas/{model}"
NOT_OPERATIONS = {"static", "reference.asset"}  # files that pages load

INFO = {
    "title": "Image classifier",
    "version": VERSION,
    "summary": "What is on this picture? The most probable ImageNet labels over HTTP.",
    "description": (
        "Pictures are JPEG, PNG, WebP, GIF (first frame), BMP, TIFF, AVIF or HEIC.\n\n"
        "Errors are `application/problem+json` (RFC 9457) on every route; only `/predict` answers faults of its input "
        "with a 400 of its own. An unknown path is 404, a method that a path does not have is 405 with `Allow`. "
        "503 says with `Retry-After` when to come again."
    ),
    "license": {"name": "MIT", "identifier": "MIT"},
}
TAGS = {
    "Classification": "A picture in, its labels out.",
    "Jobs": "For those who come back for the answer; a job outlives restarts of the service.",
    "Pages": "For people; they work without JavaScript.",
    "Feedback": "Telling that an answer is wrong.",
    "Administration": "For the operator, behind `ADMIN_API_KEY`.",
    "Operations": "For operators and orchestrators.",
    "Reference": "What the service says of itself.",
}

SECURITY_SCHEMES = {
    "adminToken": {"type": "http", "scheme": "bearer", "description": "The admin key."},
    "adminPassword": {"type": "http", "scheme": "basic", "description": "The admin key as password, under any name."},
}
ADMIN_ERRORS = (AdminClosed, WrongAdminKey)
RETRY_AFTER = Header("Seconds after which to come again.", int, 2)


def build(app: Flask, settings: Settings) -> dict[str, Any]:
    """Return the document as JSON values.

    Raises:
        LookupError: a route has no operation, or an operation no summary.
    """
    return _Document(app, settings).assemble()


def routes(app: Flask) -> Iterator[tuple[Rule, str, Callable[..., Any]]]:
    """Each route that OpenAPI has to tell of, by path and method."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.endpoint not in NOT_OPERATIONS:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method, app.view_functions[rule.endpoint]


def path_of(rule: Rule) -> str:
    """A route's path as OpenAPI writes it: ``/display/{name}``."""
    return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)


def leaves(kind: type[Error]) -> list[type[Error]]:
    """The errors of a branch of the family that are raised; a library's own error stands for itself."""
    if not issubclass(kind, ApiError):
        return [kind]
    children = kind.__subclasses__()
    return [leaf for child in children for leaf in leaves(child)] if children else [kind]


class _Document:
    def __init__(self, app: Flask, settings: Settings) -> None:
        self._settings = settings
        self._routes: list[tuple[Rule, str, Callable[..., Any], Operation]] = []
        for rule, method, view in routes(app):
            operation = operation_of(view)
            if operation is None:
                raise LookupError(f"{method} {rule.rule} has no operation: {view.__qualname__} needs @documented")
            self._routes.append((rule, method, view, operation))
        self._schemas, self._definitions = _schemas(tuple(operation for *_, operation in self._routes))
        self._examples: dict[str, Any] = {}

    def assemble(self) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = defaultdict(dict)
        for rule, method, view, operation in self._routes:
            path = path_of(rule)
            name = f"{rule.endpoint}.{method.lower()}.{path}" if self._has_aliases(view) else rule.endpoint
            paths[path][method.lower()] = {
                "operationId": re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_"),
                **self._operation(view, operation),
            }
        used = {operation.tag for *_, operation in self._routes}
        document = {
            "openapi": "3.1.0",
            "info": INFO,
            "servers": [{"url": "/"}],
            "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in used],
            "security": [],
            "paths": paths,
            "components": {
                "schemas": self._definitions,
                "examples": dict(sorted(self._examples.items())),
                "securitySchemes": SECURITY_SCHEMES,
            },
        }
        bounded: dict[str, Any] = _with_settings(document, self._settings)
        return bounded

    def _has_aliases(self, view: Callable[..., Any]) -> bool:
        return sum(other is view for _, _, other, _ in self._routes) > 1

    def _operation(self, view: Callable[..., Any], operation: Operation) -> dict[str, Any]:
        summary, description = _words(view)
        shown: dict[str, Any] = {"tags": [operation.tag], "summary": summary}
        if description:
            shown["description"] = description
        if operation.parameters:
            shown["parameters"] = [
                {
                    "name": parameter.name,
                    "in": parameter.where,
                    "required": parameter.required or parameter.where == "path",
                    "description": parameter.description,
                    "schema": self._schemas[parameter.type],
                    **_example(parameter.example),
                }
                for parameter in operation.parameters
            ]
        if operation.form is not None:
            shown["requestBody"] = {
                "required": operation.body_required,
                "content": {"multipart/form-data": {"schema": self._schemas[operation.form]}},
            }
        if operation.admin:
            shown["security"] = [{scheme: []} for scheme in SECURITY_SCHEMES]
        shown["responses"] = self._responses(operation)
        return shown

    def _responses(self, operation: Operation) -> dict[str, Any]:
        shown = {str(status): self._answer(answer) for status, answer in operation.answers.items()}
        raises = (*operation.raises, *(ADMIN_ERRORS if operation.admin else ()))
        for status, kinds in _by_status(raises).items():
            answer = shown.setdefault(str(status.value), {"description": status.phrase})
            contents = answer.setdefault("content", {})
            contents[PROBLEM] = {
                "schema": self._schemas[Problem],
                "examples": {kind.__name__: {"$ref": f"#/components/examples/{kind.__name__}"} for kind in kinds},
            }
            if operation.errors_as_pages:
                contents[HTML] = {"schema": self._schemas[str]}
            if all(issubclass(kind, TemporarilyUnavailable) for kind in kinds):
                answer["headers"] = {"Retry-After": self._header(RETRY_AFTER)}
            self._examples |= {kind.__name__: _error_example(kind, status) for kind in kinds}
        return dict(sorted(shown.items()))

    def _answer(self, answer: Answer) -> dict[str, Any]:
        shown: dict[str, Any] = {"description": answer.description}
        if answer.headers:
            shown["headers"] = {name: self._header(header) for name, header in answer.headers.items()}
        if answer.contents:
            shown["content"] = {media_type: self._content(content) for media_type, content in answer.contents.items()}
        return shown

    def _content(self, content: Content) -> dict[str, Any]:
        return {"schema": self._schemas[content.type], **_example(content.example)}

    def _header(self, header: Header) -> dict[str, Any]:
        return {
            "description": header.description,
            "required": header.always,
            "schema": self._schemas[header.type],
            **_example(header.example),
        }


def _types(operation: Operation) -> Iterator[Any]:
    if operation.form is not None:
        yield operation.form
    for parameter in operation.parameters:
        yield parameter.type
    for answer in operation.answers.values():
        yield from (content.type for content in answer.contents.values())
        yield from (header.type for header in answer.headers.values())


@cache
def _schemas(operations: tuple[Operation, ...]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """The JSON schema of each type that they name, and the definitions that the schemas refer to.

    Kept, as making them is most of the work for a document.
    """
    named = (kind for operation in operations for kind in _types(operation))
    kinds = list(dict.fromkeys([Problem, str, int, *named]))
    schemas, definitions = TypeAdapter.json_schemas(
        [(index, "serialization", TypeAdapter(kind)) for index, kind in enumerate(kinds)], ref_template=SCHEMAS
    )
    return {kind: schemas[index, "serialization"] for index, kind in enumerate(kinds)}, definitions.get("$defs", {})


def _by_status(raises: Iterable[type[Error]]) -> dict[HTTPStatus, list[type[Error]]]:
    """The errors of an operation under their statuses; any view may have a bug as well."""
    kinds: dict[HTTPStatus, list[type[Error]]] = defaultdict(list)
    for kind in dict.fromkeys(leaf for raised in (*raises, InternalServerError) for leaf in leaves(raised)):
        kinds[status_of(kind)].append(kind)
    return kinds


def status_of(kind: type[Error]) -> HTTPStatus:
    if issubclass(kind, HTTPException):
        return HTTPStatus(kind.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    return STATUS[kind]


def _error_example(kind: type[Error], status: HTTPStatus) -> dict[str, Any]:
    if issubclass(kind, HTTPException):
        return {"summary": status.phrase, "value": problem_body(status, detail_of(kind()))}
    return {"summary": _markdown(getdoc(kind) or kind.__name__), "value": problem_body(status, DETAIL[kind])}


def _example(example: Any) -> dict[str, Any]:
    return {} if example is None else {"example": example}


def _words(view: Callable[..., Any]) -> tuple[str, str]:
    """Summary and description: a view's docstring up to its list of errors, which OpenAPI tells by status.

    Raises:
        LookupError: there is none.
    """
    text = re.split(r"\n\s*(?:Raises|Args|Returns):\n", getdoc(view) or "")[0].strip()
    if not text:
        raise LookupError(f"{view.__qualname__} has no docstring to make a summary of")
    summary, _, description = text.partition("\n\n")
    return summary.replace("``", "").replace("\n", " "), _markdown(description)  # a summary is plain text


def _markdown(text: str) -> str:
    return text.replace("``", "`").strip()


def _with_settings(part: Any, settings: Settings) -> Any:
    """The same with bounds that settings give: ``{"x-maximum": "top_k_max"}`` becomes that setting's ``maximum``."""
    if isinstance(part, list):
        return [_with_settings(item, settings) for item in part]
    if not isinstance(part, dict):
        return part
    bounded = {name: _with_settings(value, settings) for name, value in part.items()}
    for mark, bound in (("x-maximum", "maximum"), ("x-maximum-items", "maxItems")):
        if setting := bounded.pop(mark, None):
            bounded[bound] = getattr(settings, setting)
    return bounded
