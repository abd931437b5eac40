"""Records in the API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, StrictBool, StrictInt

from merger.records.actions import MOST_OVERRULES
from merger.records.edit import LONGEST_DESCRIPTION
from merger.records.requests import MOST_USERS
from merger.timeline.layout import DEFAULT_LAYOUT
from merger.timeline.plan import Right, Verdict
from merger.timeline.profiles import DEFAULT_PROFILE
from merger.web.api.schemas import examples
from merger.web.api.schemas.access import AccessOut
from merger.web.api.schemas.base import (
    CURSOR_ABOUT,
    At,
    Cursor,
    Id,
    Instant,
    Layout,
    MessageData,
    Profile,
    RequestModel,
    Since,
    Status,
    Text,
)

Stage = Literal["collect", "analyse", "plan", "encode", "deliver"]


class RecordPath(BaseModel):
    """The id of a record."""

    record: Id


class Ask(RequestModel):
    """A request: for a room from start to end, or for a Zoom recording."""

    model_config = examples.shown_by(examples.RECORD_REQUEST)

    room: Text | None = Field(None, description="The room's name.", examples=["504"])
    start: Instant | None = Field(
        None, description="Local time in the room's time zone, or with an offset."
    )
    end: Instant | None = Field(None, description="At most 24 hours after `start`.")
    zoom: Annotated[str, Field(max_length=2000)] | None = Field(
        None,
        description="A meeting's UUID, or a link to its recording; `users`, `name`, `course_code`"
        " and `again` may accompany it.",
    )
    again: StrictBool = Field(
        False,
        description="With `zoom`: if it has a record that has ended, make a new version of it, with"
        " this name and course.",
    )
    name: Text | None = Field(None, description="The name of the lecture.", examples=["Optics"])
    event_name: Text | None = Field(
        None, description="Earlier name of `name`.", json_schema_extra={"deprecated": True}
    )
    layout: Layout = DEFAULT_LAYOUT
    profile: Profile = DEFAULT_PROFILE
    course_code: Text | None = Field(
        None, description="The course in which to announce the recording."
    )
    users: list[Annotated[str, Field(max_length=254)]] = Field(
        [], max_length=MOST_USERS, description="Email addresses of others to share it with."
    )


class AskHeaders(BaseModel):
    """Optional headers of a request."""

    idempotency_key: str | None = Field(
        None, alias="Idempotency-Key", min_length=1, max_length=255,
        description="Repeating a request with the same key returns the first response.",
    )  # fmt: skip


class OverruleIn(RequestModel):
    """What to show beside the speaker in a span, whatever was decided."""

    start: Instant
    end: Instant
    right: Right


class Again(RequestModel):
    """A new version of a record; fields that are left out stay as they are."""

    model_config = examples.shown_by(examples.NEW_VERSION)

    layout: Layout | None = None
    profile: Profile | None = None
    start: Instant | None = None
    end: Instant | None = None
    overrules: list[OverruleIn] | None = Field(
        None,
        max_length=MOST_OVERRULES,
        description="In place of all that was overruled before; an empty list takes it back.",
    )


class Edit(RequestModel):
    """What to change of a record; fields that are left out stay as they are."""

    model_config = examples.shown_by(examples.RECORD_EDIT)

    name: Text | None = Field(None, description="Its files are renamed with it.")
    description: Annotated[str, Field(max_length=LONGEST_DESCRIPTION)] | None = Field(
        None, description="Shown with the recording, wherever there is a place for it."
    )
    course_code: Text | None = Field(
        None, description="The course in which to announce the recording."
    )
    users: Annotated[list[Annotated[str, Field(max_length=254)]], Field(min_length=1)] | None = (
        Field(None, description="Email addresses of all who are to have it, with the owner's.")
    )
    room: Text | None = Field(
        None, description="Its room, and times: as long as work on it has not begun."
    )
    start: Instant | None = None
    end: Instant | None = None


class RetryFailed(RequestModel):
    """Which failed records to queue again; all, if nothing is said."""

    code: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="Why they failed: `code` of `error`."
    )
    room: Text | None = Field(None, description="The room's name.")
    since: Since | None = Field(
        None, description="They failed then, or later. With an offset, or in UTC."
    )
    limit: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(
        1000, description="Only the earliest."
    )
    dry_run: StrictBool = Field(False, description="Only say which these are.")


class NotRetried(MessageData):
    """A record that cannot be queued again."""

    id: int
    message: str


class RetriedOut(BaseModel):
    """The ids of the records that are queued again, in order."""

    records: list[int]
    refused: list[NotRetried]


class RecordQuery(RequestModel):
    """Filters for records."""

    room: Text | None = Field(None, description="The room's name.")
    user: Annotated[str, Field(max_length=254)] | None = Field(
        None,
        description="Email address of someone who requested them; without it, users also get those"
        " that they may watch.",
    )
    status: list[Status] = Field([])
    course: Text | None = None
    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = Field(
        None, description="The day on which they start, in the room's time zone, like 2026-11-20."
    )
    text: Text | None = Field(None, description="Part of the name.")
    words: Text | None = Field(
        None, description="Words that stand on one slide, or their beginnings, in any order."
    )
    meeting: Text | None = Field(
        None, description="The number of a meeting: recorded there, or by the timetable."
    )
    occurrence: Id | None = Field(None, description="The id of a lecture of the timetable.")
    changed_since: Since | None = Field(
        None,
        description="With an offset, or in UTC. Renaming a room does not change its records.",
    )
    start_from: Since | None = Field(
        None, description="They start then, or later. With an offset, or in UTC."
    )
    start_before: Since | None = Field(None, description="They start earlier than then; likewise.")
    sort: Literal["start", "-start"] = Field(
        "-start", description="By their start: the earliest first, or (-start) the latest."
    )
    cursor: Cursor | None = Field(None, description=CURSOR_ABOUT)
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Failure(MessageData):
    """Why something failed: `code` is a stable word, `message` says what happened."""

    code: str
    message: str | None


class RecordOut(BaseModel):
    """A record as in lists."""

    model_config = examples.shown_by(examples.RECORD)

    id: int
    room: str | None
    room_id: int | None
    name: str = Field(description="Its own name; that of the file begins with it.")
    title: str = Field(description="What you called it, if you requested it under another name.")
    description: str | None
    start: At
    end: At
    zone: str
    layout: Layout
    profile: Profile
    status: Status
    stage: Stage
    progress: float = Field(description="Of the stage, 0 to 1.")
    overall_progress: float = Field(
        description="Of the version that is made, 0 to 1; it never goes back, however often that"
        " is tried."
    )
    ready_at: At | None = Field(description="When encoding will be done, as far as it is known.")
    run_after: At | None
    attempt: int
    version: int
    delivered_version: int | None
    is_outdated: bool = Field(
        description="Whether its files and announcements are still to get its latest name, "
        "description or course."
    )
    error: Failure | None
    is_yours: bool = Field(
        description="Whether you are among its people, or an editor. If not, you may watch it, and"
        " are not told who its people are."
    )
    users: list[str]
    unconfirmed_users: list[str] = Field(
        description="Those of `users` who get nothing yet: they have not confirmed their address."
    )
    course_code: str | None
    created_at: At
    updated_at: At
    delivered_at: At | None


class RecordPage(BaseModel):
    """A page of records; `next` is the cursor of the next page."""

    model_config = examples.shown_by(examples.RECORDS)

    records: list[RecordOut]
    next: str | None


class Gap(BaseModel):
    """A span in which a source has no media."""

    model_config = ConfigDict(extra="allow")
    source: str
    start: At
    end: At


class SyncOut(BaseModel):
    """How the clock of a source lies beside that of another, by their sound, and what was done."""

    model_config = ConfigDict(extra="allow")
    source: str
    reference: str
    done: Literal["moved", "together", "apart", "unrelated", "too_short"]
    offset_ms: float | None = Field(description="Later by the other's clock, at the start.")
    ppm: float | None = Field(description="How much more of that each second, in millionths.")
    confidence: float = Field(description="The share of the pieces compared that agree, 0 to 1.")
    text: str
    message: MessageData


class Scene(BaseModel):
    """A span in which the video shows the same views."""

    model_config = ConfigDict(extra="allow")
    start: At
    end: At


class DecisionOut(BaseModel):
    """What was to stand beside the speaker in a span, and why."""

    model_config = ConfigDict(extra="allow")
    start: At
    end: At
    right: Right
    verdict: Verdict = Field(description="What the screen shows.")
    reason: str
    reason_message: MessageData


class OverruleOut(BaseModel):
    """What somebody wants to be shown in a span, whatever was decided."""

    start: At
    end: At
    right: Right


class ChunkPicture(BaseModel):
    """A picture of the screen that was checked."""

    at: At
    verdict: Verdict


class ChunkOut(BaseModel):
    """What the screen showed in a chunk, and how that was decided."""

    start: At
    end: At
    presence: bool
    verdict: Verdict
    score: float
    samples: int
    reasons: list[str]
    reason_messages: list[MessageData] = Field(description="The same as data, in the same order.")
    pictures: list[ChunkPicture] = []


class RenditionOut(BaseModel):
    """A finished video; download it at /records/{record}/renditions/{kind}."""

    kind: str
    version: int
    bytes: int
    sha256: str
    width: int
    height: int
    frames: int


class ChapterOut(BaseModel):
    """A slide that the video shows; its picture is at …/chapters/{number}/picture."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "start": "2026-11-20T10:12:31.240000+03:00",
                "end": "2026-11-20T10:15:02.880000+03:00",
                "start_s": 751.24,
                "title": "The chain rule",
                "words": "The chain rule Let f and g be differentiable",
                "has_picture": True,
            }
        }
    )
    start: At
    end: At
    start_s: float = Field(description="On the time of the video.")
    title: str = Field(description="Its heading; empty where it could not be read.")
    words: str = Field(description="All that could be read on it.")
    has_picture: bool


class CaptionsOut(BaseModel):
    """Chat, transcript or chapters on the time of the video, as WebVTT; downloaded like it."""

    kind: Literal["transcript", "chat", "chapters"]
    version: int
    bytes: int
    sha256: str


class DeliveryOut(BaseModel):
    """A rendition that is at a destination or on its way there."""

    destination: str
    kind: str
    status: Literal["pending", "delivered"]
    version: int | None
    link: str | None = Field(description="A path on the server is shown to editors alone.")
    sha256: str | None


class EventOut(MessageData):
    """A line of a record's history."""

    at: At
    attempt: int
    kind: str
    text: str


class MessageOut(BaseModel):
    """A notification; `recipient` is empty for the webhook."""

    kind: Literal["ready", "failed", "silent", "confirm"]
    channel: Literal["mail", "webhook"]
    recipient: str
    status: Literal["pending", "sending", "sent", "unknown", "failed"]
    at: At
    error: str | None
    error_message: MessageData | None


class RecordDetails(RecordOut):
    """A record with all its details."""

    model_config = examples.shown_by(examples.RECORD_DETAILS)

    warnings: list[str]
    warning_messages: list[MessageData] = Field(description="The same as data, in the same order.")
    sources: list[str] = Field(description="The sources whose pictures are in the video.")
    papers: list[str]  # what was said or written, in the folder of the record
    sync: list[SyncOut]
    gaps: list[Gap]
    scenes: list[Scene]
    decisions: list[DecisionOut]
    overrules: list[OverruleOut]
    chunks: list[ChunkOut]
    chapters: list[ChapterOut] = Field(description="The slides that the video shows, in order.")
    renditions: list[RenditionOut]
    captions: list[CaptionsOut]
    deliveries: list[DeliveryOut]
    messages: list[MessageOut]
    events: list[EventOut]


class RecordId(BaseModel):
    """A record that an API key which may only write has not made."""

    id: int


class RecordAnswer(RootModel[RecordDetails | RecordId]):
    """A record with all its details, or its id alone where the API key may not read it."""


class NewRecord(RecordDetails):
    """A record that you have requested, and may have."""

    model_config = examples.shown_by(examples.NEW_RECORD)

    access: Literal["granted"]


class NewRecordId(RecordId):
    """The id of a record that you have requested, where the API key may not read it."""

    access: Literal["granted"]


class NewRecordAnswer(RootModel[NewRecord | NewRecordId]):
    """A record that you have requested."""


class NewAccessId(BaseModel):
    """The id of a request for access, where the API key may not read it."""

    id: int
    access: Literal["pending"]


class NewAccessAnswer(RootModel[AccessOut | NewAccessId]):
    """A request for access, which waits for leave; there is no record yet."""
