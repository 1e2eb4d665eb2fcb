"""An SMTP server with TLS on this machine, which keeps its mails and can refuse them."""

from __future__ import annotations

import base64
import socketserver
import ssl
from collections import deque
from email import message_from_bytes
from email.message import Message as Mail
from typing import ClassVar

from optout.testing.serving import Quiet, Served


class MailServer(Served):
    """SMTP with STARTTLS (or TLS from the start); keeps the mails; refuses on request."""

    def __init__(
        self, context: ssl.SSLContext | None = None, *, implicit: bool = False, password: str = ""
    ) -> None:
        self.mails: list[Mail] = []
        self.refusals: deque[tuple[str, str]] = deque()
        """Verb and answer: the next such command is answered so."""
        self.lost_answers = 0
        """So many mails are kept, but their acceptance is not told."""
        self.context = context
        self.implicit = implicit
        self.password = password
        handler = type("Smtp", (_Smtp,), {"mail_server": self})
        super().__init__(_MailSocket(("127.0.0.1", 0), handler))


class _MailSocket(Quiet, socketserver.ThreadingTCPServer):
    allow_reuse_address = True


class _Smtp(socketserver.StreamRequestHandler):
    mail_server: ClassVar[MailServer]
    timeout = 5

    def handle(self) -> None:
        """One session."""
        try:
            self._session(self.mail_server)
        finally:
            self.connection.close()

    def _session(self, server: MailServer) -> None:
        self._is_secure = server.implicit
        self._is_known = not server.password
        if server.implicit and server.context:
            self._secure()
        self._say("220 mail.test ready")
        while line := self.rfile.readline(2000):
            verb, _, rest = line.decode("ascii", "replace").strip().partition(" ")
            if not self._command(verb.upper(), rest):
                return

    def _command(self, verb: str, rest: str) -> bool:
        server = self.mail_server
        if server.refusals and server.refusals[0][0] == verb:
            self._say(server.refusals.popleft()[1])
            return True
        if verb in ("EHLO", "HELO"):
            self._greet()
        elif verb == "STARTTLS":
            self._say("220 go ahead")
            self._secure()
        elif verb == "AUTH":
            self._is_known = rest.endswith(_plain(server.password))
            self._say("235 welcome" if self._is_known else "535 no")
        elif verb == "MAIL" and not self._is_known:
            self._say("530 log in first")
        elif verb == "DATA":
            return self._data()
        elif verb == "QUIT":
            self._say("221 bye")
            return False
        else:
            self._say("250 fine")
        return True

    def _greet(self) -> None:
        server = self.mail_server
        offers = ["mail.test"]
        if server.context and not self._is_secure:
            offers.append("STARTTLS")
        if server.password:
            offers.append("AUTH PLAIN")
        for offer in offers[:-1]:
            self._say(f"250-{offer}")
        self._say(f"250 {offers[-1]}")

    def _data(self) -> bool:
        server = self.mail_server
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False  # cut off: a mail without its end is none
            lines.append(line.removeprefix(b"."))
        if server.refusals and server.refusals[0][0] == ".":
            self._say(server.refusals.popleft()[1])
            return True
        server.mails.append(message_from_bytes(b"".join(lines)))
        if server.lost_answers:
            server.lost_answers -= 1
            return False
        self._say("250 kept")
        return True

    def _secure(self) -> None:
        context = self.mail_server.context
        if context is None:
            return
        self.request = self.connection = context.wrap_socket(self.request, server_side=True)
        self.rfile = self.connection.makefile("rb", 0)
        self.wfile = self.connection.makefile("wb", 0)
        self._is_secure = True

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


def _plain(password: str) -> str:
    return base64.b64encode(f"\0optout\0{password}".encode()).decode()
