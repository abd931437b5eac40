"""Hands a mail to a server, once, and says whether it was accepted, refused, or nobody knows."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from merger.errors import Broken, MergerError, Refused, Temporary
from merger.i18n import Message

TIMEOUT_S = 30.0
_LONGEST_ANSWER = 200


class Unknown(MergerError):
    """The server may have accepted it: to send it again might be to send it twice."""


class Away(Temporary):
    """The server cannot be reached: it would not accept another mail now either."""


@dataclass(frozen=True)
class Server:
    """A mail server. tls: whether the connection begins with it; else STARTTLS is tried."""

    host: str
    port: int
    tls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    timeout_s: float = TIMEOUT_S


def server_of(address: str, password: str) -> Server:
    """Return the server at an address like smtp://user@host:587 or smtps://host. Pure."""
    parts = urlsplit(address)
    tls = parts.scheme == "smtps"
    port = parts.port or (465 if tls else 587)
    return Server(parts.hostname or "", port, tls, unquote(parts.username or ""), password)


def send(server: Server, mail: EmailMessage) -> None:
    """Send a mail to its one recipient. Raises Temporary, Refused, Broken, or Unknown."""
    with connection(server) as smtp:
        try:
            smtp.ehlo_or_helo_if_needed()
            _require_sender(smtp.mail(_address(mail["From"])))
            _require_accepted(smtp.rcpt(_address(mail["To"])), "recipient")
        except smtplib.SMTPException as error:
            raise _error_of(error) from error
        try:
            code, answer = smtp.data(mail.as_bytes())
        except smtplib.SMTPDataError as error:  # to DATA itself: nothing was sent
            code, answer = error.smtp_code, _bytes(error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            raise Unknown(
                "mail_unknown", "notifications.mail_lost", why=type(error).__name__
            ) from error
        if not 200 <= code < 300 and not 400 <= code < 600:
            raise Unknown("mail_unknown", "notifications.mail_odd_answer", code=code)
        _require_accepted((code, answer), "mail")


@contextmanager
def connection(server: Server) -> Iterator[smtplib.SMTP]:
    """Connect and sign in. Raises Temporary, or Broken for what the operator has to put right."""
    try:
        smtp = _open(server)
    except (OSError, UnicodeError, smtplib.SMTPException) as error:
        raise _error_of(error) from error
    try:
        try:
            if server.user:
                smtp.login(server.user, server.password)
        except smtplib.SMTPAuthenticationError as error:
            raise Broken("mail", "notifications.mail_login") from error
        except (OSError, UnicodeError, smtplib.SMTPException) as error:
            raise _error_of(error) from error
        yield smtp
    finally:
        _quit(smtp)


def _open(server: Server) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if server.tls:
        return smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout_s, context=context)
    smtp = smtplib.SMTP(server.host, server.port, timeout=server.timeout_s)
    try:
        smtp.ehlo()
        if smtp.has_extn("starttls"):
            smtp.starttls(context=context)
            smtp.ehlo()
        elif server.user:
            raise Broken("mail", "notifications.mail_no_tls")
    except BaseException:
        smtp.close()
        raise
    return smtp


def _quit(smtp: smtplib.SMTP) -> None:
    try:
        smtp.quit()
    except (OSError, smtplib.SMTPException):
        smtp.close()


def _require_sender(answer: tuple[int, bytes]) -> None:
    try:
        _require_accepted(answer, "sender")
    except Refused as error:  # "authentication required", perhaps: not the fault of this mail
        raise Broken("mail", "notifications.mail_sender", why=error.message) from error


def _require_accepted(answer: tuple[int, bytes], what: str) -> None:
    code, text = answer
    if 200 <= code < 300:
        return
    words = " ".join(_bytes(text).decode("utf-8", "replace").split())[:_LONGEST_ANSWER]
    kind = Temporary if code < 500 else Refused
    raise kind("mail", f"notifications.mail_not_accepted.{what}", answer=f"{code} {words}")


def _error_of(error: Exception) -> MergerError:
    """Return what a failure of the connection is to us."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Broken("mail", "notifications.mail_certificate", why=str(error.reason))
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Broken("mail", "notifications.mail_unusable", why=str(error))
    if isinstance(error, UnicodeError):  # its text would repeat a password
        return Broken("mail", "notifications.mail_letters")
    return Away("mail", "notifications.mail_away", why=type(error).__name__)


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _address(header: object) -> str:
    addresses = getattr(header, "addresses", ())
    return str(addresses[0].addr_spec) if addresses else ""


def check_server(server: Server) -> Message:
    """Return that the server lets us in; nothing is sent. Raises MergerError where it does not."""
    with connection(server):
        return Message("notifications.mail_ok", host=server.host)
