"""The settings that both sides read, and how a service reads its environment: once, at start, with a clear message."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contract.bucket_address import BucketAddress, checked_endpoint, checked_place
from contract.limits import DEFAULT_MAX_PIXELS
from contract.redis_address import has_password, read_password, with_password
from contract.wording import said_by_validator, wanted

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

EXIT_BAD_SETTINGS = 2
LogFormat = Literal["text", "json"]
# Up to the last @ of what should be a URL: who mistypes one may leave out any of the signs that mark its parts.
REDIS_URL = re.compile("(redis|rediss|unix)://.")
CREDENTIALS = re.compile(r"^('?\w*:?/*).*@", re.DOTALL)


def listed(value: Any) -> Any:
    """The parts of a text between commas; anything else as it is."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(listed)]


class PictureSettings(BaseSettings):
    """What holds wherever pictures are read, with a queue or without one."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True)

    max_pixels: int = Field(DEFAULT_MAX_PIXELS, ge=1, description="Largest picture taken, in pixels (width x height).")


class SharedSettings(PictureSettings):
    """Settings of the same name and meaning in the API and in the workers, and read by both."""

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis or Valkey, 7.0 or newer, for queue and answers: redis://, rediss:// or unix:///socket.",
    )
    redis_password: SecretStr = Field(
        SecretStr(""),
        validate_default=False,
        description="Password of the user in REDIS_URL (or of Redis' default user), if it is not to stand there.",
    )
    redis_password_file: Path | None = Field(
        None, description="File whose first line is that password, instead of REDIS_PASSWORD."
    )
    image_store: Annotated[str, BeforeValidator(checked_place)] = Field(
        "data/uploads",
        validation_alias=AliasChoices("image_store", "upload_dir"),  # its name up to version 0.1
        description="Where stored pictures are, for both sides: a folder, or s3://, gs:// or az://BUCKET/PREFIX. "
        "UPLOAD_DIR is read where this is not set.",
    )
    image_store_endpoint: Annotated[str, AfterValidator(checked_endpoint)] = Field(
        "",
        description="Address of an object store of one's own, as https://minio.example.org:9000. Empty: the cloud's.",
    )
    image_store_ca_file: Path | None = Field(
        None, description="Certificates, in PEM, of those who vouch for it, beside the system's."
    )
    image_store_timeout_s: float = Field(
        10, gt=0, le=60, description="How long one operation of an object store may take, tries included, in seconds."
    )
    copies_dir: Path = Field(
        Path("data/copies"),
        description="Folder of the clean copies that are shown, written by workers. "
        "With an object store they are in its bucket.",
    )
    top_k_max: int = Field(10, ge=1, le=100, description="Labels computed and kept per picture; the bound of top_k.")
    bulk_share: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Share of the workers, and of their time while others wait, for costly and crowding pictures.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG, INFO, WARNING or ERROR."
    )
    log_messages_per_s: int = Field(100, ge=1, description="Most messages that a process logs in a second.")
    log_format: LogFormat = Field("text", description="text, or json: each message of a log as an object in a line.")

    @field_validator("redis_url")
    @classmethod
    def _readable(cls, url: str) -> str:
        """Found out later, it would be told by a stack trace with a part of the password in it."""
        if not REDIS_URL.match(url):
            raise ValueError("must be redis://, rediss:// or unix:// and what follows it")
        try:
            _ = urlsplit(url).port
        except ValueError:
            raise ValueError("is no URL of Redis (in a password, write each sign that URLs use as %XX)") from None
        return url

    @field_validator("redis_password")
    @classmethod
    def _one_password(cls, password: SecretStr, others: ValidationInfo) -> SecretStr:
        if has_password(others.data.get("redis_url", "")):
            raise ValueError("REDIS_URL has a password already")
        return password

    @field_validator("redis_password_file")
    @classmethod
    def _password_readable(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        if path is None:
            return None
        given = others.data.get("redis_password")
        if (given is not None and given.get_secret_value()) or has_password(others.data.get("redis_url", "")):
            raise ValueError("there is a password already")
        try:
            read_password(path)
        except OSError as error:
            raise ValueError(f"it can't be read: {error.strerror}") from error
        return path

    @field_validator("image_store_ca_file")
    @classmethod
    def _certificates_readable(cls, path: Path | None) -> Path | None:
        if path is not None:
            try:
                path.read_bytes()
            except OSError as error:
                raise ValueError(f"it can't be read: {error.strerror}") from error
        return path

    @property
    def picture_folder(self) -> Path | None:
        """The folder of the stored pictures; None if they are in a bucket."""
        return Path(self.image_store) if self.bucket_address is None else None

    @property
    def bucket_address(self) -> BucketAddress | None:
        return BucketAddress.parse(self.image_store)

    @property
    def redis_address(self) -> str:
        """``redis_url`` with the password: to connect to, never to be shown."""
        path = self.redis_password_file
        return with_password(self.redis_url, read_password(path) if path else self.redis_password.get_secret_value())


AnySettings = TypeVar("AnySettings", bound=BaseSettings)


def load_settings(kind: type[AnySettings]) -> AnySettings:
    """Read settings from the environment.

    Raises:
        SystemExit: with code 2, after one clear line on standard error for each setting that is wrong. A secret's
            value is not in it.
    """
    try:
        return kind()
    except ValidationError as error:
        for line in dict.fromkeys(_sentence(kind, problem) for problem in error.errors()):
            print(line, file=sys.stderr)  # noqa: T201
        raise SystemExit(EXIT_BAD_SETTINGS) from error


def _sentence(kind: type[BaseSettings], problem: ErrorDetails) -> str:
    """Of an entry of a list that is wrong in several ways there are several problems, and one sentence."""
    name = str(problem["loc"][0])
    field = kind.model_fields.get(name) or _by_alias(kind)[name]
    value = "(not shown)" if field.annotation is SecretStr else CREDENTIALS.sub(r"\1***@", repr(problem["input"]))
    fault = said_by_validator(problem) or f"must be {wanted(field)}"
    variable = _variable(kind, name)
    return f"{variable}={value}: {fault}" if variable in _set_variables() else f"{variable} is not set: {fault}"


def known_variables(kind: type[BaseSettings]) -> set[str]:
    """The environment variables that settings are read from, older names too."""
    return {name.upper() for name in (*kind.model_fields, *_by_alias(kind))}


def _by_alias(kind: type[BaseSettings]) -> dict[str, FieldInfo]:
    """Fields by all their names, of those that have several."""
    return {
        str(choice): field
        for field in kind.model_fields.values()
        if isinstance(field.validation_alias, AliasChoices)
        for choice in field.validation_alias.choices
    }


def _variable(kind: type[BaseSettings], name: str) -> str:
    """The environment variable that a setting is read from; of one with several names, the first that is set."""
    names = [name.upper()]
    for field in kind.model_fields.values():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices) and name in alias.choices:
            names = [str(choice).upper() for choice in alias.choices]
    return next((variable for variable in names if variable in _set_variables()), names[0])


def _set_variables() -> set[str]:
    """In capitals: settings are read in either case."""
    return {name.upper() for name, value in os.environ.items() if value}
