"""People and their keys: who may sign in, as what, and which programs act for them."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete, or_, select, update
from sqlalchemy.orm import Session, joinedload, selectinload, undefer
from werkzeug.security import check_password_hash, generate_password_hash

from merger.accounts.external import confirm, is_in_domain
from merger.accounts.permissions import Principal, granted_scopes, validate_scopes
from merger.accounts.tokens import digest_of, new_token
from merger.db.engine import reading, writing
from merger.errors import Conflict, Forbidden, Invalid, NotFound
from merger.mail_address import email_of, normal_form
from merger.names import LONGEST_NAME, clean_name
from models import USER_ROLES, ApiKey, OidcAccount, PasswordLink, User

FIRST_ACCOUNT = "admin@localhost"
SHORTEST_PASSWORD = 10
_KEY_STARTS = "lm_"
# So that not every request writes.
_LAST_USED_EVERY = timedelta(minutes=1)
_LAST_SEEN_EVERY = timedelta(hours=1)
# Compared with where there is no such user, so that it takes as long.
_NO_PASSWORD = generate_password_hash(secrets.token_hex())


def user_row(session: Session, email: str) -> User:
    """Return the row of a user; add one if there is none."""
    user = session.scalars(select(User).where(User.email == email)).one_or_none()
    if user is None:
        user = User(email=email)
        session.add(user)
    return user


# --- signing in -----------------------------------------------------------------------------------


def principal_of(user: User, key: ApiKey | None = None) -> Principal:
    """Return what somebody may, or a program with their key."""
    return Principal(
        user.id, user.email, user.role, granted_scopes(user.role, key.scopes if key else None),
        user.session_number, key.id if key else None,
        user.language if user.language_chosen else None, user.zone,
    )  # fmt: skip


def new_password() -> str:
    """Return a password that nobody can guess."""
    return secrets.token_urlsafe(12)


def can_anybody_sign_in(engine: Engine) -> bool:
    """Return whether anybody has a password."""
    with reading(engine) as session:
        return _has_anybody_a_password(session)


def _has_anybody_a_password(session: Session) -> bool:
    wanted = select(User.id).where(User.password_hash.is_not(None)).limit(1)
    return session.scalar(wanted) is not None


def create_first_account(engine: Engine, password: str | None = None) -> tuple[str, str] | None:
    """Make an administrator if nobody can sign in with a password.

    Args:
        password: None for a new one.

    Returns:
        The address and the password, which is not stored; None if somebody can sign in already.

    Raises:
        Invalid: the password is too short.
    """
    password = new_password() if password is None else password
    check_password(password)

    def make(session: Session) -> tuple[str, str] | None:
        if _has_anybody_a_password(session):
            return None
        user = user_row(session, FIRST_ACCOUNT)
        user.role, user.invited = "admin", True
        user.password_hash = generate_password_hash(password)
        return user.email, password

    return writing(engine, make)


def authenticate(
    engine: Engine, email: str, password: str, domains: Collection[str] = ()
) -> Principal | None:
    """Return who signs in with an address and a password; None if they may not.

    Args:
        domains: of addresses whose owners may sign in without an invitation; so it is below.
    """
    with reading(engine) as session:
        query = select(User).where(User.email == normal_form(email))
        user = session.scalars(query.options(undefer(User.password_hash))).one_or_none()
        stored = user.password_hash if user is not None else None
        matches = check_password_hash(stored or _NO_PASSWORD, password)
        if user is None or not stored or not matches:
            return None
        return principal_of(user) if may_sign_in(user, domains) else None


def may_sign_in(user: User, domains: Collection[str]) -> bool:
    """Return whether somebody may sign in, with whatever they have for it. Pure."""
    return user.invited or is_in_domain(user.email, domains)


def user_of_session(
    engine: Engine,
    user: int,
    number: int,
    domains: Collection[str] = (),
    now: datetime | None = None,
) -> Principal | None:
    """Return whose session it is; None if it was ended, or its user may no longer sign in.

    Args:
        now: when they were seen; None for a look that is not theirs.
    """
    with reading(engine) as session:
        row = session.get(User, user)
        if row is None or row.session_number != number or not may_sign_in(row, domains):
            return None
        principal, seen_at = principal_of(row), row.last_seen_at
    if now is not None and (seen_at is None or now - seen_at >= _LAST_SEEN_EVERY):
        writing(
            engine,
            lambda session: session.execute(
                update(User).where(User.id == user).values(last_seen_at=now)
            ),
        )
    return principal


@dataclass(frozen=True)
class Account:
    """An account at an OpenID provider: what stays, whatever name and address it has."""

    issuer: str
    subject: str


def admit(
    engine: Engine,
    account: Account,
    email: str,
    name: str | None,
    domains: Collection[str],
    now: datetime,
) -> Principal:
    """Return who signs in with an account whose address the provider has verified.

    At the first sign-in an account is bound to the user of its address. From then on it is theirs,
    also under another address, and nobody else's account is.

    Args:
        domains: of addresses that may sign in; if empty, only those who were invited may.

    Raises:
        Forbidden: they may not sign in, or the user of that address has another account.
    """
    address = email_of(email, is_known=True)

    def admit(session: Session) -> Principal:
        bound = session.get(OidcAccount, (account.issuer, account.subject))
        named = session.scalars(select(User).where(User.email == address)).one_or_none()
        row = bound.user if bound is not None else named or user_row(session, address)
        if bound is not None and named is None:
            row.email = address  # the provider knows a new one
        session.flush()
        if not may_sign_in(row, domains):
            raise Forbidden("sign_in", "accounts.may_not_sign_in", email=address)
        if bound is None:
            if any(other.issuer == account.issuer for other in row.accounts):
                raise Forbidden("other_account", "accounts.other_account", email=address)
            row.accounts.append(
                OidcAccount(issuer=account.issuer, subject=account.subject, bound_at=now)
            )
        row.name = clean_name(name or "")[:LONGEST_NAME] or row.name
        confirm(session, row, now)
        session.flush()
        return principal_of(row)

    return writing(engine, admit)


def release_accounts(engine: Engine, user: int) -> dict[str, Any]:
    """Unbind a user from accounts at providers, and end their sessions; return their document.

    Whoever signs in next with their address is bound to it. Raises NotFound.
    """

    def release(session: Session) -> dict[str, Any]:
        row = lock_user(session, user)
        row.accounts = []
        row.session_number += 1
        return _user_document(row)

    return writing(engine, release)


def set_password(engine: Engine, user: int, password: str) -> None:
    """Give a user another password, and end their sessions. Raises Invalid for a short one."""
    hashed = hash_of(password)
    writing(engine, lambda session: give_password(session, lock_user(session, user), hashed))


def give_password(session: Session, row: User, hashed: str) -> None:
    """Give a user another password; their sessions, and all links to set one, end."""
    row.password_hash = hashed
    row.session_number += 1
    _void_links(session, row)


def _void_links(session: Session, row: User) -> None:
    session.execute(delete(PasswordLink).where(PasswordLink.user_id == row.id))


def hash_of(password: str) -> str:
    """Return what is kept of a password. Raises Invalid for a short one."""
    check_password(password)
    return generate_password_hash(password)


def check_password(password: str) -> None:
    """Raise Invalid for a password that is too short."""
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid("password", "accounts.password_too_short", count=SHORTEST_PASSWORD)


def end_sessions(engine: Engine, user: int) -> None:
    """Sign a user out everywhere."""

    def end(session: Session) -> None:
        lock_user(session, user).session_number += 1

    writing(engine, end)


# --- keys -----------------------------------------------------------------------------------------


def user_of_key(
    engine: Engine, key: str, now: datetime, domains: Collection[str] = ()
) -> Principal | None:
    """Return for whom a key acts; None if it is unknown or revoked, or its user may not sign in."""
    query = select(ApiKey).where(ApiKey.digest == digest_of(key), ApiKey.revoked_at.is_(None))
    with reading(engine) as session:
        row = session.scalars(query.options(joinedload(ApiKey.user))).one_or_none()
        if row is None or not may_sign_in(row.user, domains):
            return None
        principal = principal_of(row.user, row)
        key_id, used_at = row.id, row.last_used_at
    if used_at is None or now - used_at >= _LAST_USED_EVERY:

        def write_use(session: Session) -> None:
            if (key_row := session.get(ApiKey, key_id)) is not None:
                key_row.last_used_at = now

        writing(engine, write_use)
    return principal


def create_key(
    engine: Engine, user: int, name: str, scopes: Iterable[str], now: datetime
) -> tuple[dict[str, Any], str]:
    """Make a key for a user.

    Returns:
        The key's document, and the key itself, which is not stored.

    Raises:
        Invalid: of `name` or `scopes`.
    """
    key = _KEY_STARTS + new_token()
    words = clean_name(name)
    if not 0 < len(words) <= LONGEST_NAME:
        raise Invalid("name", "accounts.key_name", longest=LONGEST_NAME)

    def make(session: Session) -> dict[str, Any]:
        owner = lock_user(session, user)
        row = ApiKey(
            user_id=user, name=words, hint=key[: len(_KEY_STARTS) + 4], digest=digest_of(key),
            scopes=validate_scopes(scopes, owner.role), created_at=now,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return _key_document(row)

    return writing(engine, make), key


def list_keys(engine: Engine, only_of: int | None = None) -> list[dict[str, Any]]:
    """Return keys as plain values, the newest first; with `only_of`, those of one user."""
    query = select(ApiKey).order_by(ApiKey.id.desc())
    if only_of is not None:
        query = query.where(ApiKey.user_id == only_of)
    with reading(engine) as session:
        return [_key_document(row) for row in session.scalars(query)]


def _key_document(row: ApiKey) -> dict[str, Any]:
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
    """End a key for good; a revoked one stays revoked. Raises NotFound."""

    def end(session: Session) -> None:
        row = session.get(ApiKey, key)
        if row is None or (only_of is not None and row.user_id != only_of):
            raise NotFound("key", "accounts.no_key", key=key)
        row.revoked_at = row.revoked_at or now

    writing(engine, end)


# --- users ----------------------------------------------------------------------------------------


def lock_user(session: Session, user: int) -> User:
    """Return the row of a user, which nobody else changes meanwhile. Raises NotFound."""
    row = session.get(User, user, with_for_update=True)
    if row is None:
        raise NotFound("user", "accounts.no_user", user=user)
    return row


def _user_document(row: User) -> dict[str, Any]:
    return {
        "id": row.id, "email": row.email, "name": row.name, "role": row.role,
        "invited": row.invited, "confirmed": row.is_confirmed, "bound": bool(row.accounts),
        "has_password": row.password_hash is not None,
        "last_seen_at": row.last_seen_at.isoformat() if row.last_seen_at else None,
    }  # fmt: skip


def list_users(
    engine: Engine, after: int = 0, limit: int = 100, search: str = ""
) -> list[dict[str, Any]]:
    """Return users as plain values, by id, from the one after `after`.

    Args:
        search: a part of their address or name, in small or capital letters.
    """
    with reading(engine) as session:
        query = select(User).where(User.id > after).order_by(User.id).limit(limit)
        if search:
            parts = (User.email, User.name)
            query = query.where(or_(*(part.icontains(search, autoescape=True) for part in parts)))
        query = query.options(
            joinedload(User.confirmation), selectinload(User.accounts), undefer(User.password_hash)
        )
        return [_user_document(row) for row in session.scalars(query)]


def get_user(engine: Engine, user: int) -> dict[str, Any]:
    """Return a user as plain values. Raises NotFound."""
    with reading(engine) as session:
        row = session.get(User, user)
        if row is None:
            raise NotFound("user", "accounts.no_user", user=user)
        return _user_document(row)


def get_user_by_address(engine: Engine, email: str) -> dict[str, Any] | None:
    """Return the user who has an email address, or None. Raises Invalid if it isn't an address."""
    with reading(engine) as session:
        row = session.scalars(
            select(User).where(User.email == email_of(email, is_known=True))
        ).one_or_none()
        return _user_document(row) if row is not None else None


def invite_user(
    engine: Engine, email: str, name: str | None, role: str, domains: Collection[str] = ()
) -> tuple[dict[str, Any], bool]:
    """Let somebody sign in.

    Returns:
        The user's document, and whether they could not sign in before.

    Raises:
        Invalid: of `email`, `role` or `name`.
    """
    address = email_of(email, is_known=True)
    _check_role(role)
    words = clean_name(name or "")
    if len(words) > LONGEST_NAME:
        raise Invalid("name", "error.too_long", longest=LONGEST_NAME)

    def add(session: Session) -> tuple[dict[str, Any], bool]:
        row = session.scalars(select(User).where(User.email == address)).one_or_none()
        if row is not None and may_sign_in(row, domains):
            return _user_document(row), False
        row = row or user_row(session, email_of(address))
        row.name, row.role, row.invited = words or row.name, role, True
        session.flush()
        return _user_document(row), True

    return writing(engine, add)


def change_user(
    engine: Engine, user: int, changes: dict[str, Any], domains: Collection[str] = ()
) -> dict[str, Any]:
    """Change `name`, `role` or `invited` of a user; return their document.

    Raises:
        NotFound: there is no such user.
        Invalid: of `role` or `invited`; also if nobody would be left to administer.
    """
    if "role" in changes:
        _check_role(changes["role"])
    if changes.get("name") is not None:
        changes = {**changes, "name": clean_name(changes["name"])}

    def change(session: Session) -> dict[str, Any]:
        row = lock_user(session, user)
        ends = row.invited and changes.get("invited") is False
        is_demoted = changes.get("role", "admin") != "admin"
        is_locked_out = ends and not is_in_domain(row.email, domains)
        if row.role == "admin" and (is_demoted or is_locked_out):
            field = "role" if is_demoted else "invited"
            if not _has_other_administrator(session, row, domains):
                raise Invalid(field, "accounts.last_administrator", email=row.email)
        for name, value in changes.items():
            setattr(row, name, value)
        if ends:
            row.session_number += 1
            _void_links(session, row)
        return _user_document(row)

    return writing(engine, change)


def delete_user(engine: Engine, user: int, domains: Collection[str] = ()) -> None:
    """Remove a user with their keys; their records stay.

    Raises:
        NotFound: there is no such user.
        Conflict: they are the last administrator.
    """

    def delete(session: Session) -> None:
        row = lock_user(session, user)
        if row.role == "admin" and not _has_other_administrator(session, row, domains):
            raise Conflict("conflict", "accounts.last_administrator", email=row.email)
        session.delete(row)

    writing(engine, delete)


def _check_role(role: str) -> None:
    if role not in USER_ROLES:
        raise Invalid("role", "accounts.no_role", text=role, roles=USER_ROLES)


def _has_other_administrator(session: Session, user: User, domains: Collection[str]) -> bool:
    others = session.scalars(select(User).where(User.role == "admin", User.id != user.id))
    return any(may_sign_in(other, domains) for other in others)
