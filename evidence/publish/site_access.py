"""Who may ask the site for what: host names it answers to, addresses that may send forms, tries at a password, raw records.

`evidence serve` hands what it decides to the site's plugins in environment variables; the rules are here, so that both read the
same ones. It knows neither Datasette nor ASGI, and opens no database.
"""

from __future__ import annotations

import socket
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from evidence.errors import ConfigError
from evidence.review.reviewer_desk import ENVIRONMENT as DESK_ENVIRONMENT

ALLOWED_HOSTS = "EVIDENCE_ALLOWED_HOSTS"
"""The environment variable with the host names that the site answers to, separated by commas; without it, to every name."""

PUBLIC = "EVIDENCE_PUBLIC"
"""The environment variable that is set when visitors may not see raw records."""

PUBLISHED = "EVIDENCE_PUBLISHED"
"""The environment variable that `start` sets in a published copy, in whose file there are no raw records."""

CHECKS = "EVIDENCE_CHECKS"
"""The environment variable that opens the page to check references: `yes`, or `visitors` for one with limits."""

CHECK_TRIES, CHECK_WINDOW = 5, 3600.0
"""Lists of references that one address may have checked in this many seconds on a public site."""

CLOSED_PAGES = {
    "/-/plugins": "names and versions of what runs on the server",
    "/-/versions": "the same",
    "/-/settings": "settings of the server",
    "/-/config": "the same, under an older name",
    "/-/databases": "paths of files on the server",
    "/-/threads": "what the server is doing",
    "/-/actor": "only of use to somebody who writes a plugin",
    "/-/permissions": "a tool for debugging permissions",
    "/-/allow-debug": "another",
    "/-/messages": "a form that sets a cookie",
    "/-/patterns": "a page of examples for somebody who writes templates",
    "/-/auth-token": "logs in with a token of --root, which the site never prints",
    "/-/password-tool": "computes hashes of passwords for anybody, which costs time; `datasette hash-password` is the same",
}
"""Pages of Datasette, and of datasette-auth-passwords, that visitors do not get, and why."""

OPEN_PAGES = {
    "/-/static": "styles and scripts of Datasette's own pages",
    "/-/static-plugins": "those of plugins",
    "/-/metadata": "descriptions of tables, columns and queries, which the pages show too",
    "/-/logout": "for reviewers; it changes nothing for others",
}
"""Those that visitors do get, and why. A test compares both with what Datasette serves."""

LOGIN_PAGE = "/-/login"
"""For reviewers. Closed where there is no desk, because its form sets a cookie."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANY_ADDRESS = "any-ip-address"
"""Stands for every IP address in a list of host names. A page of another site has a name, so an address cannot be its own."""

RAW_COLUMNS = {("snapshots", "message"), ("rejects", "message"), ("provider_records", "message"),
               ("imported_records", "message"), ("backfill_records", "message")}  # fmt: skip
"""Columns (table, column) with records as providers sent them. Visitors of a public site get neither these nor the tables."""
RAW_TABLES = frozenset(table for table, _ in RAW_COLUMNS)

OWN_COLUMNS = {("exports", "name"), ("exports", "filters"), ("capsules", "name")}
"""Columns with what reviewers called their exported files and asked for. A published copy has only those of published copies."""
CLOSED_TABLES = RAW_TABLES | {table for table, _ in OWN_COLUMNS}

TRIES, WINDOW = 10, 900.0
"""Tries at a password from one address, or for one name, in this many seconds."""

_DEFAULT_PORTS = (None, 80, 443)
_MOST_KEYS = 10_000


def allowed_hosts(host: str, others: Sequence[str], *, public: bool) -> tuple[str, ...]:
    """The host names to answer to on the address `host`; empty: every name.

    A page of another site can make its own name point to this machine (DNS rebinding) and then read answers as if they were its
    own. The browser still sends that name as Host. A public site on a network address has nothing to protect from that.
    """
    named = tuple(_checked(name) for name in others)
    if _is_loopback(host):
        return tuple(dict.fromkeys((*LOOPBACK, host.lower(), *named)))
    if public and not named:
        return ()
    machine = socket.gethostname().lower()
    return tuple(dict.fromkeys((*LOOPBACK, ANY_ADDRESS, host.lower(), machine, f"{machine}.local", *named)))


def host_is_allowed(header: str | None, allowed: Iterable[str]) -> bool:
    """Whether a request with this Host header is answered."""
    place = _place(f"//{header}") if header else None
    if place is None:
        return False
    names = set(allowed)
    return place[0] in names or (ANY_ADDRESS in names and _is_address(place[0]))


def sent_from_here(origin: str | None, referer: str | None, host: str | None) -> bool:
    """Whether a form was sent from a page of this site. Without both headers it is for the form's token to say; browsers send
    one with every form. The scheme is not compared, because a proxy in front may take https and pass on http."""
    stated = origin if origin is not None else referer
    if stated is None:
        return True
    place = _place(stated) if "://" in stated else None
    return place is not None and host is not None and place == _place(f"//{host}")


class Attempts:
    """Counts tries at a password for each key (an address, a name), in memory."""

    def __init__(self, tries: int = TRIES, window: float = WINDOW) -> None:
        self._tries, self._window = tries, window
        self._made: defaultdict[str, list[float]] = defaultdict(list)

    def start(self, keys: Sequence[str], now: float) -> int:
        """Count a try. Seconds until the next is allowed; 0: this one is."""
        for key in [key for key, times in self._made.items() if now - times[-1] >= self._window]:
            del self._made[key]
        waits = [0.0]
        for key in keys:
            if times := [made for made in self._made.get(key, ()) if now - made < self._window]:
                self._made[key] = times
            if len(times) >= self._tries:
                waits.append(times[-self._tries] + self._window - now)
        if max(waits) > 0:
            return int(max(waits)) + 1
        if len(self._made) >= _MOST_KEYS:
            return int(self._window)
        for key in keys:
            self._made[key].append(now)
        return 0

    def succeeded(self, keys: Sequence[str]) -> None:
        """Forget the tries of these keys."""
        for key in keys:
            self._made.pop(key, None)


def hide_raw_records(conn: sqlite3.Connection) -> None:
    """Every read of a raw record or of an exported file's name on this connection gives null, whoever wrote the SQL and through
    whichever view."""
    closed = RAW_COLUMNS | OWN_COLUMNS

    def authorize(action: int, table: str | None, column: str | None, *_: object) -> int:
        hidden = action == sqlite3.SQLITE_READ and (table, column) in closed
        return sqlite3.SQLITE_IGNORE if hidden else sqlite3.SQLITE_OK

    conn.set_authorizer(authorize)


def is_public(environment: Mapping[str, str]) -> bool:
    """Whether the site is for visitors: served with --public or --accounts, or a published copy."""
    return bool(environment.get(PUBLIC) or environment.get(PUBLISHED))


def is_shared(environment: Mapping[str, str]) -> bool:
    """Whether everything on the site is meant for everybody, so that pages of other sites may read it: a published copy, or
    --public. Not a desk's site, because others may not reach it where it is."""
    return is_public(environment) and not any(name.startswith(DESK_ENVIRONMENT) for name in environment)


def environment(hosts: Sequence[str], *, public: bool) -> dict[str, str]:
    """The environment variables that tell the site's plugins."""
    return {ALLOWED_HOSTS: ",".join(hosts), PUBLIC: "1" if public else ""}


def hosts_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The host names in the environment; empty: every name."""
    return tuple(name for name in environment.get(ALLOWED_HOSTS, "").lower().split(",") if name)


def _checked(name: str) -> str:
    place = _place(f"//{name}") if not set(name) & set("/,@ ") else None
    if place is None:
        raise ConfigError(f"--allow-host {name}: give a host name, such as desk.your-institution.edu")
    return place[0]


def _place(address: str) -> tuple[str, int | None] | None:
    """Host name and port of an address; the usual ports are None. None when it is not valid."""
    try:
        parts = urlsplit(address)
        name, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return None
    if not name or parts.username is not None:
        return None
    return name, None if port in _DEFAULT_PORTS else port


def _is_loopback(host: str) -> bool:
    return host.lower() == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
