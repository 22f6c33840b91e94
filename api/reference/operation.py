"""What OpenAPI says of a view, stated next to it: ``@documented(Operation(...))``.

The decorator only takes notes; the view is the function that it was, and no request pays for its documentation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from werkzeug.exceptions import HTTPException

    from api.errors import ApiError

    Error = ApiError | HTTPException

JSON = "application/json"
HTML = "text/html"
CSV = "text/csv"
ZIP = "application/zip"


@dataclass(frozen=True, slots=True)
class Content:
    """A body of one media type. ``type`` is what pydantic makes a schema of; ``example`` has to fit it."""

    type: Any = str
    example: Any = None


@dataclass(frozen=True, slots=True)
class Header:
    """A header of an answer. ``always``: clients may rely on it."""

    description: str
    type: Any = str
    example: Any = None
    always: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What a view answers with one status, by media type; no contents at all means no body."""

    description: str
    contents: Mapping[str, Content] = field(default_factory=dict)
    headers: Mapping[str, Header] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a request names outside its body; what a path names is always required."""

    name: str
    where: Literal["path", "query", "header"]
    type: Any
    description: str
    example: Any = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """One view's place in OpenAPI; its summary and description are the view's docstring. Each equals only itself.

    Attributes:
        tag: the chapter that it stands in.
        answers: status to answer, for everything that is no problem document.
        raises: the errors that end as problem documents, with the statuses of ``problems.STATUS``; a branch of the
            family stands for all of its leaves. Every view may have a bug as well, and says so without being told.
        form: a typed dictionary of the fields of the form that the view reads, or None.
        body_required: whether an empty body is an error.
        parameters: path, query and header.
        admin: whether the admin key is needed; what comes of a missing one is told without being raised here.
        errors_as_pages: whether a client that asks for HTML gets the errors as pages.
    """

    tag: str
    answers: Mapping[int, Answer]
    raises: Sequence[type[Error]] = ()
    form: Any = None
    body_required: bool = True
    parameters: Sequence[Parameter] = ()
    admin: bool = False
    errors_as_pages: bool = False


View = TypeVar("View", bound="Callable[..., Any]")

_operations: dict[Callable[..., Any], Operation] = {}


def documented(operation: Operation) -> Callable[[View], View]:
    """Note a view's operation and give the view back as it is."""

    def note(view: View) -> View:
        _operations[view] = operation
        return view

    return note


def operation_of(view: Callable[..., Any]) -> Operation | None:
    return _operations.get(view)
