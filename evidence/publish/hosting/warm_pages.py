"""Requests the slow pages of a site that is starting, so that they are cached before the first visitor opens them.

    python warm.py HOST PORT PAGE…

It prints nothing and gives up after a while; errors of a page are in the log of the server.
"""

from __future__ import annotations

import http.client
import sys
import time

TIMEOUT = 30.0
"""Seconds after which it gives up, and seconds to wait for one response."""


def main(host: str, port: int, pages: list[str]) -> None:
    """Request each page once, in order; a page that cannot be fetched yet is tried again."""
    deadline = time.monotonic() + TIMEOUT
    while pages and time.monotonic() < deadline:
        conn = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
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
