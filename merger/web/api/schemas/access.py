"""Requests for access in the API."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from merger.web.api.schemas import examples
from merger.web.api.schemas.base import At, Id, Layout, Profile, RequestModel


class AccessPath(BaseModel):
    """The id of a request for access."""

    access: Id


class Overlap(BaseModel):
    """A recording that a request overlaps with."""

    record: int
    name: str


class AccessOut(BaseModel):
    """A request for what is another's, or past; it needs the leave of its owner or of an editor."""

    model_config = examples.shown_by(examples.ACCESS)

    id: int
    access: Literal["pending", "granted", "refused", "withdrawn", "expired"]
    room: str
    start: At
    end: At
    zone: str
    name: str
    layout: Layout
    profile: Profile
    user: str = Field(description="Who has sent it.")
    users: list[str] = Field(description="With whom they would share it.")
    asks: list[str] = Field(
        description="Whose leave it waits for, of all of them; if nobody, of an editor."
    )
    is_yours: bool
    can_decide: bool = Field(description="Whether you can allow or refuse it.")
    has_allowed: bool = Field(description="Whether you have, and others have not yet.")
    overlaps: list[Overlap] = Field(description="For whoever decides.")
    created_at: At
    decided_at: At | None
    decided_by: str | None
    record: int | None = Field(description="What came of it, once it is granted.")


class AccessList(BaseModel):
    """What waits: your own requests, and those that you can allow."""

    access: list[AccessOut]


class AccessDecision(RequestModel):
    """Whether a request is allowed."""

    model_config = examples.shown_by(examples.ACCESS_DECISION)

    allow: bool
