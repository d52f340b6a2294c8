"""Sends a message as mail, by the operator's SMTP server."""

from __future__ import annotations

import json
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from taglane.errors import BadSetting

from taglane_scheduler.alerting.message import Outcome, lines, subject_line

if TYPE_CHECKING:
    from taglane_scheduler.alerting.channels import Channel

SEND_S = 15.0
"""Seconds for each answer of the mail server."""

_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """The setting TAGLANE_SMTP, read: ``smtp://user:password@host:587`` or ``smtps://host``."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    user: str = ""
    password: str = field(default="", repr=False)


def read_mail_server(text: str) -> MailServer:
    """Read the setting. ``?tls=none`` sends in the clear, as to a relay on the same machine.

    Raises:
        BadSetting: it is no such address; its password is not told.
    """
    shown = text.rpartition("@")[2]
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise BadSetting("TAGLANE_SMTP", shown, "its port is no number") from error
    tls = parse_qs(parts.query).get("tls", ["tls" if parts.scheme == "smtps" else "starttls"])[0]
    if parts.scheme not in _PORTS or not parts.hostname or tls not in {"starttls", "tls", "none"}:
        raise BadSetting("TAGLANE_SMTP", shown, "write it like smtp://user:password@mail.example.com:587")
    secure: Literal["starttls", "tls", "none"] = tls  # type: ignore[assignment]
    if parts.username and secure == "none":
        raise BadSetting("TAGLANE_SMTP", shown, "a password is not sent in the clear: leave ?tls=none out")
    return MailServer(
        parts.hostname,
        port or _PORTS[parts.scheme],
        secure,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


class Mail:
    """Sends mail. Safe to share between threads.

    Args:
        server: None when the operator has said none: then nothing can be sent.
        sender: the address that mails come from.
        context: for TLS; the system's authorities unless given.
    """

    def __init__(
        self,
        server: MailServer | None,
        sender: str,
        context: ssl.SSLContext | None = None,
        timeout: float = SEND_S,
    ) -> None:
        self._server = server
        self._sender = sender
        self._context = context or ssl.create_default_context()
        self._timeout = timeout

    def send(self, channel: Channel, message_id: str, body: bytes) -> Outcome:
        """Send a message to all addresses of a channel; whatever goes wrong is the outcome."""
        if self._server is None or not self._sender:
            missing = "TAGLANE_SMTP" if self._server is None else "TAGLANE_MAIL_FROM"
            return Outcome(False, f"no mail can be sent: set {missing} for the schedulers", final=True)
        try:
            mail = self._mail(channel, message_id, body)
            with self._connected(self._server) as smtp:
                refused = smtp.send_message(mail)
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as error:
            return Outcome(False, _told(error), final=True)
        except smtplib.SMTPResponseException as error:
            return Outcome(False, _told(error), final=error.smtp_code >= 500)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            return Outcome(False, _told(error))
        if refused:
            return Outcome(True, f"taken, but not for {', '.join(refused)}")
        return Outcome(True, f"taken by {self._server.host}")

    def _mail(self, channel: Channel, message_id: str, body: bytes) -> EmailMessage:
        message = json.loads(body)
        mail = EmailMessage()  # refuses line breaks in its headers
        mail["Subject"] = subject_line(message)
        mail["From"] = self._sender
        mail["To"] = ", ".join(channel.to)
        mail["Message-ID"] = f"<{message_id}@taglane>"
        mail["Auto-Submitted"] = "auto-generated"
        if message.get("incident"):
            mail["References"] = f"<{message['incident']}@taglane>"
        mail.set_content(lines(message))
        return mail

    def _connected(self, server: MailServer) -> smtplib.SMTP:
        if server.tls == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=self._timeout, context=self._context
            )
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=self._timeout)
        try:
            if server.tls == "starttls":
                smtp.starttls(context=self._context)
            if server.user:
                smtp.login(server.user, server.password)
        except BaseException:
            smtp.close()
            raise
        return smtp


def _told(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
