"""Asks a site that is starting for the pages that count every work, so that no visitor is the first to wait for them.

    python warm.py HOST PORT PAGE…

It gives up quietly: a page that cannot be had is the server's to complain about.
"""

from __future__ import annotations

import http.client
import sys
import time

PATIENCE = 30.0
"""Seconds until a server that does not answer is left alone."""


def main(host: str, port: int, pages: list[str]) -> None:
    """Each page once, in order."""
    deadline = time.monotonic() + PATIENCE
    while pages and time.monotonic() < deadline:
        conn = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        try:
            conn.request("GET", pages[0])
            conn.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        else:
            pages = pages[1:]
        finally:
            conn.close()


if __name__ == "__main__":
    main({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(sys.argv[1], sys.argv[1]), int(sys.argv[2]), sys.argv[3:])  # noqa: S104
