"""Who may request recordings of a room, and who may watch them. Pure.

A room that says nothing has the default: everybody who may sign in requests; a recording is watched
by its own people and by editors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from merger.accounts.permissions import Principal
from merger.errors import Invalid, Refused
from merger.mail_address import email_of, normal_form

Who = Literal["everybody", "named", "editors"]
WHO: tuple[Who, ...] = ("everybody", "named", "editors")
MOST_NAMES = 200
_LONGEST_DOMAIN = 200


@dataclass(frozen=True)
class RoomPolicy:
    """Who may. names: if they are named, mail addresses, and domains that begin with @."""

    who: Who
    names: tuple[str, ...] = ()

    def admits(self, email: str) -> bool:
        """Return whether it names somebody who is no editor."""
        if self.who != "named":
            return self.who == "everybody"
        return email in self.names or f"@{email.rpartition('@')[2]}" in self.names

    def __str__(self) -> str:
        """Return it as the file of rooms has it."""
        return ", ".join(self.names) if self.who == "named" else self.who


def may_request(policy: RoomPolicy | None, who: Principal) -> bool:
    """Return whether somebody may request recordings of a room."""
    return who.sees_all or policy is None or policy.admits(who.email)


def may_watch(policy: RoomPolicy | None, email: str) -> bool:
    """Return whether somebody who is no editor may watch what others have requested in a room."""
    return policy is not None and policy.admits(email)


def create_policy(who: str, names: Sequence[str], field: str) -> RoomPolicy:
    """Return who may, as somebody has chosen it. Raises Invalid, which names the field."""
    if who not in WHO:
        raise Invalid(field, "accounts.no_such_who", text=who, choices=WHO)
    if who != "named":
        if names:
            raise Invalid(field, "accounts.names_without_named", who=who)
        return RoomPolicy(who)
    distinct = tuple(dict.fromkeys(_name_of(text, field) for text in names))
    if not distinct:
        raise Invalid(field, "accounts.nobody_named")
    if len(distinct) > MOST_NAMES:
        raise Invalid(field, "accounts.too_many_named", most=MOST_NAMES)
    return RoomPolicy(who, distinct)


def _name_of(text: str, field: str) -> str:
    """Return an address, or a domain with its @. Raises Invalid."""
    if not text.startswith("@"):
        return email_of(text, field)
    try:
        return email_of(f"x{text}", field).removeprefix("x")
    except Refused as error:
        raise Invalid(field, "accounts.not_a_domain", text=text[:_LONGEST_DOMAIN]) from error


def policy_of_text(text: str, field: str) -> RoomPolicy | None:
    """Return who may, as a file or a form has it: a word, or names with commas; nothing: None.

    Raises:
        Invalid: it is neither; the code is the field.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        return None
    if len(words) == 1 and normal_form(words[0]) in ("everybody", "editors"):
        return create_policy(normal_form(words[0]), (), field)
    return create_policy("named", words, field)


def policy_of_json(value: Mapping[str, Any] | None) -> RoomPolicy | None:
    """Return who may, as the tables have it."""
    return RoomPolicy(value["who"], tuple(value.get("names", ()))) if value else None


def policy_as_json(policy: RoomPolicy | None) -> dict[str, Any] | None:
    """Return who may for the tables, and for programs."""
    return {"who": policy.who, "names": list(policy.names)} if policy else None
