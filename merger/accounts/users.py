"""People and their keys: who may sign in, as what, and which programs act for them."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, undefer
from werkzeug.security import check_password_hash, generate_password_hash

from merger.accounts.permissions import Principal, granted_scopes, validate_scopes
from merger.db.engine import reading, writing
from merger.errors import Refused
from models import USER_ROLES, ApiKey, User

FIRST_ACCOUNT = "admin@localhost"
SHORTEST_PASSWORD = 10
_LONGEST_NAME = 255  # characters, as the tables have it
_EMAIL = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+")
_KEY_STARTS = "lm_"
_USED_FROM = timedelta(minutes=1)  # not written at every request
# Compared with where there is nobody of that name, so that it takes as long.
_NOBODY = generate_password_hash(secrets.token_hex())


def email_of(text: str, field: str = "email") -> str:
    """Return a mail address in the form that is stored. Raises Refused."""
    address = text.strip().lower()
    if not _EMAIL.fullmatch(address) or len(address) > 254:
        raise Refused(field, f"{text!r} is no mail address")
    return address


def user_row(session: Session, email: str) -> User:
    """Return the row of a user, made where there is none."""
    user = session.scalars(select(User).where(User.email == email)).one_or_none()
    if user is None:
        user = User(email=email)
        session.add(user)
    return user


# --- signing in -----------------------------------------------------------------------------------


def _asker(user: User, scopes: Iterable[str] | None = None) -> Principal:
    return Principal(
        user.id, user.email, user.role, granted_scopes(user.role, scopes), user.session_number
    )


def create_first_account(engine: Engine) -> tuple[str, str] | None:
    """Make an administrator where nobody could sign in; return address and password, once."""

    def make(session: Session) -> tuple[str, str] | None:
        if session.scalar(select(User.id).where(User.password_hash.is_not(None)).limit(1)):
            return None
        password = secrets.token_urlsafe(12)
        user = user_row(session, FIRST_ACCOUNT)
        user.role, user.invited = "admin", True
        user.password_hash = generate_password_hash(password)
        return user.email, password

    return writing(engine, make)


def authenticate(
    engine: Engine, email: str, password: str, domains: Collection[str] = ()
) -> Principal | None:
    """Return who has an address and a password, or None; also for one who may not sign in.

    domains: of addresses that may without having been invited.
    """
    with reading(engine) as session:
        wanted = select(User).where(User.email == email.strip().lower())
        user = session.scalars(wanted.options(undefer(User.password_hash))).one_or_none()
        known = user.password_hash if user is not None else None
        fits = check_password_hash(known or _NOBODY, password)
        if user is None or not known or not fits:
            return None
        return _asker(user) if _may_sign_in(user, domains) else None


def _may_sign_in(user: User, domains: Collection[str]) -> bool:
    return user.invited or _is_of(user.email, domains)


def _is_of(address: str, domains: Collection[str]) -> bool:
    return address.rpartition("@")[2] in {domain.lower() for domain in domains}


def user_of_session(
    engine: Engine, user: int, number: int, domains: Collection[str] = ()
) -> Principal | None:
    """Return who a session is of, or None where it was ended, or its user may not sign in now.

    domains: of addresses that may without having been invited.
    """
    with reading(engine) as session:
        row = session.get(User, user)
        if row is None or row.session_number != number or not _may_sign_in(row, domains):
            return None
        return _asker(row)


def admit(engine: Engine, email: str, name: str | None, domains: Collection[str]) -> Principal:
    """Return who signs in with an address that somebody else has verified.

    domains: of addresses that may; the empty collection: only who was invited. Raises Refused.
    """
    address = email_of(email)

    def admit(session: Session) -> Principal:
        row = session.scalars(select(User).where(User.email == address)).one_or_none()
        if not _is_of(address, domains) and (row is None or not row.invited):
            raise Refused("sign_in", f"{address} may not sign in here; ask an administrator")
        row = row or user_row(session, address)
        row.name = (name or "")[:_LONGEST_NAME] or row.name
        session.flush()
        return _asker(row)

    return writing(engine, admit)


def set_password(engine: Engine, user: int, password: str) -> None:
    """Give a user another password, and end their sessions. Raises Refused."""
    if len(password) < SHORTEST_PASSWORD:
        raise Refused("password", f"a password has at least {SHORTEST_PASSWORD} characters")

    def change(session: Session) -> None:
        row = _user(session, user)
        row.password_hash = generate_password_hash(password)
        row.session_number += 1

    writing(engine, change)


def end_sessions(engine: Engine, user: int) -> None:
    """Sign a user out everywhere."""

    def end(session: Session) -> None:
        _user(session, user).session_number += 1

    writing(engine, end)


# --- keys -----------------------------------------------------------------------------------------


def user_of_key(
    engine: Engine, key: str, now: datetime, domains: Collection[str] = ()
) -> Principal | None:
    """Return for whom a key acts; None for one that is none, or revoked, or of who is locked out.

    domains: of addresses that may without having been invited.
    """
    wanted = select(ApiKey).where(ApiKey.digest == _digest(key), ApiKey.revoked_at.is_(None))
    with reading(engine) as session:
        row = session.scalars(wanted).one_or_none()
        if row is None or not _may_sign_in(row.user, domains):
            return None
        asker = _asker(row.user, row.scopes)
        known, used = row.id, row.last_used_at
    if used is None or now - used >= _USED_FROM:

        def use(session: Session) -> None:
            if (key_row := session.get(ApiKey, known)) is not None:
                key_row.last_used_at = now

        writing(engine, use)
    return asker


def _digest(key: str) -> str:
    # A key has 256 bits of chance: nothing slower is needed to keep it from being guessed.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def create_key(
    engine: Engine, user: int, name: str, scopes: Iterable[str], now: datetime
) -> tuple[dict[str, Any], str]:
    """Make a key for a user; return what is known of it, and the key, which is not kept."""
    key = _KEY_STARTS + secrets.token_urlsafe(32)
    words = " ".join(name.split())
    if not 0 < len(words) <= 255:
        raise Refused("name", "a key needs a name of 1 to 255 characters")

    def make(session: Session) -> dict[str, Any]:
        owner = _user(session, user)
        row = ApiKey(
            user_id=user, name=words, hint=key[: len(_KEY_STARTS) + 4], digest=_digest(key),
            scopes=validate_scopes(scopes, owner.role), created_at=now,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return _key_told(row)

    return writing(engine, make), key


def list_keys(engine: Engine, only_of: int | None = None) -> list[dict[str, Any]]:
    """Return keys as plain values, the newest first. only_of: a user, None for everybody's."""
    wanted = select(ApiKey).order_by(ApiKey.id.desc())
    if only_of is not None:
        wanted = wanted.where(ApiKey.user_id == only_of)
    with reading(engine) as session:
        return [_key_told(row) for row in session.scalars(wanted)]


def _key_told(row: ApiKey) -> dict[str, Any]:
    return {
        "id": row.id,
        "user": row.user.email if row.user else None,
        "name": row.name,
        "hint": row.hint,
        "scopes": list(row.scopes),
        "created_at": row.created_at.isoformat(),
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
    }


def revoke_key(engine: Engine, key: int, now: datetime, only_of: int | None = None) -> None:
    """End a key for good; again is as good. Raises Refused for one that is not there."""

    def end(session: Session) -> None:
        row = session.get(ApiKey, key)
        if row is None or (only_of is not None and row.user_id != only_of):
            raise Refused("key", f"there is no key {key}")
        row.revoked_at = row.revoked_at or now

    writing(engine, end)


# --- users ----------------------------------------------------------------------------------------


def _user(session: Session, user: int) -> User:
    row = session.get(User, user, with_for_update=True)
    if row is None:
        raise Refused("user", f"there is no user {user}")
    return row


def _user_told(row: User) -> dict[str, Any]:
    return {
        "id": row.id, "email": row.email, "name": row.name, "role": row.role,
        "invited": row.invited,
    }  # fmt: skip


def list_users(engine: Engine, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    """Return users as plain values, by id. after: the id before the first."""
    with reading(engine) as session:
        wanted = select(User).where(User.id > after).order_by(User.id).limit(limit)
        return [_user_told(row) for row in session.scalars(wanted)]


def get_user(engine: Engine, wanted: int) -> dict[str, Any]:
    """Return a user as plain values. Raises Refused."""
    with reading(engine) as session:
        row = session.get(User, wanted)
        if row is None:
            raise Refused("user", f"there is no user {wanted}")
        return _user_told(row)


def get_user_by_address(engine: Engine, email: str) -> dict[str, Any] | None:
    """Return the user who has a mail address, or None. Raises Refused for what is none."""
    with reading(engine) as session:
        row = session.scalars(select(User).where(User.email == email_of(email))).one_or_none()
        return _user_told(row) if row is not None else None


def invite_user(
    engine: Engine, email: str, name: str | None, role: str, domains: Collection[str] = ()
) -> tuple[dict[str, Any], bool]:
    """Let somebody sign in; return what is known of them, and whether they are new.

    domains: as for signing in, here and below. Raises Refused.
    """
    address = email_of(email)
    if role not in USER_ROLES:
        raise Refused("role", f"{role!r} is none of {', '.join(USER_ROLES)}")
    if len(name or "") > _LONGEST_NAME:
        raise Refused("name", f"it is longer than {_LONGEST_NAME} characters")

    def add(session: Session) -> tuple[dict[str, Any], bool]:
        known = session.scalars(select(User).where(User.email == address)).one_or_none()
        if known is not None and _may_sign_in(known, domains):
            return _user_told(known), False
        row = known or user_row(session, address)
        row.name, row.role, row.invited = name or row.name, role, True
        session.flush()
        return _user_told(row), True

    return writing(engine, add)


def change_user(
    engine: Engine, wanted: int, changes: dict[str, Any], domains: Collection[str] = ()
) -> dict[str, Any]:
    """Change name, role or invited of a user; the last administrator stays in. Raises Refused."""
    if "role" in changes and changes["role"] not in USER_ROLES:
        raise Refused("role", f"{changes['role']!r} is none of {', '.join(USER_ROLES)}")

    def change(session: Session) -> dict[str, Any]:
        row = _user(session, wanted)
        if row.role == "admin" and changes.get("role", "admin") != "admin":
            _keep_an_administrator(session, row, "role", domains)
        ends = row.invited and changes.get("invited") is False
        if ends and row.role == "admin" and not _is_of(row.email, domains):
            # Who could invite them again?
            _keep_an_administrator(session, row, "invited", domains)
        for name, value in changes.items():
            setattr(row, name, value)
        if ends:
            row.session_number += 1
        return _user_told(row)

    return writing(engine, change)


def delete_user(engine: Engine, wanted: int, domains: Collection[str] = ()) -> None:
    """Remove a user with their keys; their records stay. Raises Refused."""

    def delete(session: Session) -> None:
        row = _user(session, wanted)
        if row.role == "admin":
            _keep_an_administrator(session, row, "conflict", domains)
        session.delete(row)

    writing(engine, delete)


def _keep_an_administrator(
    session: Session, but_for: User, field: str, domains: Collection[str]
) -> None:
    others = session.scalars(select(User).where(User.role == "admin", User.id != but_for.id))
    if not any(_may_sign_in(other, domains) for other in others):
        raise Refused(field, f"{but_for.email} is the last administrator; name another one first")


def set_language(engine: Engine, user: int, language: str) -> None:
    """Remember in which language somebody reads."""

    def write(session: Session) -> None:
        row = session.get(User, user)
        if row is not None and row.language != language:
            row.language = language

    writing(engine, write)
