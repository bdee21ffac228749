"""The site in a process of its own, for tests that need a real server."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from evidence.publish import serve


@contextmanager
def served(db: Path, environment: Mapping[str, str], *, log: Path | None = None, public: bool = False) -> Iterator[str]:
    """The address of the site over `db`; `log` gets what the server prints."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = serve.command(db, "127.0.0.1", port, open_browser=False, public=public)
    variables = {**os.environ, **environment}
    with (
        Path(log or os.devnull).open("w") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env=variables) as server,
    ):
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
