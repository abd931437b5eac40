"""Who makes a request and what they may do: roles of people, scopes of their keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from merger.errors import Invalid
from merger.ports.discovery import KINDS_OF_PEOPLE

# read: records and rooms; write: request, cancel and retry records; rooms: change rooms, and see
# every record; people: users and their keys.
SCOPES = ("read", "write", "rooms", "people")
SCOPES_OF = {
    "user": frozenset({"read", "write"}),
    "editor": frozenset({"read", "write", "rooms"}),
    "admin": frozenset(SCOPES),
}


@dataclass(frozen=True)
class Principal:
    """Whoever makes a request: a person, or a program that acts for one."""

    user: int
    email: str
    role: str
    scopes: frozenset[str]
    session_number: int = 0
    key: int | None = None  # the id of the API key that they use, if any
    language: str | None = None  # that they have chosen
    zone: str | None = None  # that they have chosen

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    @property
    def sees_all(self) -> bool:
        """Whether they also see the records of others."""
        return self.role in ("editor", "admin")

    @property
    def only_of(self) -> int | None:
        """The user whose records are the only ones they see; None if they see all."""
        return None if self.sees_all else self.user

    def sees_pictures_of(self, kind: str) -> bool:
        """Whether they see the latest picture of a room's source; of a meeting, editors alone."""
        return self.sees_all or kind not in KINDS_OF_PEOPLE

    def owns(self, users: Sequence[str]) -> bool:
        """Return whether they may stop or replace a record of these users (the owner first)."""
        return self.sees_all or list(users[:1]) == [self.email]


def granted_scopes(role: str, scopes: Iterable[str] | None = None) -> frozenset[str]:
    """Return the scopes of a role, limited to those of a key if there is one."""
    all_of_role = SCOPES_OF.get(role, frozenset())
    return all_of_role if scopes is None else all_of_role & frozenset(scopes)


def validate_scopes(scopes: Iterable[str], role: str) -> list[str]:
    """Return the scopes of a new key, each once.

    Raises:
        Invalid: there are none, or one that its owner's role does not have.
    """
    distinct = list(dict.fromkeys(scopes))
    for scope in distinct:
        if scope not in SCOPES:
            raise Invalid("scopes", "accounts.no_scope", scope=scope, scopes=SCOPES)
        if scope not in SCOPES_OF[role]:
            raise Invalid("scopes", "accounts.scope_not_of_role", role=role, scope=scope)
    if not distinct:
        raise Invalid("scopes", "accounts.scope_missing", scopes=SCOPES)
    return distinct
