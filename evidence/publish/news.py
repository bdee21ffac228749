"""What is new of a review, for the report, the mail and the summary of a sync."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from pathlib import Path

from evidence.database import read_net_change, read_queries, read_versions
from evidence.database.connection import reading
from evidence.errors import ConfigError, EvidenceError, StoreError
from evidence.export import change_note, mail_message
from evidence.export.change_note import Note
from evidence.harvest import review_statements, sources
from evidence.harvest.sources import Watch
from evidence.publish import mailed, ripple, send_mail, version_note, watching

_log = logging.getLogger(__name__)

LAST_MAIL = "last-mail"
"""What `--since` takes for the state that the last mail to an address was about."""


def of_now(
    db: Path,
    path: Path,
    since: str | None,
    *,
    as_of: str | None = None,
    tags: bool = False,
    watch: str | None = None,
    recipient: str | None = None,
) -> Note:
    """What changed since the state that `since` names (see `version_note.since_named`) until now or `as_of`, or since the last
    mail to `recipient`. `path` is the sources.yaml; with `watch`, only what is new for this one."""
    stated = review_statements.beside(path)
    # A mail without the news of a watch that cannot be read would be the last to have them.
    watches = watches_of(path, required=watch is not None or (recipient is not None and path.exists()))
    chosen = [watching.named(watches, watch, path)] if watch is not None else list(watches)
    try:
        watching.note(db, watches, path)
    except StoreError as error:
        if watch is not None or recipient is not None:
            raise
        _log.warning("the watches could not be compared with their lists: %s", error)
    with reading(db) as conn:
        conn.execute("begin")  # one state of the database for all parts
        last = read_net_change.last_finished_run(conn)
        if as_of is not None:
            last = min(last, read_versions.state_named(conn, as_of).run)
        if since == LAST_MAIL or (since is None and recipient is not None):
            if recipient is None:
                raise ConfigError(f"--since {LAST_MAIL} needs --mail TO: it is since the last mail to that address")
            run = mailed.last_run(db, conn, recipient, chosen[0].name if watch is not None else None)
            found = version_note.since_named(conn, None, last)
            if run is not None:
                found = version_note.since_mail(conn, run)
        else:
            found = version_note.since_named(conn, since, last)
        rows = read_queries.changes(conn, after=found.run, until=last)
        news = [watching.news(conn, each, found.run, last, rows) for each in chosen]
        return version_note.read(
            conn,
            found,
            ripple.articles_of(path),
            stated,
            until=last,
            tags=tags,
            watches=news,
            only=chosen[0].name if watch is not None else None,
        )


def watches_of(path: Path, *, required: bool = False) -> tuple[Watch, ...]:
    """The watches of sources.yaml; none where it is missing or has a mistake, which `evidence check` reports."""
    try:
        return sources.load(path).watches
    except ConfigError:
        if required:
            raise
        return ()


def watch_lines(db: Path, path: Path, run: int) -> list[str]:
    """What the run `run` brought for each watch that has news, a line each, for the summary of a sync."""
    watches = watches_of(path)
    if not watches:
        return []
    try:
        watching.note(db, watches, path)
    except EvidenceError as error:  # the sync has ended well; the next report compares them
        return [f"Warning, watches: {error}"]
    with reading(db) as conn:
        rows = read_queries.changes(conn, run=run)
        found = [watching.news(conn, each, run - 1, run, rows) for each in watches]
    return [change_note.watch_summary(each) for each in found if each.anything]


def mail(
    db: Path,
    path: Path,
    since: str | None,
    recipient: str,
    now: datetime,
    *,
    tags: bool = False,
    watch: str | None = None,
) -> Note:
    """Mail what is new to an address, where anything is, and remember that. Returns the note. MailError when it was not sent:
    then the next mail has the same news."""
    to = mail_message.checked_address(recipient, "--mail")
    sender = send_mail.sender_of(os.environ)
    send_mail.server_of(os.environ)  # a mistake in the settings is one also when nothing is new
    with mailed.one_at_a_time(db):
        note = of_now(db, path, since, tags=tags, watch=watch, recipient=to)
        if not note.anything:
            return note
        with reading(db) as conn:
            database = mailed.identity(conn)
            known = mailed.last_run(db, conn, to, note.only)
        if send_mail.server_of(os.environ) is not None and sender is None:
            sender = to  # an SMTP server puts no sender
        send_mail.send(mail_message.message(note, to, sender, database, now))
        if known is None or note.net.since <= known:  # else the news between would never be mailed
            mailed.remember(db, database, to, note.only, max(note.net.until, known or 0))
    return note
