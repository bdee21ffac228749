"""The errors that this package raises on purpose. Each class tells the caller how to react.

* EvidenceError
  * ConfigError: the user must edit a file or an argument (exit 2)
  * BusyError: another process holds the lock; try again later (exit 75)
  * StoreError: the database is damaged, of a newer version or another program, or cannot be written (exit 1)
    * LockedError: another program has held the database for longer than the timeout
  * SourceError: this source stops, the others continue, the run ends `partial` (exit 1)
    * RejectedError: the server refused the request; the same request will be refused again
      * UnreadError: the record that a source depends on cannot be read
    * UnavailableError: the server could not be reached or kept failing; a later run may succeed
  * MailError: a mail was not sent; the next one has its news (exit 69)
  * RecordError: one record cannot be read; it is stored in `rejects` and the run continues

Errors of other packages are converted to these where they occur. This module imports nothing from the package.
"""


class EvidenceError(Exception):
    """Any error that this package raises on purpose. Its text states what happened, where, and what to do."""

    exit_code = 1


class ConfigError(EvidenceError):
    """A mistake in a file or an argument that the user wrote. The text names the file, the line and a remedy."""

    exit_code = 2


class BusyError(EvidenceError):
    """Another process holds the lock. The exit code is EX_TEMPFAIL of sysexits.h."""

    exit_code = 75


class StoreError(EvidenceError):
    """The database cannot be used: it is damaged, of a newer version or another program, read-only, or the disk is full."""


class LockedError(StoreError):
    """Another program has held the database for longer than the timeout; it can be written later."""


class MailError(EvidenceError):
    """A mail could not be sent: what it would have said is in the next one. The exit code is EX_UNAVAILABLE of sysexits.h."""

    exit_code = 69


class SourceError(EvidenceError):
    """A source cannot be harvested completely in this run; the other sources continue."""


class RejectedError(SourceError):
    """The server refused the request (400, 403, …); the same request will be refused again."""


class UnreadError(RejectedError):
    """The record that a whole source depends on cannot be read. `message` is that record; `place` says where it was read,
    if that is known."""

    def __init__(self, text: str, message: object, place: str | None) -> None:
        super().__init__(text)
        self.message = message
        self.place = place


class NoReferenceListError(SourceError):
    """The reference list of a work that is to be checked cannot be had, so none of its references could be asked about."""

    exit_code = 3


class UnavailableError(SourceError):
    """The server could not be reached, or kept failing after all retries."""


class RecordError(EvidenceError):
    """One record cannot be read; the text is stored in `rejects` as `reason`, with the record."""
