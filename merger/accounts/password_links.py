"""Links with which people set their password, without knowing an earlier one.

An administrator hands one over, or a mail brings it. Whoever has it may set the password once,
within three days: docs/decisions/0036-links-that-set-a-password.md.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from merger.accounts import users
from merger.accounts.permissions import Principal
from merger.accounts.tokens import digest_of, new_token
from merger.db.engine import reading, writing
from merger.errors import Conflict, NotFound
from models import PasswordLink, User

LASTS = timedelta(days=3)


def create_token(engine: Engine, user: int, now: datetime, domains: Collection[str] = ()) -> str:
    """Return what a link holds with which somebody sets their password; it is not stored.

    Args:
        domains: of addresses whose owners may sign in without an invitation; so it is below.

    Raises:
        NotFound: there is no such user.
        Conflict: they may not sign in.
    """

    def add(session: Session) -> str:
        row = users.lock_user(session, user)
        if not users.may_sign_in(row, domains):
            raise Conflict("conflict", "accounts.not_let_in", email=row.email)
        return _add(session, row, now)

    return writing(engine, add)


def create_token_for_address(
    engine: Engine, email: str, now: datetime, domains: Collection[str] = ()
) -> str | None:
    """Return what a link holds that somebody at an address has asked for; None if they get none.

    Only who signs in with a password gets one, or who was invited and has not signed in yet. With a
    mailbox alone, nobody gets around an account at the organisation, and what that asks for.
    """

    def add(session: Session) -> str | None:
        query = select(User).where(User.email == email).with_for_update()
        row = session.scalars(query).one_or_none()
        if row is None or not users.may_sign_in(row, domains):
            return None
        uses_password = row.password_hash is not None or (row.invited and not row.accounts)
        return _add(session, row, now) if uses_password else None

    return writing(engine, add)


def _add(session: Session, row: User, now: datetime) -> str:
    session.execute(delete(PasswordLink).where(PasswordLink.expires_at <= now))
    token = new_token()
    link = PasswordLink(user_id=row.id, digest=digest_of(token), expires_at=now + LASTS)
    session.add(link)
    return token


def forget_token(engine: Engine, token: str) -> None:
    """Take a link back, because the mail certainly was not sent."""
    statement = delete(PasswordLink).where(PasswordLink.digest == digest_of(token))
    writing(engine, lambda session: session.execute(statement))


def address_of_token(
    engine: Engine, token: str, now: datetime, domains: Collection[str] = ()
) -> str:
    """Return whose password a link sets. Raises NotFound for one that was used, or is too old."""
    with reading(engine) as session:
        return _user_of(session, token, now, domains).email


def set_password(
    engine: Engine, token: str, password: str, now: datetime, domains: Collection[str] = ()
) -> Principal:
    """Set the password of whom a link was made for, and end their sessions; return who they are.

    That voids all links of theirs.

    Raises:
        NotFound: the link was used, is too old, or never was.
        Invalid: the password is too short.
    """
    address_of_token(engine, token, now, domains)  # a stranger has nothing hashed or locked
    hashed = users.hash_of(password)

    def change(session: Session) -> Principal:
        row = _user_of(session, token, now, domains, lock=True)
        users.give_password(session, row, hashed)
        return users.principal_of(row)

    return writing(engine, change)


def _user_of(
    session: Session, token: str, now: datetime, domains: Collection[str], *, lock: bool = False
) -> User:
    wanted = select(PasswordLink).where(
        PasswordLink.digest == digest_of(token), PasswordLink.expires_at > now
    )
    link = session.scalars(wanted.with_for_update() if lock else wanted).one_or_none()
    if link is None or not users.may_sign_in(link.user, domains):
        raise NotFound("token", "accounts.unknown_password_link")
    return link.user
