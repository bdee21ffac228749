"""Reads a record of an imported file as one that adds to a work: its abstract, its PubMed identifiers, its keywords are left.

Pure: the stored message in, a `Described` out. The abstract belongs to whoever the database has it from: it is for judging and
for oneself, and is never passed on."""

from __future__ import annotations

import json

from evidence.errors import RecordError
from evidence.plain_text import plain_text
from evidence.providers.answers import Described
from evidence.references.imported_record import identifiers, is_imported


def describe(text: str) -> Described:
    """What one record says; RecordError where it is no record of an imported file."""
    try:
        message = json.loads(text)
    except ValueError as error:
        raise RecordError(f"the record is not JSON ({error})") from None
    if not is_imported(message):
        raise RecordError("not a record of an imported file")
    stated = message.get("abstract")
    return Described(
        "file",
        abstract=plain_text(stated) if isinstance(stated, str) else None,
        identifiers=identifiers(message),
    )
