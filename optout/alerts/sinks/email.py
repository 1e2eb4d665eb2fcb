"""E-mail over SMTP with TLS, by the standard library.

The Message-ID is made from the idempotency key, so a second delivery of the same notice is one
message to a mailbox that drops duplicates; later notices of an alert refer to its first.
"""

from __future__ import annotations

import smtplib
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from optout.alerts.message import Message
from optout.alerts.render import subject, text
from optout.alerts.settings import EmailChannel
from optout.alerts.sinks.base import (
    ChannelError,
    ConfiguredSink,
    Misconfigured,
    Refused,
    Unavailable,
)

_TIMEOUT = 20.0


class EmailSink(ConfiguredSink[EmailChannel]):
    """One sender and its recipients."""

    def send(
        self, message: Message, *, thread: str | None, is_repeat: bool, now: datetime
    ) -> str | None:
        """Deliver to the server; every recipient must be taken."""
        mail = self.compose(message, thread=thread, now=now)
        try:
            with self._connect() as server:
                refused = server.send_message(mail)
        except (smtplib.SMTPException, OSError) as error:
            raise _told(error) from None
        if refused:
            raise Misconfigured(f"{len(refused)} of the recipients were not accepted")
        return str(mail["Message-ID"])

    def compose(self, message: Message, *, thread: str | None, now: datetime) -> EmailMessage:
        """The mail as it is sent."""
        settings = self._settings
        domain = parseaddr(settings.sender)[1].rpartition("@")[2] or "localhost"
        mail = EmailMessage()
        mail["From"] = settings.sender
        mail["To"] = ", ".join(settings.to)
        mail["Subject"] = subject(message)
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = f"<{message.idempotency_key}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        if thread:
            mail["In-Reply-To"] = thread
            mail["References"] = thread
        mail.set_content(text(message))
        return mail

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        password = self._secret(settings.password_env) if settings.user else ""
        context = ssl.create_default_context(cafile=settings.ca_file)
        server: smtplib.SMTP
        if settings.tls == "implicit":
            server = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=_TIMEOUT, context=context
            )
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=_TIMEOUT)
        try:
            if settings.tls == "starttls":
                server.starttls(context=context)
            if settings.user:
                server.login(settings.user, password)
        except BaseException:
            server.close()
            raise
        return server


def _told(error: smtplib.SMTPException | OSError) -> ChannelError:
    """What went wrong, without what the server said: it may quote the recipients."""
    if isinstance(error, ssl.SSLError):
        return Misconfigured("email: no trusted TLS connection")
    if isinstance(error, smtplib.SMTPAuthenticationError | smtplib.SMTPNotSupportedError):
        return Misconfigured(f"email: the server accepts no login or no TLS ({_code(error)})")
    code = _code(error)
    if isinstance(error, smtplib.SMTPRecipientsRefused | smtplib.SMTPSenderRefused) and code >= 500:
        return Misconfigured(f"email: the server does not accept sender or recipients ({code})")
    if isinstance(error, smtplib.SMTPDataError) and code >= 500:
        return Refused(f"email: the server refused the message ({code})")
    return Unavailable(f"email: {type(error).__name__} ({code})")


def _code(error: Exception) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max((code for code, _ in error.recipients.values()), default=0)
    return int(getattr(error, "smtp_code", 0) or 0)
