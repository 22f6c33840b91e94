"""The API's settings; the environment variable is the field's name in capitals."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from api.core.camera.address import checked_address
from api.core.camera.credentials import read_headers, read_token
from api.core.host_names import checked_name
from api.core.root_path import checked_root_path
from api.core.web_origins import checked_origin
from contract.model_name import NAME
from contract.settings import SharedSettings, Texts, listed
from contract.wording import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable


def _switch(value: Any) -> Any:
    return {"on": True, "off": False}.get(value, value) if isinstance(value, str) else value


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there; of a name but ``localhost`` nobody knows."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


BEFORE_SUBMITTING_S = 60.0  # beyond a request's deadline: Redis' own timeouts, clocks that differ, RENEWED_AFTER_S
REPORTABLE_FOR_S = 600.0  # that a picture stays after its answer, if only reported ones are kept
SHORTEST_LINK_SECRET = 32  # characters
StoreUploads = Literal["all", "feedback", "none"]


def _no_limit(value: Any) -> Any:
    return 0 if isinstance(value, str) and not value.strip() else value


def _each(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda texts: tuple(map(check, texts)))


def _model_name(text: str) -> str:
    if text and not NAME.fullmatch(text):
        raise ValueError("must be a model's name, without a version")
    return text


NO_LIMIT = BeforeValidator(_no_limit)  # empty is none
PORT = Wanted("a whole number from 1 to 65535")  # and 0, with which tests have the system choose
NETWORKS = Wanted("an address, or a network without bits beyond its prefix, as 10.0.0.0/8")
Networks = tuple[IPv4Network | IPv6Network, ...]


class Settings(SharedSettings):
    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: Annotated[int, PORT] = Field(8000, ge=0, le=65535, description="Port that the API listens on.")
    tls_cert_file: Path | None = Field(
        None, description="Certificate to serve HTTPS with, in PEM, and those between it and its root. Empty: HTTP."
    )
    tls_key_file: Path | None = Field(
        None,
        validate_default=True,
        description="Key of TLS_CERT_FILE, in PEM, which not everybody on the machine may read.",
    )
    web_concurrency: int = Field(2, ge=1, description="API processes.")
    requests_per_minute: Annotated[int, NO_LIMIT] = Field(
        0, ge=0, description="Requests that are taken of one sender in a minute. 0: as many as come."
    )
    requests_per_day: Annotated[int, NO_LIMIT] = Field(
        0, ge=0, description="Requests that are taken of one sender in a day, in UTC. 0: as many as come."
    )
    mb_per_minute: Annotated[int, NO_LIMIT] = Field(
        0, ge=0, description="MB that are received of one sender in a minute. 0: as many as come."
    )
    mb_per_day: Annotated[int, NO_LIMIT] = Field(
        0, ge=0, description="MB that are received of one sender in a day, in UTC. 0: as many as come."
    )
    feedback_dir: Path = Field(
        Path("data/feedback"), description="Folder of feedback.csv, the reported pictures, and inspections."
    )
    feedback_pictures_mb: int = Field(
        2000,
        ge=0,
        description="Room for reported pictures, which outlive RETENTION_HOURS, in MB; 0 keeps none.",
    )
    feedback_mb: int = Field(
        100, ge=1, description="Largest feedback.csv, in MB: then reports are refused until it is moved away."
    )
    inspections_mb: int = Field(
        100,
        ge=1,
        description="Room for inspections without their pictures, in MB, in FEEDBACK_DIR; when it is used up, "
        "the older half goes.",
    )
    inspection_pictures_mb: int = Field(
        2000,
        ge=0,
        description="Room for the pictures of inspections, which outlive RETENTION_HOURS, in MB; beyond it the oldest "
        "go, and 0 keeps none.",
    )
    inspection_pictures_every: int = Field(
        1,
        ge=0,
        description="Of good parts every so many-th picture is kept, 0: none; those of bad ones always are.",
    )
    feedback_per_hour: int = Field(
        60, ge=1, description="Reports that one API process takes from one sender in an hour."
    )
    api_keys_file: Path | None = Field(
        None,
        description="File of the keys that senders need, made by api.keys (docs/keys.md). Empty: there are none.",
    )
    allow_anonymous: Annotated[bool, BeforeValidator(_switch)] = Field(
        False,
        validate_default=True,
        description="on: without API_KEYS_FILE, all who reach HOST may send; off: that is refused but for loopback.",
    )
    admin_api_key: SecretStr = Field(
        SecretStr(""),
        validate_default=False,
        description="Key to /admin, 16 or more printable ASCII characters, beside keys with the scope admin.",
    )
    trusted_proxies: Annotated[Networks, NoDecode, BeforeValidator(listed), NETWORKS] = Field(
        (),
        description=(
            "Addresses or networks of proxies whose X-Forwarded-For, -Proto, -Host and -Prefix are believed, "
            "commas between."
        ),
    )
    root_path: Annotated[str, AfterValidator(checked_root_path)] = Field(
        "",
        description=(
            "Path under which a proxy shows the service, as /classifier, whether it takes the path off or not; "
            "empty: what X-Forwarded-Prefix of TRUSTED_PROXIES says, or the root."
        ),
    )
    allowed_hosts: Annotated[Texts, _each(checked_name)] = Field(
        (),
        description=(
            "Names by which clients call this service, commas between, beside localhost, HOST and addresses; "
            ".example.org: and all names below it; *: any."
        ),
    )
    cors_origins: Annotated[Texts, _each(checked_origin)] = Field(
        (),
        description="Origins whose pages may use the API, as https://app.example.org, commas between; "
        "never /admin and /reload.",
    )
    default_model: Annotated[str, AfterValidator(_model_name)] = Field(
        "",
        description="The model that requests for its task mean which name none. Without it the one whose worker "
        "started last; of several in MODELS, the first.",
    )
    fallback_model: Annotated[str, AfterValidator(_model_name)] = Field(
        "",
        description="The model that answers requests which name no version, where the one that they mean has too much "
        "to do. Answers say so: X-Fallback.",
    )
    pattern_dir: Path | None = Field(
        None,
        description="Folder of pattern files, against which /v1/inspections holds pictures. Empty: there are none.",
    )
    check_dir: Path | None = Field(
        None,
        description="Folder of labelled pictures, at least 100, that candidates are checked with: a folder for each "
        "label, or labels.csv; a detector's need no labels. Empty: none is checked.",
    )
    check_slower_ratio: float = Field(
        1.5, ge=1, description="A candidate that takes a worker this many times as long as the current version fails."
    )
    camera_url: Annotated[str, AfterValidator(checked_address)] = Field(
        "",
        description="Address that answers with a picture of the camera, http:// or https://, with a query if need "
        "be. Empty: there is no camera.",
    )
    camera_auth_token_file: Path | None = Field(
        None, description="File whose first line the camera is sent as a bearer token."
    )
    camera_headers_file: Path | None = Field(
        None, description="File of further headers for the camera, Name: value a line."
    )
    camera_timeout_s: float = Field(
        4, gt=0, le=60, description="A picture's deadline, waiting for others' and further tries included, in seconds."
    )
    camera_retries: int = Field(
        2, ge=0, le=10, description="Further tries when the camera can't be reached, breaks off or has an error (5xx)."
    )
    request_timeout_s: float = Field(30, gt=0, le=600, description="A request's deadline, in seconds.")
    top_k: int = Field(
        3,
        ge=1,
        validate_default=False,  # a TOP_K_MAX below it is not a mistake: then as many are shown as there are
        description="Labels in an answer to a program that does not say how many; at most TOP_K_MAX.",
    )
    max_upload_mb: int = Field(20, ge=1, description="Largest request accepted, in MB (1,000,000 bytes).")
    max_batch_files: int = Field(
        32,
        ge=1,
        le=500,
        description="Most pictures in one request to /infer/batch; MAX_UPLOAD_MB limits all of them together.",
    )
    body_memory_mb: int = Field(
        250, ge=1, description="Memory for uploads that one API process reads at a time, in MB; half of it per sender."
    )
    least_upload_kb_per_s: int = Field(
        10, ge=1, description="An upload that comes more slowly than this on the whole is refused, in kB per second."
    )
    connections_per_peer: int = Field(
        1000,
        ge=1,
        description="Connections of one address to an API process, but for TRUSTED_PROXIES; at most MAX_IN_FLIGHT.",
    )
    costly_picture_ms: int = Field(
        500, ge=1, description="A picture expected to take longer to decode waits on the bulk queue, in milliseconds."
    )
    sender_ahead_s: float = Field(
        1.0,
        gt=0,
        description="Work that one sender may have waiting before others, in seconds; more waits on the bulk queue.",
    )
    max_in_flight: int = Field(
        1000, ge=1, description="Requests that one API process answers at a time; half of them of one sender at most."
    )
    request_log: Annotated[bool, BeforeValidator(_switch)] = Field(
        True, description="on: the API's log has a line for each request; off: it has none."
    )
    request_log_per_s: int = Field(
        200, ge=1, description="Most of these lines that an API process writes in a second, beside LOG_MESSAGES_PER_S."
    )
    result_cache: Annotated[bool, BeforeValidator(_switch)] = Field(
        True, description="on: the same picture is computed once per RESULT_TTL_S; off: each request is computed."
    )
    job_ttl_s: int = Field(
        86400,
        ge=60,
        le=30 * 86400,
        validation_alias=AliasChoices("job_ttl_s", "ticket_ttl_s"),  # its name up to version 0.1
        description="How long a job of /v1/jobs is kept, in seconds.",
    )
    jobs_per_sender: int = Field(
        5000,
        ge=1,
        description="Jobs of /v1/jobs that one sender may have unfetched; one of a large picture counts as several.",
    )
    uploads_mb: int = Field(
        10_000,
        ge=1,
        description="Room for stored pictures, in MB; when it is used up, those sent longest ago are deleted.",
    )
    store_uploads: StoreUploads = Field(
        "all",
        description="Pictures that outlive their request: all (for RETENTION_HOURS), feedback (those that are reported "
        "within 10 minutes) or none.",
    )
    link_ttl_s: int = Field(
        3600, ge=60, le=30 * 86400, description="How long a link to a stored picture is good for, in seconds."
    )
    link_secret: SecretStr = Field(
        SecretStr(""),
        description="What signs these links, 32 or more characters. Empty: it is read from LINK_SECRET_FILE.",
    )
    link_secret_file: Path | None = Field(
        None,
        description="File of LINK_SECRET, made at the first start if it is not there; by default in FEEDBACK_DIR.",
    )
    disk_reserve_mb: int = Field(
        500, ge=0, description="What uploads and reports leave free on their disk, in MB: Redis' log may share it."
    )
    retention_hours: float = Field(
        168, gt=0, description="Stored pictures not seen again for this long (and JOB_TTL_S) are deleted, in hours."
    )

    @field_validator("top_k")
    @classmethod
    def _within_top_k_max(cls, top_k: int, others: ValidationInfo) -> int:
        most = others.data.get("top_k_max", top_k)  # absent if it is itself invalid, which is then reported
        if top_k > most:
            raise ValueError(f"must be at most TOP_K_MAX, which is {most}")
        return top_k

    @field_validator("tls_key_file")
    @classmethod
    def _with_its_certificate(cls, key_file: Path | None, others: ValidationInfo) -> Path | None:
        if (key_file is None) != (others.data.get("tls_cert_file") is None):
            raise ValueError("TLS_CERT_FILE and TLS_KEY_FILE are set together, or neither is")
        return key_file

    @field_validator("allow_anonymous")
    @classmethod
    def _open_only_on_purpose(cls, allowed: bool, others: ValidationInfo) -> bool:
        host, keys = others.data.get("host", ""), others.data.get("api_keys_file")
        if allowed and keys is not None:
            raise ValueError("nobody is anonymous where API_KEYS_FILE is set: set one of them only")
        if not (allowed or keys is not None or is_loopback(host)):
            raise ValueError(
                f"HOST={host} can be reached from other machines, and everybody there could use the service: "
                "set API_KEYS_FILE (docs/keys.md), or ALLOW_ANONYMOUS=on if that is what you want"
            )
        return allowed

    @field_validator("camera_auth_token_file")
    @classmethod
    def _with_a_token(cls, path: Path | None) -> Path | None:
        if path is not None:
            read_token(path)
        return path

    @field_validator("camera_headers_file")
    @classmethod
    def _with_headers(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        if path is not None and "authorization" in read_headers(path) and others.data.get("camera_auth_token_file"):
            raise ValueError("it has an Authorization header, and CAMERA_AUTH_TOKEN_FILE is set: keep one of them")
        return path

    @field_validator("admin_api_key")
    @classmethod
    def _hard_to_guess(cls, key: SecretStr) -> SecretStr:
        if not re.fullmatch("[!-~]{16,}", key.get_secret_value()):  # what a header can carry
            raise ValueError("must be at least 16 printable ASCII characters, without spaces")
        return key

    @field_validator("link_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < SHORTEST_LINK_SECRET:
            raise ValueError(f"must be at least {SHORTEST_LINK_SECRET} characters")
        return secret

    @property
    def link_secret_path(self) -> Path:
        """Where the secret is, or will be: where workers do not look, and what survives a new container."""
        return self.link_secret_file or self.feedback_dir / "link-secret"

    @property
    def pictures_kept_for_s(self) -> float:
        """For how long a picture stays that no job needs, from when it was last sent."""
        match self.store_uploads:
            case "none":  # of requests whose process died
                return self.request_timeout_s + BEFORE_SUBMITTING_S
            case "feedback":
                # In a bucket a picture sent again is stored again only in the second half of the time, and not at all
                # while there is an answer; it is to be there for as long afterwards all the same.
                times = 1 if self.bucket_address is None else 3
                return max(times * REPORTABLE_FOR_S, self.request_timeout_s + BEFORE_SUBMITTING_S)
            case "all":
                return max(self.retention_hours * 3600, self.job_ttl_s)

    @property
    def max_upload_bytes(self) -> int:
        return self.max_upload_mb * 1_000_000
