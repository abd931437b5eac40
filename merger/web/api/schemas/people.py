"""People and keys in the API."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from merger.web.api.schemas import examples
from merger.web.api.schemas.base import At, Id, RequestModel, Scope, Text, UserRole


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

    model_config = examples.shown_by(examples.USER_REQUEST)

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

    model_config = examples.shown_by(examples.USER)

    id: int
    email: str
    name: str | None
    role: UserRole
    invited: bool
    confirmed: bool = Field(description="Whether emails and videos may go to them.")
    bound: bool = Field(description="Whether they sign in with an account of your organisation.")
    has_password: bool
    last_seen_at: At | None = Field(
        description="When they were signed in last, to the hour; null if not since this is noted."
    )


class PasswordLink(BaseModel):
    """A link with which a user sets their password, once; it is shown only this once."""

    email: str
    link: str
    expires_at: At


class UsersOut(BaseModel):
    """Users, ordered by id."""

    users: list[UserOut]


class KeyPath(BaseModel):
    """The id of an API key."""

    key: Id


class KeyIn(RequestModel):
    """A new API key for yourself, with at most your own scopes."""

    model_config = examples.shown_by(examples.KEY_REQUEST)

    name: Text
    scopes: list[Scope] = Field(["read"], min_length=1, max_length=4)


class KeyOut(BaseModel):
    """An API key; `hint` is its beginning."""

    id: int
    user: str | None
    name: str
    hint: str
    scopes: list[Scope]
    created_at: At
    last_used_at: At | None
    revoked_at: At | None


class NewKey(KeyOut):
    """A new API key; `key` is shown only this once."""

    model_config = examples.shown_by(examples.NEW_KEY)

    key: str


class KeysOut(BaseModel):
    """API keys, newest first."""

    keys: list[KeyOut]
