"""People and keys as the API takes and tells them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from merger.web.api.schemas.base import Id, RequestModel, Scope, Text, UserRole


class UserPath(BaseModel):
    """Which user."""

    user: Id


class UsersQuery(RequestModel):
    """Which users: those with an id after `after`."""

    after: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class UserIn(RequestModel):
    """Somebody who may sign in."""

    email: Annotated[str, Field(max_length=254)]
    name: Text | None = None
    role: UserRole = "user"


class UserChange(RequestModel):
    """What to change of a user; invited: whether they may sign in whatever their domain."""

    name: Text | None = None
    role: UserRole | None = None
    invited: bool | None = None


class UserOut(BaseModel):
    """A user."""

    id: int
    email: str
    name: str | None
    role: str
    invited: bool


class UsersOut(BaseModel):
    """Users, by id."""

    users: list[UserOut]


class KeyPath(BaseModel):
    """Which key."""

    key: Id


class KeyIn(RequestModel):
    """An API key of one's own, which has at most one's own scopes."""

    name: Text
    scopes: list[Scope] = Field(["read"], min_length=1, max_length=4)


class KeyOut(BaseModel):
    """What is known of a key. hint: its first letters."""

    id: int
    user: str | None
    name: str
    hint: str
    scopes: list[str]
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


class NewKey(KeyOut):
    """A new key. key: shown this once."""

    key: str


class KeysOut(BaseModel):
    """Keys, the newest first."""

    keys: list[KeyOut]
