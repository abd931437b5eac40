"""Discovered recordings in the API, and the answer to where a lecture is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from merger.intake.meetings import State
from merger.intake.where import LONGEST_QUESTION
from merger.web.api.schemas.base import (
    CURSOR_ABOUT,
    At,
    Cursor,
    MessageData,
    RequestModel,
    Since,
    Status,
    Text,
)
from merger.web.api.schemas.records import Failure, Stage

OfferState = Literal["record", "waiting", "unplaced", "ignored"]


class OfferOut(BaseModel):
    """A discovered recording: one that nobody requested."""

    id: int
    kind: str
    origin: str
    address: str
    name: str
    owner: str | None
    start: At | None
    end: At | None
    state: OfferState
    reason: str | None
    reason_message: MessageData | None
    record: int | None
    offered_at: At


class OffersOut(BaseModel):
    """A page of discovered recordings, newest first."""

    offers: list[OfferOut]
    next: str | None


class OfferQuery(RequestModel):
    """Filters for discovered recordings."""

    kind: Text | None = Field(None, description="Of a source, like zoom.")
    state: OfferState | None = None
    place: Text | None = Field(None, description="Such as the number of a meeting.")
    since: Since | None = Field(
        None, description="Found then, or later. With an offset, or in UTC."
    )
    cursor: Cursor | None = Field(None, description=CURSOR_ABOUT)
    limit: Annotated[int, Field(ge=1, le=200)] = 100


class WhereQuery(RequestModel):
    """What is looked for."""

    q: Annotated[str, Field(max_length=LONGEST_QUESTION)] = Field(
        description="The number of a meeting, a course, a room, a day like 2026-11-20, or a part of"
        " a name."
    )
    cursor: Cursor | None = Field(None, description=CURSOR_ABOUT)
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class PlannedOut(BaseModel):
    """A series of the timetable: `start` is its first time, by the clock of its zone."""

    series: int
    name: str
    course: str | None
    start: str
    zone: str
    rule: str | None
    until: str | None
    state: Literal["active", "disabled", "over"]
    next: At | None


class FoundOffer(BaseModel):
    """What became of a discovered recording."""

    id: int
    name: str
    state: OfferState
    reason: str | None
    reason_message: MessageData | None


class FoundLink(BaseModel):
    """A place of a record: its page, or a file that was delivered."""

    kind: str
    link: str


class FoundRecord(BaseModel):
    """The record of a recording. reason: why it failed, if it did."""

    id: int
    name: str
    course: str | None
    status: Status
    stage: Stage
    reason: Failure | None
    links: list[FoundLink]


class FoundEvent(MessageData):
    """A line of a record's history."""

    at: At
    kind: str
    text: str


class FoundRecording(BaseModel):
    """What was recorded, or is to be. origin: null if it was requested, and not discovered."""

    origin: str | None
    start: At
    offer: FoundOffer | None
    record: FoundRecord | None
    history: list[FoundEvent]


class FoundMeeting(BaseModel):
    """A meeting, or what has a room alone."""

    number: str | None
    room: str | None
    zone: str | None = Field(description="Of the room.")
    timetable: list[PlannedOut]
    live: State
    recordings: list[FoundRecording]


class WhereOut(BaseModel):
    """All that is known, the newest recording first; `next` is the cursor of the next page."""

    meetings: list[FoundMeeting]
    next: str | None
    note: str | None = Field(description="What to look for, if nothing was found.")
    note_message: MessageData | None
