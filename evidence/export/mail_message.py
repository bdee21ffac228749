"""The news as a mail: plain text and HTML in one message. Values in, message out; it sends nothing and reads no clock.

Every header is one line, whatever the title of the review or the name of a watch contains.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from evidence.errors import ConfigError
from evidence.export import change_note
from evidence.export.change_note import Note

_ADDRESS = re.compile(
    r"[A-Za-z0-9._%+/=!#$&'*?^`{|}~][A-Za-z0-9._%+/=!#$&'*?^`{|}~-]*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
)
"""One plain address: no name, no list, no line end, and nothing that a program would take for an option."""

_PAGE = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body>\n{body}</body></html>\n'


def checked_address(text: str, what: str) -> str:
    """An address to which, or from which, a mail can go; ConfigError for anything else. `what` names where it was written."""
    if not _ADDRESS.fullmatch(text) or len(text) > 254:
        raise ConfigError(f"{what} {text!r} is not one e-mail address; write it like reader@university.edu")
    return text


def message(note: Note, recipient: str, sender: str | None, database: str, now: datetime) -> EmailMessage:
    """The mail about a note. Its Message-ID is the same for the same news of the same database to the same address, so that a
    mail that is sent twice after a crash is shown once. Without a sender, the mail program puts its own."""
    made = EmailMessage(policy=SMTP)
    made["Subject"] = _one_line(f"{note.title}: {note.headline}").replace("−", "-")  # a sign that needs no encoding
    if sender:
        made["From"] = sender
    made["To"] = recipient
    made["Date"] = format_datetime(now)
    parts = (database, recipient.lower(), note.only or "", str(note.net.since), str(note.net.until))
    made["Message-ID"] = (
        f"<{uuid.uuid5(uuid.NAMESPACE_OID, '|'.join(parts))}@{(sender or recipient).rpartition('@')[2]}>"
    )
    made["Auto-Submitted"] = "auto-generated"
    made.set_content("".join(change_note.as_text(note)))
    body = "".join(change_note.as_html(note))
    made.add_alternative(_PAGE.format(title=change_note.escaped(note.headline), body=body), subtype="html")
    return made


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
