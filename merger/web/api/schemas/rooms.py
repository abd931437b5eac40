"""Rooms and their sources in the API."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from merger.accounts.room_policy import MOST_NAMES
from merger.intake.meetings import State
from merger.rooms.spec import LONGEST_TEXT, Unmatched
from merger.timeline.screen.decisions import Decide
from merger.web.api.schemas import examples
from merger.web.api.schemas.base import CURSOR_ABOUT, At, Id, RequestModel, Role, Text

_CHUNK_ABOUT = "The interval for which what the screen shows is summed up; 1s to 24h."
_DECIDE_ABOUT = (
    "When the video switches between screen and board: `instant`, whenever something changes, or"
    " `chunk`, once for each chunk. Where only a chunk other than 30m is given, `chunk` is meant."
)
_SHOWS_BOTH_ABOUT = (
    "Whether the board is shown large and the slide small, while somebody writes on the board and"
    " the slide stands; not with `chunk`."
)
_BOTH_AFTER_ABOUT = "For how long the slide has to stand for that; 5s to 1h."
_EARLY_ABOUT = "How long before a record its live sources start recording; 0s to 1h."
_LATE_ABOUT = "How long after a record its live sources stop recording; 0s to 1h."
_MEETINGS_ABOUT = "What Zoom has reported of the room's meetings, one for each source of kind zoom."
_MAILS_ABOUT = "Whether people get emails about the recordings that they requested."
_ARCHIVES_ABOUT = "Whether all views of its meetings are kept, each as it was recorded."
_PAPERS_ABOUT = "Whether the chat and the transcript of a recording are delivered with its video."
_READ_ABOUT = "Read-only; any other value than the current one is refused."
_UPLOADS_ABOUT = "Whether the original files of live sources are delivered, too."
_COURSE_ABOUT = (
    "The course of recordings that nobody requested, if the timetable names none; null: as the"
    " settings say."
)
_UNMATCHED_ABOUT = (
    "What becomes of recordings that nobody requested and that are of no lecture in the timetable;"
    " null: as the settings say."
)
_SHORTEST_ABOUT = (
    "Recordings that nobody requested are ignored if they are shorter; 0s to 1h. null: as the"
    " settings say."
)


_REQUESTERS_ABOUT = "Who may request recordings of the room; null: everybody who may sign in."
_WATCHERS_ABOUT = "Who may watch what others have requested; null: nobody but editors."


class PolicyData(RequestModel):
    """Who may; `names` are for editors to see."""

    who: Literal["everybody", "named", "editors"]
    names: list[Annotated[str, Field(max_length=254)]] = Field(
        [],
        max_length=MOST_NAMES,
        description="With `named`: email addresses, and domains like @example.org.",
    )


class RoomPath(BaseModel):
    """The id of a room."""

    room: Id


class SourcePath(RoomPath):
    """The ids of a room and of one of its sources."""

    source: Id


class SourceIn(RequestModel):
    """A source of a room."""

    model_config = examples.shown_by(examples.SOURCE_REQUEST)

    name: Text
    role: Role
    kind: Annotated[str, Field(max_length=32)] = Field(
        description="The kind of source, which says how its media is recorded.", examples=["folder"]
    )
    address: Annotated[str, Field(max_length=LONGEST_TEXT)]
    credentials: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = Field(
        None, description="Write-only; never returned."
    )


class SourceChange(RequestModel):
    """Changes to a source; `credentials: null` removes them. The name cannot be changed."""

    name: Text | None = None
    role: Role | None = None
    kind: Annotated[str, Field(max_length=32)] | None = None
    address: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = None
    credentials: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = Field(
        None,
        description="If left out, they are kept, unless the kind, scheme, host or port changes.",
    )
    id: int | None = Field(None, description=_READ_ABOUT)
    has_credentials: bool | None = Field(None, description=_READ_ABOUT)


class RoomIn(RequestModel):
    """A room."""

    model_config = examples.shown_by(examples.ROOM_REQUEST)

    name: Text
    zone: Text = Field(description="An IANA time zone.", examples=["Europe/Moscow"])
    chunk: Text = Field("30m", description=_CHUNK_ABOUT)
    decide: Decide | None = Field(None, description=_DECIDE_ABOUT)
    shows_both: bool = Field(False, description=_SHOWS_BOTH_ABOUT)
    both_after: Text = Field("60s", description=_BOTH_AFTER_ABOUT)
    early: Text = Field("1m", description=_EARLY_ABOUT)
    late: Text = Field("2m", description=_LATE_ABOUT)
    sound_source: Text | None = None
    drive_folder: Text | None = None
    calendar_id: Text | None = None
    mails: bool = Field(True, description=_MAILS_ABOUT)
    uploads_raw: bool = Field(False, description=_UPLOADS_ABOUT)
    papers: bool = Field(False, description=_PAPERS_ABOUT)
    archives: bool = Field(False, description=_ARCHIVES_ABOUT)
    requesters: PolicyData | None = Field(None, description=_REQUESTERS_ABOUT)
    watchers: PolicyData | None = Field(None, description=_WATCHERS_ABOUT)
    default_course: Text | None = Field(None, description=_COURSE_ABOUT)
    unmatched: Unmatched | None = Field(None, description=_UNMATCHED_ABOUT)
    shortest: Text | None = Field(None, description=_SHORTEST_ABOUT)
    sources: list[SourceIn] = Field([], max_length=100)


class SourceOut(BaseModel):
    """A source of a room."""

    id: int
    name: str
    role: str
    kind: str
    address: str | None = Field(description="Null for those who cannot change rooms.")
    has_credentials: bool


class SourceRead(SourceOut):
    """A source of a room, sent back as it was read."""

    model_config = ConfigDict(extra="forbid")


class MeetingOut(BaseModel):
    """What is happening to the recording of a meeting."""

    source: int = Field(description="The id of the source.")
    state: State = Field(
        description="`processing`: the meeting has ended, and its recording is not there yet."
    )
    since: At | None = Field(description="Since when, in UTC; null for `none`.")


class RoomChange(RequestModel):
    """Changes to a room; its sources have a resource of their own."""

    model_config = examples.shown_by(examples.ROOM_EDIT)

    name: Text | None = None
    zone: Text | None = None
    chunk: Text | None = Field(None, description=_CHUNK_ABOUT)
    decide: Decide | None = Field(None, description=_DECIDE_ABOUT)
    shows_both: bool | None = Field(None, description=_SHOWS_BOTH_ABOUT)
    both_after: Text | None = Field(None, description=_BOTH_AFTER_ABOUT)
    early: Text | None = Field(None, description=_EARLY_ABOUT)
    late: Text | None = Field(None, description=_LATE_ABOUT)
    sound_source: Text | None = None
    drive_folder: Text | None = None
    calendar_id: Text | None = None
    mails: bool | None = Field(None, description=_MAILS_ABOUT)
    uploads_raw: bool | None = Field(None, description=_UPLOADS_ABOUT)
    papers: bool | None = Field(None, description=_PAPERS_ABOUT)
    archives: bool | None = Field(None, description=_ARCHIVES_ABOUT)
    requesters: PolicyData | None = Field(None, description=_REQUESTERS_ABOUT)
    watchers: PolicyData | None = Field(None, description=_WATCHERS_ABOUT)
    default_course: Text | None = Field(None, description=_COURSE_ABOUT)
    unmatched: Unmatched | None = Field(None, description=_UNMATCHED_ABOUT)
    shortest: Text | None = Field(None, description=_SHORTEST_ABOUT)
    id: int | None = Field(None, description=_READ_ABOUT)
    sources: list[SourceRead] | None = Field(
        None, max_length=100, description=f"{_READ_ABOUT} See /rooms/{{room}}/sources."
    )
    meetings: list[MeetingOut] | None = Field(
        None, max_length=100, description="Read-only; not looked at, as it changes by itself."
    )


class RoomOut(BaseModel):
    """A room with its sources."""

    model_config = examples.shown_by(examples.ROOM)

    id: int
    name: str
    zone: str
    chunk: str
    decide: Decide
    shows_both: bool
    both_after: str
    early: str
    late: str
    sound_source: str | None
    drive_folder: str | None
    calendar_id: str | None
    mails: bool
    uploads_raw: bool
    papers: bool
    archives: bool
    requesters: PolicyData | None = Field(description=_REQUESTERS_ABOUT)
    watchers: PolicyData | None = Field(description=_WATCHERS_ABOUT)
    default_course: str | None = Field(description=_COURSE_ABOUT)
    unmatched: Unmatched | None = Field(description=_UNMATCHED_ABOUT)
    shortest: str | None = Field(description=_SHORTEST_ABOUT)
    sources: list[SourceOut]
    meetings: list[MeetingOut] = Field(description=_MEETINGS_ABOUT)


class RoomQuery(RequestModel):
    """Which rooms of the list are wanted."""

    cursor: Text | None = Field(None, description=CURSOR_ABOUT)
    limit: Annotated[int, Field(ge=1, le=200)] | None = Field(
        None, description="How many; without it, all rooms are listed."
    )


class RoomsOut(BaseModel):
    """Rooms; with `limit` a page of them, and `next`, which is null on the last page."""

    rooms: list[RoomOut]
    next: str | None = None


class SourcesOut(BaseModel):
    """The sources of a room."""

    sources: list[SourceOut]
