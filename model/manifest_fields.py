"""What all parts of the manifest are made of: a strict record, and texts and numbers with their bounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Callable

Side = Annotated[int, Field(ge=1, le=4096)]  # pixels; above it one input would not fit a worker's memory
Triple = tuple[float, float, float]
Nonzero = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


class Record(BaseModel):
    """Frozen; an unknown field is an error, so that a misspelt one can't be passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def later(default: Any = None) -> Any:
    """A field that came later: where it says nothing it is not written out, so that older digests stay as they are."""
    is_default: Callable[[Any], bool] = lambda value: value == default  # noqa: E731  pydantic calls it
    return Field(default, exclude_if=is_default)


def word(what: str, form: re.Pattern[str], longest: int) -> AfterValidator:
    """It becomes part of Redis keys and URLs."""

    def checked(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(
                f"a {what} has letters, digits, '.', '_' and '-', {longest} at most, "
                "and begins with one of the first two"
            )
        return text

    return AfterValidator(checked)


def _checksum(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("a SHA-256 is 64 hex digits in small letters")
    return text


def _in_the_folder(name: str) -> str:
    if name in {"", ".", ".."} or "/" in name or "\\" in name:
        raise ValueError("a bundle's file name names a file in its folder")
    return name


FileName = Annotated[str, AfterValidator(_in_the_folder)]
Sha256 = Annotated[str, AfterValidator(_checksum)]
