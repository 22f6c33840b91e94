"""The API's own certificate: tried before anybody is served with it, and replaced only by one that works."""

from __future__ import annotations

import os
import ssl
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from api.server.tls import TlsContext

if TYPE_CHECKING:
    from pathlib import Path

    from gunicorn.glogging import Logger

OF_ANOTHER_CERTIFICATE = ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED")  # of the same kind, or of another
TURNS = 2  # of each side, until both have shaken hands


class BadCertificate(Exception):
    """The message is the one line that an operator reads: the setting, its value and what is wrong with it."""


class Certificate:
    """``context`` is the latest that works. All processes of the API inherit it, so a session goes on in any of them.

    Raises:
        BadCertificate: the files can't be used.
    """

    def __init__(self, cert_file: Path, key_file: Path) -> None:
        self._files = cert_file, key_file
        self.context = _context(cert_file, key_file)

    def renew(self, log: Logger) -> None:
        """Read the files again; if they can't be used, ``context`` stays, and the log says why."""
        try:
            self.context = _context(*self._files)
        except BadCertificate as error:
            log.error("the certificate in use stays: %s", error)  # noqa: TRY400  # its message says it all
        else:
            log.info("the certificate was read again")


def _context(cert_file: Path, key_file: Path) -> TlsContext:
    certificate, key = f"TLS_CERT_FILE={cert_file}", f"TLS_KEY_FILE={key_file}"
    _check_readable(certificate, cert_file)
    if _check_readable(key, key_file) & stat.S_IRWXO:
        raise BadCertificate(f"{key}: everybody on this machine may use it: chmod o= {key_file}")
    client = _client(certificate, cert_file)
    context = TlsContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # a client could have the server do its dearest work again and again
    # A client that only closes is still answered. Nobody can cut a request off so: HTTP says itself where one ends.
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF

    def refuse() -> NoReturn:
        raise BadCertificate(f"{key}: is encrypted, and nobody is there to type its password")

    try:
        context.load_cert_chain(cert_file, key_file, refuse)
    except ssl.SSLError as error:
        if error.reason in OF_ANOTHER_CERTIFICATE:
            raise BadCertificate(f"{key}: is not the key of the first certificate in {cert_file}") from error
        why = error.reason or "it is no key in PEM"
        raise BadCertificate(f"{key}: can't be used with {cert_file}: {why}") from error
    _try(certificate, context, client)
    return context


def _check_readable(name: str, file: Path) -> int:
    """The file's mode; raises BadCertificate."""
    try:
        with file.open("rb") as opened:
            return os.fstat(opened.fileno()).st_mode
    except OSError as error:
        raise BadCertificate(f"{name}: can't be read: {error.strerror}") from error


def _client(name: str, cert_file: Path) -> ssl.SSLContext:
    """A client that trusts the certificate itself, whoever has signed it; raises BadCertificate if there is none."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        client.load_verify_locations(cert_file)
    except ssl.SSLError as error:
        raise BadCertificate(f"{name}: is no certificate in PEM") from error
    return client


def _try(name: str, context: TlsContext, client: ssl.SSLContext) -> None:
    """Shake hands in memory: so what is past its time, or made for something else, is found as a client finds it."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = client.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)
    try:
        for side in sides * TURNS:
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise BadCertificate(f"{name}: no client would take it: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise BadCertificate(f"{name}: can't be used: {error.reason}") from error
