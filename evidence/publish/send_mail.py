"""Sends a mail: through the SMTP server that the environment names, else through the system's `sendmail`.

The only place that sends mail. It decides nothing about what is in it, and no password is in any message of it.
"""

from __future__ import annotations

import os
import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage

from evidence.errors import ConfigError, MailError
from evidence.export.mail_message import checked_address

PLACES = ("/usr/sbin", "/usr/lib")
"""Where `sendmail` is when it is not on the PATH, which cron keeps short."""

TIMEOUT = 60.0
IMPLICIT_TLS = 465
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, repr=False)
class Server:
    """An SMTP server. It has no repr, since it has a password."""

    host: str
    port: int
    user: str | None
    password: str | None


def server_of(environment: Mapping[str, str]) -> Server | None:
    """The server that the environment names (EVIDENCE_SMTP_HOST, _PORT, _USER, _PASSWORD), or None; ConfigError for half a
    setting."""
    host = environment.get("EVIDENCE_SMTP_HOST")
    if not host:
        return None
    written = environment.get("EVIDENCE_SMTP_PORT") or "587"
    if not (written.isascii() and written.isdigit() and 0 < int(written) < 65536):
        raise ConfigError(f"EVIDENCE_SMTP_PORT {written!r} is no port; write a number such as 587")
    user, password = (environment.get(f"EVIDENCE_SMTP_{name}") or None for name in ("USER", "PASSWORD"))
    if (user is None) != (password is None):
        missing = "EVIDENCE_SMTP_PASSWORD" if password is None else "EVIDENCE_SMTP_USER"
        raise ConfigError(f"{missing} is not set: set user and password, or neither")
    return Server(host, int(written), user, password)


def sender_of(environment: Mapping[str, str]) -> str | None:
    """The address that mails are from (EVIDENCE_SMTP_FROM), or None; ConfigError where it is none."""
    written = environment.get("EVIDENCE_SMTP_FROM")
    return checked_address(written, "EVIDENCE_SMTP_FROM") if written else None


def send(message: EmailMessage, environment: Mapping[str, str] = os.environ) -> None:
    """Hand the message over; MailError when that fails."""
    server = server_of(environment)
    if server is not None:
        _by_smtp(message, server)
    else:
        _by_sendmail(message, environment)


def sendmail_of(environment: Mapping[str, str]) -> str | None:
    """The path of the system's sendmail, or None."""
    search = os.pathsep.join([environment.get("PATH", ""), *PLACES])
    return shutil.which("sendmail", path=search)


def _by_smtp(message: EmailMessage, server: Server) -> None:
    where = f"{server.host}:{server.port}"
    context = ssl.create_default_context()
    try:
        if server.port == IMPLICIT_TLS:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT, context=context)
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT)
        with connection:
            connection.ehlo_or_helo_if_needed()
            secure = server.port == IMPLICIT_TLS
            if not secure and connection.has_extn("starttls"):
                connection.starttls(context=context)
                connection.ehlo()
                secure = True
            if server.user is not None and server.password is not None:
                if not secure and server.host not in _LOCAL:
                    raise MailError(
                        f"{where} offers no STARTTLS, and the password is not sent without it; use a port with TLS, such as 465"
                    )
                connection.login(server.user, server.password)
            connection.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise MailError(f"the mail was not sent through {where}: {_reason(error, server.password)}") from None


def _reason(error: Exception, password: str | None) -> str:
    """What went wrong in one line, without the password, whatever a server repeats."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        said = "; ".join(f"{code} {_text(text)}" for code, text in error.recipients.values())
    elif isinstance(error, smtplib.SMTPResponseException):
        said = f"{error.smtp_code} {_text(error.smtp_error)}"
    else:
        said = str(error) or type(error).__name__
    flat = " ".join(said.split())
    return flat.replace(password, "…") if password else flat


def _text(said: object) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _by_sendmail(message: EmailMessage, environment: Mapping[str, str]) -> None:
    program = sendmail_of(environment)
    if program is None:
        raise MailError(
            "there is no sendmail on this machine; install one (msmtp-mta, postfix), or set EVIDENCE_SMTP_HOST to an SMTP server"
        )
    # -i: a line with a single dot does not end the mail; --: the address is no option
    command = [program, "-i", "--", str(message["To"])]
    try:
        done = subprocess.run(  # noqa: S603 - the program that was found, and an address that was checked
            command,
            input=message.as_bytes(policy=message.policy.clone(linesep="\n")),
            capture_output=True,
            timeout=TIMEOUT * 2,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MailError(f"the mail was not sent: {program} failed ({error})") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).decode(errors="replace").split())[:300]
        raise MailError(f"the mail was not sent: {program} ended with {done.returncode}{f': {said}' if said else ''}")
