"""Everything raised on purpose, named by what the caller should do next.

* EvidenceError
  * ConfigError: the user edits a file or an argument (exit 2)
  * BusyError: try again later, another sync holds the lock (exit 75)
  * StoreError: the database is damaged, newer than this program, not ours, or cannot be written (exit 1)
    * LockedError: another program holds it for longer than we wait
  * SourceError: this source stops, the others go on, the run ends `partial` (exit 1)
    * RejectedError: the server understood and refused; asking again will not help
      * UnreadError: the record on which a source stands cannot be understood
    * UnavailableError: the server could not be reached or kept failing; a later run may succeed
  * RecordError: one record cannot be understood; it goes to `rejects` and the run goes on

Only `sync` and `cli` catch these. This module imports nothing of ours.
"""


class EvidenceError(Exception):
    """Anything `evidence` raises on purpose; its text says what happened, to what, and what to do."""

    exit_code = 1


class ConfigError(EvidenceError):
    """A file or an argument the user wrote needs an edit; the text names file, line and remedy."""

    exit_code = 2


class BusyError(EvidenceError):
    """Another sync holds the lock on this database (sysexits EX_TEMPFAIL)."""

    exit_code = 75


class StoreError(EvidenceError):
    """The database cannot be used as it is: damaged, newer, not ours, read-only or out of space."""


class LockedError(StoreError):
    """Another program holds the database for longer than we wait; later it can be written."""


class SourceError(EvidenceError):
    """A source cannot be harvested to its end in this run; the other sources go on."""


class RejectedError(SourceError):
    """The server refused the question (400, 403, …); the same question will be refused again."""


class UnreadError(RejectedError):
    """The record on which a whole source stands cannot be understood; `message` is that record, `place` where it stood."""

    def __init__(self, text: str, message: object, place: str | None) -> None:
        super().__init__(text)
        self.message = message
        self.place = place


class UnavailableError(SourceError):
    """The server could not be reached, or kept failing after the retries it deserved."""


class RecordError(EvidenceError):
    """One record cannot be understood; `reason` goes to `rejects` beside the record."""
