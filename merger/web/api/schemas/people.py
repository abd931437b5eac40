"""People and keys in the API."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from merger.web.api.schemas.base import Id, RequestModel, Scope, Text, UserRole


class UserPath(BaseModel):
    """The id of a user."""

    user: Id


class UsersQuery(RequestModel):
    """Which users: at most `limit`, with ids after `after`."""

    after: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    search: Annotated[str, Field(max_length=254)] = Field(
        "", description="A part of their address or name."
    )


class UserIn(RequestModel):
    """Someone who may sign in."""

    email: Annotated[str, Field(max_length=254)]
    name: Text | None = None
    role: UserRole = "user"


class UserChange(RequestModel):
    """Changes to a user; `invited` means that they may sign in whatever their domain."""

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
    confirmed: bool = Field(description="Whether emails and videos may go to them.")
    bound: bool = Field(description="Whether they sign in with an account of your organisation.")
    has_password: bool
    last_seen_at: str | None = Field(
        description="When they were signed in last, to the hour; null if not since this is noted."
    )


class PasswordLink(BaseModel):
    """A link with which a user sets their password, once; it is shown only this once."""

    email: str
    link: str
    expires_at: str


class UsersOut(BaseModel):
    """Users, ordered by id."""

    users: list[UserOut]


class KeyPath(BaseModel):
    """The id of an API key."""

    key: Id


class KeyIn(RequestModel):
    """A new API key for yourself, with at most your own scopes."""

    name: Text
    scopes: list[Scope] = Field(["read"], min_length=1, max_length=4)


class KeyOut(BaseModel):
    """An API key; `hint` is its beginning."""

    id: int
    user: str | None
    name: str
    hint: str
    scopes: list[str]
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


class NewKey(KeyOut):
    """A new API key; `key` is shown only this once."""

    key: str


class KeysOut(BaseModel):
    """API keys, newest first."""

    keys: list[KeyOut]
