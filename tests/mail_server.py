"""An SMTP server on the loopback, and a sendmail that keeps what it is given: what the tests of mail send to."""

from __future__ import annotations

import base64
import email
import email.policy
import socketserver
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any


@dataclass
class Kept:
    """What a server was told: envelopes and messages, and every line that a client said."""

    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    messages: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)


class _Handler(socketserver.StreamRequestHandler):
    """One client. `server` has what is kept, and what is refused."""

    server: _Listening

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        self.sender, self.recipients = "", list[str]()
        self.say("220 loopback ESMTP")
        while line := self.rfile.readline():
            self.server.kept.lines.append(line)
            verb, _, rest = line.decode("latin-1").strip().partition(" ")
            if verb.upper() == "QUIT":
                self.say("221 bye")
                return
            answer = getattr(self, f"do_{verb.lower()}", None)
            if (said := answer(rest) if answer else "250 ok") is not None:
                self.say(said)

    def do_ehlo(self, _: str) -> str:
        self.say("250-loopback")
        if self.server.tls is not None and not isinstance(self.connection, ssl.SSLSocket):
            self.say("250-STARTTLS")
        if self.server.auth:
            self.say("250-AUTH LOGIN PLAIN")
        return "250 SIZE 10000000"

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def do_starttls(self, _: str) -> str | None:
        assert self.server.tls is not None
        self.say("220 go ahead")
        try:
            self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError):  # the client does not trust it
            raise ConnectionAbortedError from None
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)
        self.server.kept.lines.append(b"(encrypted)")
        return None

    def do_mail(self, rest: str) -> str:
        self.sender, self.recipients = rest.partition("<")[2].partition(">")[0], []
        return "250 ok"

    def do_rcpt(self, rest: str) -> str:
        if self.server.refuse == "RCPT":
            return "550 no such mailbox"
        self.recipients.append(rest.partition("<")[2].partition(">")[0])
        return "250 ok"

    def do_auth(self, rest: str) -> str:
        told = base64.b64decode(rest.partition(" ")[2] or "").decode()
        return f"535 not you: {told.replace(chr(0), ' ')}" if self.server.refuse == "AUTH" else "235 ok"

    def do_data(self, _: str) -> str:
        self.say("354 go on")
        taken = b""
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            taken += line.removeprefix(b".")
        if self.server.refuse == "DATA":
            return "451 try later"
        kept = self.server.kept
        kept.envelopes.append((self.sender, self.recipients))
        kept.raw.append(taken)
        kept.messages.append(parsed(taken))
        return "250 taken"


class _Listening(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, refuse: str | None, auth: bool, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept, self.refuse, self.auth, self.tls = Kept(), refuse, auth, tls

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes is no error of the server."""


class SmtpServer:
    """A server (RFC 5321) that takes every mail, or answers RCPT, DATA or AUTH with a refusal. It offers AUTH where `auth` says
    so, and STARTTLS with the certificate of `tls`; its refusal repeats what it was given, as careless servers do."""

    def __init__(self, *, refuse: str | None = None, auth: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self._server = _Listening(refuse, auth, tls)
        self.kept = self._server.kept
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        """The settings that lead to it."""
        host, port = self._server.server_address[:2]
        return {"EVIDENCE_SMTP_HOST": str(host), "EVIDENCE_SMTP_PORT": str(port)}

    def __enter__(self) -> SmtpServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for the loopback that nobody trusts yet, made by `openssl`, and a context of a server that has it."""
    key, made = folder / "key.pem", folder / "certificate.pem"
    line = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*line.split(), "-keyout", str(key), "-out", str(made)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    return made, context


def parsed(raw: bytes) -> EmailMessage:
    found: Any = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def body(message: EmailMessage, kind: str) -> str:
    """The text of a message of this kind (plain, html)."""
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def fake_sendmail(folder: Path, code: int = 0) -> Path:
    """A folder with a program `sendmail` that appends its arguments and its input to files beside it, and ends with `code`."""
    folder.mkdir(exist_ok=True)
    program = folder / "sendmail"
    program.write_text(
        f'#!/bin/sh\ncd "{folder}"\necho "$@" >> arguments\n'
        f'if [ {code} -ne 0 ]; then cat > /dev/null; echo "queue file write error" >&2; exit {code}; fi\n'
        'n=$(ls mail-* 2>/dev/null | wc -l)\ncat > "mail-$n"\n'
    )
    program.chmod(0o755)
    return folder


def mails_of(folder: Path) -> list[EmailMessage]:
    """What a fake sendmail was given, in order."""
    return [parsed((folder / f"mail-{n}").read_bytes()) for n in range(len(list(folder.glob("mail-*"))))]
