"""Hands a mail to a server, once: and says whether it took it, did not, or nobody knows."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from merger.errors import Broken, MergerError, Refused, Temporary

TIMEOUT_S = 30.0


class Unknown(MergerError):
    """The server may have taken it: to send it again might be to send it twice."""


class Away(Temporary):
    """The server cannot be reached: it would take no other mail now either."""


@dataclass(frozen=True)
class Server:
    """A mail server. tls: whether the connection begins with it; else it is asked for."""

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
            _accept_sender(smtp.mail(_address(mail["From"])))
            _accepted(smtp.rcpt(_address(mail["To"])), "the recipient")
        except smtplib.SMTPException as error:
            raise _away(error) from error
        try:
            code, said = smtp.data(mail.as_bytes())
        except smtplib.SMTPDataError as error:  # to DATA itself: nothing was sent
            code, said = error.smtp_code, _bytes(error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            message = f"the connection was lost while it was sent ({type(error).__name__})"
            raise Unknown("mail_unknown", message) from error
        if not 200 <= code < 300 and not 400 <= code < 600:
            raise Unknown("mail_unknown", f"the mail server's answer makes no sense ({code})")
        _accepted((code, said), "the mail")


@contextmanager
def connection(server: Server) -> Iterator[smtplib.SMTP]:
    """Connect and sign in. Raises Temporary, or Broken for what the operator has to put right."""
    try:
        smtp = _opened(server)
    except (OSError, UnicodeError, smtplib.SMTPException) as error:
        raise _away(error) from error
    try:
        try:
            if server.user:
                smtp.login(server.user, server.password)
        except smtplib.SMTPAuthenticationError as error:
            message = "the mail server does not let us in; look at MERGER_MAIL_SERVER and _PASSWORD"
            raise Broken("mail", message) from error
        except (OSError, UnicodeError, smtplib.SMTPException) as error:
            raise _away(error) from error
        yield smtp
    finally:
        _leave(smtp)


def _opened(server: Server) -> smtplib.SMTP:
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
            raise smtplib.SMTPNotSupportedError("it offers no TLS, and a password goes with it")
    except BaseException:
        smtp.close()
        raise
    return smtp


def _leave(smtp: smtplib.SMTP) -> None:
    try:
        smtp.quit()
    except (OSError, smtplib.SMTPException):
        smtp.close()


def _accept_sender(answer: tuple[int, bytes]) -> None:
    try:
        _accepted(answer, "the sender")
    except Refused as error:  # "authentication required", perhaps: no mail's fault
        message = f"{error.message}; look at MERGER_MAIL_FROM and the user in MERGER_MAIL_SERVER"
        raise Broken("mail", message) from error


def _accepted(answer: tuple[int, bytes], what: str) -> None:
    code, said = answer
    if 200 <= code < 300:
        return
    words = " ".join(_bytes(said).decode("utf-8", "replace").split())[:200]
    message = f"the mail server does not take {what} ({code} {words})"
    if code < 500:
        raise Temporary("mail", message)
    raise Refused("mail", message)


def _away(error: Exception) -> MergerError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Broken("mail", f"the mail server's certificate is not good ({error.reason})")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Broken("mail", f"the mail server cannot be used: {error}")
    if isinstance(error, UnicodeError):  # its text would repeat a password
        message = "MERGER_MAIL_SERVER or _PASSWORD has letters that mail servers do not take"
        return Broken("mail", message)
    return Away("mail", f"the mail server cannot be reached ({type(error).__name__})")


def _bytes(said: bytes | str) -> bytes:
    return said.encode() if isinstance(said, str) else said


def _address(header: object) -> str:
    addresses = getattr(header, "addresses", ())
    return str(addresses[0].addr_spec) if addresses else ""


def check_server(server: Server) -> tuple[bool, str]:
    """Return whether the server lets us in, or what to do, in a sentence; nothing is sent."""
    try:
        with connection(server):
            return True, f"the mail server {server.host} lets us in"
    except MergerError as error:
        return False, str(error)
