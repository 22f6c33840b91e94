"""Self-made certificates, by the openssl command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAMES = "subjectAltName=DNS:localhost,DNS:pictures.example.org,IP:127.0.0.1"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate for this machine and pictures.example.org, and its key, both in PEM."""

    cert_file: Path
    key_file: Path

    @property
    def settings(self) -> dict[str, str]:
        return {"TLS_CERT_FILE": str(self.cert_file), "TLS_KEY_FILE": str(self.key_file)}


def make(folder: Path, name: str = "tls", *, days: int = 1, extension: str = "") -> Pair:
    """Write a pair that holds for so many days from now; one with a negative number has expired."""
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    request = folder / f"{name}.csr"
    extensions = [option for value in filter(None, (NAMES, extension)) for option in ("-addext", value)]
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(pair.key_file))
    _openssl("req", "-new", *key, "-subj", "/CN=localhost", *extensions, "-out", str(request))
    signed = ("-signkey", str(pair.key_file), "-copy_extensions", "copyall", "-days", str(days))
    _openssl("x509", "-req", "-in", str(request), *signed, "-out", str(pair.cert_file))
    return pair


def encrypt(pair: Pair) -> None:
    """Protect the key by a password."""
    file = str(pair.key_file)
    _openssl("ec", "-in", file, "-aes128", "-passout", "pass:hunter2", "-out", file)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
