"""Records, and recordings that may become some, as the API takes and tells them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from merger.records.requests import MOST_USERS
from merger.timeline.layout import DEFAULT_LAYOUT, LAYOUTS
from merger.timeline.profiles import DEFAULT_PROFILE, PROFILES
from merger.web.api.schemas.base import (
    CURSOR_ABOUT,
    Cursor,
    Id,
    Instant,
    MessageData,
    RequestModel,
    Status,
    Text,
)

_LAYOUT_ABOUT = f"One of {', '.join(LAYOUTS)}."
_PROFILE_ABOUT = f"One of {', '.join(PROFILES)}."


class RecordPath(BaseModel):
    """Which record."""

    record: Id


class Ask(RequestModel):
    """A video that somebody wants: of a room from start to end, or of a Zoom recording."""

    room: Text | None = Field(None, description="The room's name.", examples=["504"])
    start: Instant | None = Field(None, description="Local time of the room, or with an offset.")
    end: Instant | None = Field(None, description="After start, at most 24 hours.")
    zoom: Annotated[str, Field(max_length=2000)] | None = Field(
        None,
        description="The UUID of a meeting, or a link to its recording; then only users beside it.",
    )
    event_name: Text | None = Field(None, description="What the video is of.")
    layout: Text = Field(DEFAULT_LAYOUT, description=_LAYOUT_ABOUT)
    profile: Text = Field(DEFAULT_PROFILE, description=_PROFILE_ABOUT)
    course_code: Text | None = Field(None, description="The course in which it is announced.")
    users: list[Annotated[str, Field(max_length=254)]] = Field(
        [], max_length=MOST_USERS, description="Mail addresses of others who want it, too."
    )


class AskHeaders(BaseModel):
    """What may be said beside a request."""

    idempotency_key: str | None = Field(
        None, alias="Idempotency-Key", min_length=1, max_length=255,
        description="The same key again gives the first answer again.",
    )  # fmt: skip


class Again(RequestModel):
    """Another version of a record: what is left out stays as it is."""

    layout: Text | None = Field(None, description=_LAYOUT_ABOUT)
    profile: Text | None = Field(None, description=_PROFILE_ABOUT)
    start: Instant | None = None
    end: Instant | None = None


class RecordQuery(RequestModel):
    """Which records."""

    room: Text | None = Field(None, description="The room's name.")
    user: Annotated[str, Field(max_length=254)] | None = Field(None, description="Who wants them.")
    status: list[Status] = Field([])
    course: Text | None = None
    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = Field(
        None, description="On which they begin, by the clock of the room, like 2026-11-20."
    )
    text: Text | None = Field(None, description="A part of the name.")
    changed_since: Annotated[str, Field(max_length=40)] | None = Field(
        None,
        description="With an offset, or UTC. That its room got another name is no change of it.",
    )
    cursor: Cursor | None = Field(None, description=CURSOR_ABOUT)
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Failure(MessageData):
    """Why something did not work. code: a stable word; message: what to do."""

    code: str
    message: str | None


class RecordOut(BaseModel):
    """A record, as in a list."""

    id: int
    room: str | None
    room_id: int | None
    name: str
    start: str
    end: str
    zone: str
    layout: str
    profile: str
    status: Status
    stage: str
    progress: float
    run_after: str | None
    attempt: int
    version: int
    delivered_version: int | None
    error: Failure | None
    users: list[str]
    course_code: str | None
    created_at: str
    updated_at: str
    delivered_at: str | None


class RecordPage(BaseModel):
    """A page of records. next: the cursor of the next one."""

    records: list[RecordOut]
    next: str | None


class Gap(BaseModel):
    """Where a source has no media."""

    model_config = ConfigDict(extra="allow")
    source: str
    start: str
    end: str


class Scene(BaseModel):
    """What is seen for a while."""

    model_config = ConfigDict(extra="allow")
    start: str
    end: str


class ChunkPicture(BaseModel):
    """A picture that was looked at."""

    at: str
    verdict: str


class ChunkOut(BaseModel):
    """What the screen showed in a chunk, and why it was decided so."""

    start: str
    end: str
    presence: bool
    verdict: str
    score: float
    samples: int
    reasons: list[str]
    pictures: list[ChunkPicture] = []


class RenditionOut(BaseModel):
    """A finished file; GET /records/{id}/renditions/{kind} gives it."""

    kind: str
    version: int
    bytes: int
    sha256: str
    width: int
    height: int
    frames: int


class DeliveryOut(BaseModel):
    """A rendition at a destination, or on its way there."""

    destination: str
    kind: str
    status: str
    version: int | None
    link: str | None
    sha256: str | None


class EventOut(MessageData):
    """Something that happened to a record."""

    at: str
    attempt: int
    kind: str
    text: str


class MessageOut(BaseModel):
    """Somebody who was told, or is to be; recipient: empty for the webhook."""

    kind: Literal["ready", "failed", "silent"]
    channel: Literal["mail", "webhook"]
    recipient: str
    status: Literal["pending", "sending", "sent", "unknown", "failed"]
    at: str
    error: str | None
    error_message: MessageData | None


class RecordDetails(RecordOut):
    """All that is known of a record."""

    warnings: list[str]
    warning_messages: list[MessageData] = Field(description="The same as data, in the same order.")
    sources: list[str] = Field(description="Whose pictures it is made of.")
    papers: list[str]  # what was said or written, in the folder of the record
    gaps: list[Gap]
    scenes: list[Scene]
    chunks: list[ChunkOut]
    renditions: list[RenditionOut]
    deliveries: list[DeliveryOut]
    messages: list[MessageOut]
    events: list[EventOut]


class OfferOut(BaseModel):
    """A recording that was made without anybody asking."""

    id: int
    kind: str
    origin: str
    address: str
    name: str
    owner: str | None
    start: str | None
    end: str | None
    state: Literal["record", "waiting", "unplaced", "ignored"]
    reason: str | None
    reason_message: MessageData | None
    record: int | None
    offered_at: str


class OffersOut(BaseModel):
    """The newest first."""

    offers: list[OfferOut]
