"""What the API takes and gives: the same models validate requests and make the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from merger.layout import DEFAULT_LAYOUT, LAYOUTS
from merger.profiles import DEFAULT_PROFILE, PROFILES
from merger.records import MOST_USERS
from merger.room_spec import LONGEST_TEXT

Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
# Of local time in the room's zone, or with an offset.
Instant = Annotated[str, Field(examples=["2026-11-20T10:05"], max_length=40)]
Text = Annotated[str, Field(max_length=255)]
Status = Literal["queued", "running", "delivered", "failed", "cancelled"]
Role = Literal["speaker", "screen", "board", "audio"]
UserRole = Literal["user", "editor", "admin"]
Scope = Literal["read", "write", "rooms", "people"]
LAYOUT_ABOUT = f"One of {', '.join(LAYOUTS)}."
PROFILE_ABOUT = f"One of {', '.join(PROFILES)}."
EARLY_ABOUT = "So long before a record its live sources are recorded; 0s to 1h."
LATE_ABOUT = "So long after a record its live sources are recorded; 0s to 1h."
MAILS_ABOUT = "Whether those who asked are told by mail."
UPLOADS_ABOUT = "Whether what is recorded live is delivered as it is, too."


class Taken(BaseModel):
    """Something that the API takes: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


# --- records --------------------------------------------------------------------------------------


class RecordPath(BaseModel):
    """Which record."""

    record: Id


class Ask(Taken):
    """A video that somebody wants: of a room from start to end, or of a Zoom recording."""

    room: Text | None = Field(None, description="The room's name.", examples=["504"])
    start: Instant | None = Field(None, description="Local time of the room, or with an offset.")
    end: Instant | None = Field(None, description="After start, at most 24 hours.")
    zoom: Annotated[str, Field(max_length=2000)] | None = Field(
        None,
        description="The UUID of a meeting, or a link to its recording; then only users beside it.",
    )
    event_name: Text | None = Field(None, description="What the video is of.")
    layout: Text = Field(DEFAULT_LAYOUT, description=LAYOUT_ABOUT)
    profile: Text = Field(DEFAULT_PROFILE, description=PROFILE_ABOUT)
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


class Again(Taken):
    """Another version of a record: what is left out stays as it is."""

    layout: Text | None = Field(None, description=LAYOUT_ABOUT)
    profile: Text | None = Field(None, description=PROFILE_ABOUT)
    start: Instant | None = None
    end: Instant | None = None


class RecordQuery(Taken):
    """Which records."""

    room: Text | None = Field(None, description="The room's name.")
    user: Annotated[str, Field(max_length=254)] | None = Field(None, description="Who wants them.")
    status: list[Status] = []
    course: Text | None = None
    day: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = Field(
        None, description="On which they begin, by the clock of the room, like 2026-11-20."
    )
    text: Text | None = Field(None, description="A part of the name.")
    changed_since: Annotated[str, Field(max_length=40)] | None = Field(
        None, description="With an offset, or UTC."
    )
    cursor: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="`next` of the page before."
    )
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class Failure(BaseModel):
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


class EventOut(BaseModel):
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


class RecordDetails(RecordOut):
    """All that is known of a record."""

    warnings: list[str]
    sources: list[str] = Field(description="Whose pictures it is made of.")
    papers: list[str]  # what was said or written, in the folder of the record
    gaps: list[Gap]
    scenes: list[Scene]
    chunks: list[ChunkOut]
    renditions: list[RenditionOut]
    deliveries: list[DeliveryOut]
    messages: list[MessageOut]
    events: list[EventOut]


# --- offers ---------------------------------------------------------------------------------------


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
    record: int | None
    offered_at: str


class OffersOut(BaseModel):
    """The newest first."""

    offers: list[OfferOut]


# --- rooms ----------------------------------------------------------------------------------------


class RoomPath(BaseModel):
    """Which room."""

    room: Id


class SourcePath(RoomPath):
    """Which source of which room."""

    source: Id


class SourceIn(Taken):
    """A source of a room."""

    name: Text
    role: Role
    kind: Annotated[str, Field(max_length=32)] = Field(
        description="Of the recorder.", examples=["folder"]
    )
    address: Annotated[str, Field(max_length=LONGEST_TEXT)]
    credentials: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = Field(
        None, description="Never given back."
    )


class SourceChange(Taken):
    """What to change of a source; credentials: null removes them. Its name is for ever."""

    name: Text | None = None
    role: Role | None = None
    kind: Annotated[str, Field(max_length=32)] | None = None
    address: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = None
    credentials: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = Field(
        None,
        description="Left out, they are kept, but not for another kind, scheme, host or port.",
    )
    id: int | None = Field(None, description="As it was read; it changes nothing.")
    has_credentials: bool | None = Field(None, description="As it was read; it changes nothing.")


class RoomIn(Taken):
    """A room."""

    name: Text
    zone: Text = Field(description="An IANA time zone.", examples=["Europe/Moscow"])
    chunk: Text = Field("30m", description="For how long presence is decided at once.")
    early: Text = Field("1m", description=EARLY_ABOUT)
    late: Text = Field("2m", description=LATE_ABOUT)
    sound_source: Text | None = None
    drive_folder: Text | None = None
    calendar_id: Text | None = None
    mails: bool = Field(True, description=MAILS_ABOUT)
    uploads_raw: bool = Field(False, description=UPLOADS_ABOUT)
    sources: list[SourceIn] = Field([], max_length=100)


class RoomChange(Taken):
    """What to change of a room; sources have a resource of their own."""

    name: Text | None = None
    zone: Text | None = None
    chunk: Text | None = None
    early: Text | None = Field(None, description=EARLY_ABOUT)
    late: Text | None = Field(None, description=LATE_ABOUT)
    sound_source: Text | None = None
    drive_folder: Text | None = None
    calendar_id: Text | None = None
    mails: bool | None = Field(None, description=MAILS_ABOUT)
    uploads_raw: bool | None = Field(None, description=UPLOADS_ABOUT)
    id: int | None = Field(None, description="As it was read; it changes nothing.")


class SourceOut(BaseModel):
    """A source of a room."""

    id: int
    name: str
    role: str
    kind: str
    address: str
    has_credentials: bool


class RoomOut(BaseModel):
    """A room with its sources."""

    id: int
    name: str
    zone: str
    chunk: str
    early: str
    late: str
    sound_source: str | None
    drive_folder: str | None
    calendar_id: str | None
    mails: bool
    uploads_raw: bool
    sources: list[SourceOut]


class RoomsOut(BaseModel):
    """All rooms."""

    rooms: list[RoomOut]


class SourcesOut(BaseModel):
    """The sources of a room."""

    sources: list[SourceOut]


# --- users and keys -------------------------------------------------------------------------------


class UserPath(BaseModel):
    """Which user."""

    user: Id


class UsersQuery(Taken):
    """Which users: those with an id after `after`."""

    after: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class UserIn(Taken):
    """Somebody who may sign in."""

    email: Annotated[str, Field(max_length=254)]
    name: Text | None = None
    role: UserRole = "user"


class UserChange(Taken):
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


class KeyIn(Taken):
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


# --- as NVR's manage API has it -------------------------------------------------------------------


class MontagePath(BaseModel):
    """Which room, by its name."""

    room: Text


class MontageIn(Taken):
    """A video, asked for by date and local times."""

    event_name: Text | None = None
    date: Annotated[str, Field(max_length=10)] = Field(examples=["2026-11-20"])
    start_time: Annotated[str, Field(max_length=8)] = Field(examples=["10:05"])
    end_time: Annotated[str, Field(max_length=8)] = Field(examples=["11:20"])
    user_email: Annotated[str, Field(max_length=254)] | None = None


class MontageOut(BaseModel):
    """What was asked for."""

    message: str
    id: int


class EmailPath(BaseModel):
    """Whose records."""

    email: Annotated[str, Field(max_length=254)]
