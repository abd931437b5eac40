"""Who asks, and what they may: roles of people, scopes of their keys. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from merger.errors import Refused

# read: records and rooms; write: ask, cancel, try again; rooms: change them, and see every record;
# people: users and their keys.
SCOPES = ("read", "write", "rooms", "people")
SCOPES_OF = {
    "user": frozenset({"read", "write"}),
    "editor": frozenset({"read", "write", "rooms"}),
    "admin": frozenset(SCOPES),
}


@dataclass(frozen=True)
class Principal:
    """Somebody who is known: a person, or a program that acts for one."""

    user: int
    email: str
    role: str
    scopes: frozenset[str]
    session_number: int = 0

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    @property
    def sees_all(self) -> bool:
        """Whether records of others exist for them, too."""
        return self.role in ("editor", "admin")

    @property
    def only_of(self) -> int | None:
        """The user whose records alone they see; None where they see all."""
        return None if self.sees_all else self.user

    def owns(self, users: Sequence[str]) -> bool:
        """Whether they may stop or replace a record of these users, the owner first."""
        return self.sees_all or list(users[:1]) == [self.email]


def granted_scopes(role: str, wanted: Iterable[str] | None = None) -> frozenset[str]:
    """Return the scopes of a role, or those of them that a key was given."""
    all_of_role = SCOPES_OF.get(role, frozenset())
    return all_of_role if wanted is None else all_of_role & frozenset(wanted)


def validate_scopes(wanted: Iterable[str], role: str) -> list[str]:
    """Return the scopes of a new key. Raises Refused for one that its owner has not."""
    scopes = list(dict.fromkeys(wanted))
    for scope in scopes:
        if scope not in SCOPES:
            raise Refused("scopes", f"there is no scope {scope!r}; there are {', '.join(SCOPES)}")
        if scope not in SCOPES_OF[role]:
            raise Refused("scopes", f"the role {role} does not have the scope {scope}")
    if not scopes:
        raise Refused("scopes", f"a key needs at least one of {', '.join(SCOPES)}")
    return scopes
