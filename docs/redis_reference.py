"""``python -m docs.redis_reference``: writes the tables of docs/redis.md, and deploy/redis/users.acl, from the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from contract.redis_users import API, LINES, OPERATOR, SCALER, WORKER, users_file

if TYPE_CHECKING:
    from contract.redis_users import Line

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "redis.md"
USERS_FILE = ROOT / "deploy" / "redis" / "users.acl"

TABLE = re.compile(r"(<!-- (api|worker|scaler) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def page(text: str) -> str:
    """The page with the tables as they are now."""
    return TABLE.sub(lambda found: found[1] + _table(LINES[found[2]]), text)


def users_template() -> str:
    """What deploy/redis/start.sh puts the passwords' hashes into."""
    return users_file({user: f"{user.upper()}_SHA256" for user in (API, WORKER, SCALER, OPERATOR)})


def _table(lines: tuple[Line, ...]) -> str:
    rows = [f"| {_words(line.commands)} | {_keys(line)} | {line.purpose} |" for line in lines]
    return "\n".join(["\n| commands | keys | what for |", "|---|---|---|", *rows, "\n"])


def _keys(line: Line) -> str:
    reads, writes = line.reads.split(), line.writes.split()
    parts = {
        "": [pattern for pattern in reads if pattern in writes],
        " (read)": [pattern for pattern in reads if pattern not in writes],
        " (write)": [pattern for pattern in writes if pattern not in reads],
    }
    return ", ".join(f"{_words(' '.join(some))}{access}" for access, some in parts.items() if some)


def _words(text: str) -> str:
    return " ".join(f"`{word}`".replace("|", " ") for word in text.split())


def main() -> None:
    PAGE.write_text(page(PAGE.read_text()))
    USERS_FILE.write_text(users_template())


if __name__ == "__main__":
    main()
