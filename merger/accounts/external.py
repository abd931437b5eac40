"""External users of records: whom others name, though they are of no domain that may sign in.

Each of them gets one mail, with a link by which they say that they want it. Until then they are
users of their records in name only: no other mail, and no video, goes to them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session, joinedload

from merger.accounts.permissions import Principal
from merger.accounts.tokens import digest_of, new_token
from merger.config import Settings
from merger.db.engine import reading, writing
from merger.errors import Invalid, NotFound, Refused
from merger.mail_address import email_of, normal_form
from models import Confirmation, Record, RecordUser, User

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Requester:
    """Who requests a record over the web. None stands for calendars, meetings and the operator.

    Attributes:
        user: their id.
        key: the id of the API key that they use, if any.
        domains: of addresses that may sign in.
        most_external: people outside of these whom they may name within a day. None: as many as
            they like, and nobody whom they name is asked.
    """

    user: int
    key: int | None = None
    domains: tuple[str, ...] = ()
    most_external: int | None = None


def requester_of(who: Principal | None, settings: Settings) -> Requester | None:
    """Return somebody as they name users of records; an editor's word is enough. Pure."""
    if who is None:
        return None
    most = None if who.sees_all else settings.external_users
    return Requester(who.user, who.key, settings.oidc_domains, most)


def is_in_domain(address: str, domains: Collection[str]) -> bool:
    """Return whether an address is of one of some domains. Pure."""
    return normal_form(address).rpartition("@")[2] in {normal_form(domain) for domain in domains}


def name_users(
    session: Session, emails: Sequence[str], by: Requester | None, now: datetime
) -> list[User]:
    """Return the rows of people whom somebody names as users of a record; add those that are new.

    Args:
        emails: as `mail_address.email_of` returns them; known ones may have any domain.
        by: who names them; None for those whose word is enough.

    Raises:
        Invalid: more people are external, and new, than they may name within a day; or one who is
            new has an address that no mail can reach.
    """
    wanted = select(User).where(User.email.in_(emails)).options(joinedload(User.confirmation))
    there = {user.email: user for user in session.scalars(wanted)}
    for email in emails:
        if email not in there:
            email_of(email, "users")
    external = _external(emails, by)
    if by is not None and external - there.keys():
        _check_limit(session, by, len(external - there.keys()), now)
    users = []
    for email in emails:
        user = there.get(email)
        if user is None:
            user = User(email=email)
            session.add(user)
            if by is not None and email in external:
                user.confirmation = Confirmation(named_by=by.user, named_at=now)
        elif email not in external:
            confirm(session, user, now)
        users.append(user)
    return users


def known_addresses(engine: Engine, emails: Collection[str]) -> set[str]:
    """Return those of some addresses that are somebody's already."""
    with reading(engine) as session:
        return set(session.scalars(select(User.email).where(User.email.in_(emails))))


def _external(emails: Sequence[str], by: Requester | None) -> set[str]:
    """Return the addresses whose owners are asked, unless they are known already. Pure."""
    if by is None or by.most_external is None:
        return set()
    return {email for email in emails if not is_in_domain(email, by.domains)}


def _check_limit(session: Session, by: Requester, count: int, now: datetime) -> None:
    """Raise Invalid where somebody names too many external people within a day."""
    # Whoever names others at the same time, with the same account, waits here, and counts them.
    session.get(User, by.user, with_for_update=True)
    named = session.scalar(
        select(func.count()).where(
            Confirmation.named_by == by.user, Confirmation.named_at > now - _DAY
        )
    )
    most, left = by.most_external or 0, (by.most_external or 0) - (named or 0)
    if count > left:
        raise Invalid("users", "accounts.too_many_external", most=most, left=max(0, left))


# --- confirming -----------------------------------------------------------------------------------


def confirm(session: Session, user: User, now: datetime) -> bool:
    """Take it that somebody wants what they are named for; return whether that was open."""
    if user.confirmation is None or user.confirmation.confirmed_at is not None:
        return False
    user.confirmation.confirmed_at = now
    theirs = select(RecordUser.record_id).where(RecordUser.user_id == user.id)
    # Changed: whoever has such a record delivered already gives them access.
    session.execute(update(Record).where(Record.id.in_(theirs)).values(updated_at=now))
    return True


def create_token(engine: Engine, email: str) -> str:
    """Return what the link in the mail to an external user holds; it is not stored.

    Raises:
        Refused: they are not to be asked: not any more, or not at all.
    """
    token = new_token()

    def write(session: Session) -> None:
        row = _confirmation_of(session, email)
        if row is None or row.confirmed_at is not None:
            raise Refused("confirmed", "accounts.nothing_to_confirm", email=email)
        row.digest = digest_of(token)

    writing(engine, write)
    return token


def forget_token(engine: Engine, email: str) -> None:
    """Take it that an external user was not asked, because the mail certainly was not sent."""

    def write(session: Session) -> None:
        row = _confirmation_of(session, email)
        if row is not None:
            row.digest = None

    writing(engine, write)


def _confirmation_of(session: Session, email: str) -> Confirmation | None:
    wanted = select(Confirmation).join(User, User.id == Confirmation.user_id)
    return session.scalars(wanted.where(User.email == email)).one_or_none()


def user_of_token(session: Session, token: str) -> User:
    """Return the row of the user whom a link was sent to. Raises NotFound."""
    wanted = select(User).join(Confirmation, User.id == Confirmation.user_id)
    user = session.scalars(wanted.where(Confirmation.digest == digest_of(token))).one_or_none()
    if user is None:
        raise NotFound("token", "accounts.unknown_link")
    return user


def address_to_confirm(engine: Engine, token: str) -> str | None:
    """Return the address that a link is to confirm; None once it did. Raises NotFound."""
    with reading(engine) as session:
        user = user_of_token(session, token)
        is_open = user.confirmation is not None and user.confirmation.confirmed_at is None
        return user.email if is_open else None
