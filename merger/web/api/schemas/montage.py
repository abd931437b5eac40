"""Records in the form of NVR's manage API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from merger.web.api.schemas import examples
from merger.web.api.schemas.base import CURSOR_ABOUT, Cursor, MessageData, RequestModel, Text


class MontagePath(BaseModel):
    """The name of a room."""

    room: Text


class MontageIn(RequestModel):
    """A recording, requested by date and local times."""

    model_config = examples.shown_by(examples.MONTAGE_REQUEST)

    event_name: Text | None = None
    date: Annotated[str, Field(max_length=10)] = Field(examples=["2026-11-20"])
    start_time: Annotated[str, Field(max_length=8)] = Field(examples=["10:05"])
    end_time: Annotated[str, Field(max_length=8)] = Field(examples=["11:20"])
    user_email: Annotated[str, Field(max_length=254)] | None = None


class MontageOut(MessageData):
    """The record that was requested."""

    model_config = examples.shown_by(examples.MONTAGE)

    message: str
    id: int


class MontagePending(MessageData):
    """What was requested, and waits for the leave of somebody; there is no record yet."""

    message: str
    access: Literal["pending"]
    access_request: int = Field(description="Its id in /api/v1/access.")


class RecordsQuery(RequestModel):
    """Which page of records."""

    cursor: Cursor | None = Field(None, description=CURSOR_ABOUT)


class EmailPath(BaseModel):
    """The email address of a user."""

    email: Annotated[str, Field(max_length=254)]
