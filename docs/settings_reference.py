"""``python -m docs.settings_reference``: writes .env.example and docs/configuration.md from the settings themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.settings import Settings as ApiSettings
from contract.settings import SharedSettings
from local.settings import Settings as LocalSettings
from model.settings import Settings as WorkerSettings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

ROOT = Path(__file__).parents[1]
ENV_EXAMPLE = ROOT / ".env.example"
CONFIGURATION = ROOT / "docs" / "configuration.md"

SHARED = SharedSettings.model_fields
API = {name: field for name, field in ApiSettings.model_fields.items() if name not in SHARED}
WORKER = {name: field for name, field in WorkerSettings.model_fields.items() if name not in SHARED}
LOCAL = {name: field for name, field in LocalSettings.model_fields.items() if name not in {*SHARED, *API, *WORKER}}
SECTIONS: dict[str, dict[str, FieldInfo]] = {
    "The API and the workers": SHARED,
    "The API": API,
    "The workers": WORKER,
    "`make run` only": LOCAL,
}


def env_example() -> str:
    lines = [
        "# Every setting with its default. Copy to .env and uncomment what you change.",
        "# docs/configuration.md has a table.",
    ]
    for title, fields in SECTIONS.items():
        lines += ["", f"# --- {title.replace('`', '')}"]
        for name, field in fields.items():
            lines += [f"# {field.description}", f"# {name.upper()}={default(field)}"]
    return "\n".join(lines) + "\n"


def configuration() -> str:
    lines = [
        "# Configuration",
        "",
        "Every setting is an environment variable, read once at the start. A wrong value ends the start with one line",
        "that names it. `make run` and Compose also read them from a file `.env` ([.env.example](../.env.example)).",
        "This page is written by `make docs` from the settings in the code.",
    ]
    for title, fields in SECTIONS.items():
        lines += ["", f"## {title}", "", "| variable | default | meaning |", "|---|---|---|"]
        lines += [f"| `{name.upper()}` | {shown(field)} | {field.description} |" for name, field in fields.items()]
    return "\n".join(lines) + "\n"


def default(field: FieldInfo) -> str:
    value: Any = field.default
    if field.default_factory is not None or value is None or value == ():
        return ""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def shown(field: FieldInfo) -> str:
    return f"`{default(field)}`" if default(field) else ""


def main() -> None:
    ENV_EXAMPLE.write_text(env_example())
    CONFIGURATION.write_text(configuration())


if __name__ == "__main__":
    main()
