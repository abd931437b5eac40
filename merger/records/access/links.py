"""Links in mails by which somebody allows a request without signing in; only hashes are kept."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from merger.accounts.permissions import Principal, granted_scopes
from merger.db.engine import reading, writing
from merger.errors import NotFound, Refused
from models import AccessAsk, AccessRequest, User


def create_token(engine: Engine, access: int, email: str) -> str:
    """Return what the link in a mail to somebody who is asked holds; it is not stored.

    Raises:
        Refused: they are not asked any more.
    """
    token = secrets.token_urlsafe(32)

    def write(session: Session) -> None:
        row = _ask_of(session, access, email)
        request = session.get(AccessRequest, access)
        if row is None or request is None or request.state != "pending":
            raise Refused("access", "access.nothing_to_decide")
        row.digest = _digest(token)

    writing(engine, write)
    return token


def forget_token(engine: Engine, access: int, email: str) -> None:
    """Take it that somebody has no link, because the mail certainly was not sent."""

    def write(session: Session) -> None:
        row = _ask_of(session, access, email)
        if row is not None:
            row.digest = None

    writing(engine, write)


def principal_of_token(engine: Engine, access: int, token: str) -> Principal:
    """Return whom a link to a request was sent to. Raises NotFound."""
    with reading(engine) as session:
        wanted = select(AccessAsk).where(
            AccessAsk.access_id == access, AccessAsk.digest == _digest(token)
        )
        row = session.scalars(wanted).one_or_none()
        if row is None:
            raise NotFound("token", "accounts.unknown_link")
        return principal_of(row.user)


def principal_of(user: User) -> Principal:
    """Return a user as somebody who asks for something."""
    return Principal(user.id, user.email, user.role, granted_scopes(user.role))


def _ask_of(session: Session, access: int, email: str) -> AccessAsk | None:
    wanted = select(AccessAsk).join(AccessAsk.user)
    return session.scalars(
        wanted.where(AccessAsk.access_id == access, User.email == email)
    ).one_or_none()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
