"""What people choose for themselves: their language, their time zone, which mails they get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from merger import i18n
from merger.accounts.users import lock_user
from merger.db.engine import reading, writing
from merger.errors import Invalid, NotFound
from merger.timeline.zones import zone_named
from models import User

# Mails that people may do without, and of some, who gets them alone.
MAILS = ("ready", "failed", "access", "silent", "alarm")
_ONLY_OF = {"silent": ("editor", "admin"), "alarm": ("admin",)}


class Profile(TypedDict):
    """What somebody has chosen. language, zone: None for those of the browser, and of each room."""

    language: str | None
    zone: str | None
    notifications: dict[str, bool]


def mails_of(role: str) -> tuple[str, ...]:
    """Return the kinds of mails that somebody with a role may get. Pure."""
    return tuple(kind for kind in MAILS if role in _ONLY_OF.get(kind, (role,)))


def get_profile(engine: Engine, user: int) -> Profile:
    """Return what somebody has chosen. Raises NotFound."""
    with reading(engine) as session:
        row = session.get(User, user)
        if row is None:
            raise NotFound("user", "accounts.no_user", user=user)
        return _profile_of(row)


def _profile_of(row: User) -> Profile:
    return {
        "language": row.language if row.language_chosen else None,
        "zone": row.zone,
        "notifications": {kind: row.wants(kind) for kind in mails_of(row.role)},
    }


def change_profile(engine: Engine, user: int, changes: Mapping[str, Any]) -> Profile:
    """Change what somebody has chosen, and return it; what is left out stays as it is.

    Args:
        changes: of `Profile`; of its notifications, too, some may be left out.

    Raises:
        NotFound: there is no such user.
        Invalid: of `language` or `zone`.
    """
    language, zone = changes.get("language"), changes.get("zone")
    if language is not None and language not in i18n.languages():
        raise Invalid("language", "accounts.no_language", text=language)
    if zone is not None:
        zone_named(zone)

    def change(session: Session) -> Profile:
        row = lock_user(session, user)
        if "language" in changes:
            # What they read last is kept: mails go on in it until they read in another one.
            row.language, row.language_chosen = language or row.language, language is not None
        if "zone" in changes:
            row.zone = zone
        if "notifications" in changes:
            row.notifications = {**(row.notifications or {}), **changes["notifications"]}
        return _profile_of(row)

    return writing(engine, change)


def remember_language(engine: Engine, user: int, language: str) -> None:
    """Remember in which language somebody reads, unless they have chosen one."""

    def write(session: Session) -> None:
        row = session.get(User, user)
        if row is not None and not row.language_chosen and row.language != language:
            row.language = language

    writing(engine, write)
