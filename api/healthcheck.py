"""``python -m api.healthcheck``: whether the API on this machine answers, as exit code 0 or 1.

It reads two settings and imports nothing of the service: it is run every few seconds beside it.
"""

from __future__ import annotations

import os
import ssl
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection

WITHIN_S = 4.0


def main() -> int:
    try:
        connection = _connection("127.0.0.1", int(os.environ["PORT"]))
        connection.request("GET", "/livez")
        return int(connection.getresponse().status != HTTPStatus.OK)
    except (OSError, HTTPException) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


def _connection(host: str, port: int) -> HTTPConnection:
    if not os.environ.get("TLS_CERT_FILE"):
        return HTTPConnection(host, port, timeout=WITHIN_S)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it is asked on its own machine, under a name that its certificate is not made for
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, port, timeout=WITHIN_S, context=context)


if __name__ == "__main__":
    sys.exit(main())
