"""The users of the Valkey of ``make run``, with passwords that are made at every start."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from contract.private_files import write_file
from contract.redis_address import with_password
from contract.redis_users import API, HEALTH, OPERATOR, WORKER, password_hash, users_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.settings import Settings

PASSWORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class QueueUsers:
    """``file`` is what Valkey reads; ``passwords`` those of the users who have one, by their names."""

    file: Path
    passwords: Mapping[str, str]

    @classmethod
    def make(cls, settings: Settings) -> Self:
        """Write Valkey's file, and the operator's password for the person at the terminal, both for the owner only.

        Raises:
            OSError: the folder can't be written.
        """
        passwords = {user: secrets.token_urlsafe(PASSWORD_BYTES) for user in (API, WORKER, OPERATOR)}
        file = settings.queue_dir.resolve() / "users.acl"
        write_file(file, users_file({user: password_hash(password) for user, password in passwords.items()}).encode())
        write_file(operator_password(settings.queue_dir), f"{passwords[OPERATOR]}\n".encode())
        return cls(file, passwords)

    def url(self, user: str, socket_path: Path) -> str:
        """With the password in it: the environment of a part that reads it is as secret as any other place."""
        return with_password(f"unix://{user}@{socket_path}", self.passwords[user])


def operator_password(queue_dir: Path) -> Path:
    """The file of the password with which a person, or one of RQ's tools, sees and changes everything."""
    return queue_dir / "operator-password"


def operator_url(queue_dir: Path, socket_path: Path) -> str:
    """Raises OSError: the service has never run here."""
    return with_password(f"unix://{OPERATOR}@{socket_path}", operator_password(queue_dir).read_text().strip())


def health_url(socket_path: Path) -> str:
    """That of a user who needs no password and can only ask whether Valkey answers."""
    return f"unix://{HEALTH}:any@{socket_path}"
