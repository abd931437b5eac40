"""Series, their occurrences and days off in the API."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field, RootModel

from merger.records.requests import MOST_USERS
from merger.series.states import State
from merger.timeline.layout import DEFAULT_LAYOUT
from merger.timeline.profiles import DEFAULT_PROFILE
from merger.timetable.recurrence import MOST_EXDATES
from merger.web.api.schemas import examples
from merger.web.api.schemas.base import (
    At,
    Id,
    Instant,
    Layout,
    MessageData,
    Profile,
    RequestModel,
    Since,
    Text,
)

_Length = Annotated[str, Field(max_length=20, examples=["90m"])]
_Local = Annotated[str, Field(max_length=40, examples=["2026-09-07T10:00"])]
_Rule = Annotated[str, Field(max_length=1000, examples=["FREQ=WEEKLY;BYDAY=MO"])]
_Dates = Annotated[list[_Local], Field(max_length=MOST_EXDATES)]
_People = Annotated[list[Annotated[str, Field(max_length=254)]], Field(max_length=MOST_USERS)]

_ROOM_ABOUT = "The room's name."
_ZONE_ABOUT = "By whose clock the times are; without it, that of the room."
_START_ABOUT = "When the first one begins: local time, without an offset."
_END_ABOUT = "When the first one ends: local time; instead of `length`."
_LENGTH_ABOUT = "How long each lasts, 1m to 24h; instead of `end`."
_RULE_ABOUT = "When it repeats (RRULE of RFC 5545); without it, it takes place once."
_EXDATES_ABOUT = "What does not take place: days, or local times."
_PEOPLE_ABOUT = "Email addresses of all who get the recordings, the owner first; without it, you."
_CODE_ABOUT = "200: planned; 201: waits, or is being made; 220: done; 900: off."


class SeriesPath(BaseModel):
    """The id of a series."""

    series: Id


class OccurrencePath(BaseModel):
    """The id of an occurrence."""

    occurrence: Id


class DayOffPath(BaseModel):
    """The id of days off."""

    day_off: Id


class SeriesIn(RequestModel):
    """A series: a lecture that repeats, or lies ahead."""

    model_config = examples.shown_by(examples.SERIES_REQUEST)

    room: Text | None = Field(None, description=_ROOM_ABOUT, examples=["504"])
    name: Text | None = Field(None, description="What its recordings are called.")
    course_code: Text | None = Field(
        None, description="The course in which to announce its recordings; it begins their names."
    )
    zone: Text | None = Field(None, description=_ZONE_ABOUT)
    start: _Local | None = Field(None, description=_START_ABOUT)
    end: _Local | None = Field(None, description=_END_ABOUT)
    length: _Length | None = Field(None, description=_LENGTH_ABOUT)
    rule: _Rule | None = Field(None, description=_RULE_ABOUT)
    until: _Local | None = Field(None, description="The last day.", examples=["2026-12-20"])
    exdates: _Dates = Field([], description=_EXDATES_ABOUT)
    people: _People | None = Field(None, description=_PEOPLE_ABOUT)
    layout: Layout = DEFAULT_LAYOUT
    profile: Profile = DEFAULT_PROFILE


class SeriesChange(RequestModel):
    """What to change of a series; fields that are left out stay as they are."""

    model_config = examples.shown_by(examples.SERIES_EDIT)

    room: Text | None = Field(None, description=_ROOM_ABOUT)
    name: Text | None = Field(None, description="What its recordings are called.")
    course_code: Text | None = None
    zone: Text | None = Field(None, description=_ZONE_ABOUT)
    start: _Local | None = Field(None, description=_START_ABOUT)
    end: _Local | None = Field(None, description=_END_ABOUT)
    length: _Length | None = Field(None, description=_LENGTH_ABOUT)
    rule: _Rule | None = Field(None, description=_RULE_ABOUT)
    until: _Local | None = Field(None, description="The last day.")
    exdates: _Dates | None = Field(None, description=_EXDATES_ABOUT)
    people: _People | None = Field(None, description=_PEOPLE_ABOUT)
    layout: Layout | None = None
    profile: Profile | None = None
    state: Literal["active", "disabled"] | None = Field(
        None, description="`disabled`: nothing of it takes place until it is active again."
    )
    reason: Text | None = Field(None, description="Why it is disabled.")
    status_code: Literal[200, 900, "200", "900"] | None = Field(
        None, description="Another way to write `state`: 200 is active, 900 is disabled."
    )
    status_message: Text | None = Field(None, description="Another name of `reason`.")


class SeriesQuery(RequestModel):
    """Filters for series."""

    room: Text | None = Field(None, description=_ROOM_ABOUT)


class SeriesOut(BaseModel):
    """A series. Its times are local, by the clock of `zone`."""

    model_config = examples.shown_by(examples.SERIES)

    id: int
    source: str = Field(description="The timetable that it comes from; people, or requested.")
    room: str
    room_id: int
    name: str
    course_code: str | None
    zone: str
    start: str
    end: str
    length: str | None = Field(description="Null where it is unknown.")
    rule: str | None
    until: date | None
    exdates: list[str]
    mode: Literal["asks", "names", "no"] = Field(
        description="asks: each lecture is recorded; names: it says what recordings are of."
    )
    meeting: str | None
    layout: Layout | None
    profile: Profile | None
    people: list[str]
    state: Literal["active", "disabled", "over"]
    status_code: int = Field(description=_CODE_ABOUT)
    reason: str | None = Field(description="Why it is disabled.")


class Clash(BaseModel):
    """A lecture of a series, and what else takes place then."""

    start: At
    end: At
    reason: str
    reason_message: MessageData


class NewSeries(SeriesOut):
    """A series that was added."""

    model_config = examples.shown_by(examples.NEW_SERIES)

    clashes: list[Clash] = Field(description="What else takes place at times of its lectures.")


class SeriesId(BaseModel):
    """The id of a series, where the API key may not read it."""

    id: int


class SeriesAnswer(RootModel[SeriesOut | SeriesId]):
    """A series, or its id alone where the API key may not read it."""


class NewSeriesAnswer(RootModel[NewSeries | SeriesId]):
    """A series that was added, or its id alone where the API key may not read it."""


class SeriesList(BaseModel):
    """Series; those that are over come last."""

    series: list[SeriesOut]


class OccurrenceQuery(RequestModel):
    """Which occurrences of the list are wanted."""

    since: Since | None = Field(
        None, alias="from", description="They start then, or later; without it, now."
    )
    to: Since | None = Field(
        None, description="They start earlier than then; without it, 35 days later."
    )
    room: Text | None = Field(None, description=_ROOM_ABOUT)
    series: Id | None = None


class OccurrenceChange(RequestModel):
    """What to change of an occurrence; fields that are left out stay as they are."""

    model_config = examples.shown_by(examples.LECTURE_EDIT)

    start: Instant | None = Field(None, description="At most 14 days from where its rule has it.")
    end: Instant | None = Field(None, description="Without it, it lasts as long as before.")
    room: Text | None = Field(None, description="The name of another room.")
    name: Text | None = Field(None, description="Of this one alone; empty: that of its series.")
    is_off: bool | None = Field(None, description="Whether it is skipped.")


class OccurrenceOut(BaseModel):
    """One lecture of a series."""

    model_config = examples.shown_by(examples.LECTURE)

    id: int
    series: int
    room: str
    room_id: int
    zone: str
    name: str
    course_code: str | None
    original: At = Field(description="When the rule of its series has it, which names it.")
    start: At
    end: At
    state: State
    status_code: int = Field(description=_CODE_ABOUT)
    is_off: bool
    reason: str | None = Field(description="Why it does not take place.")
    reason_message: MessageData | None
    is_changed: bool = Field(description="Whether people have changed it, so that no rule does.")
    record: int | None = Field(description="The record that shows it.")


class OccurrenceId(BaseModel):
    """The id of a lecture, where the API key may not read it."""

    id: int


class OccurrenceAnswer(RootModel[OccurrenceOut | OccurrenceId]):
    """A lecture, or its id alone where the API key may not read it."""


class OccurrenceList(BaseModel):
    """Occurrences, in order."""

    occurrences: list[OccurrenceOut]


class DayOffIn(RequestModel):
    """Days without lectures."""

    model_config = examples.shown_by(examples.DAYS_OFF_REQUEST)

    first: Annotated[str, Field(max_length=10, examples=["2026-05-01"])]
    last: Annotated[str, Field(max_length=10)] | None = Field(
        None, description="The last of several days."
    )
    name: Text = Field("", examples=["Labour Day"])
    room: Text | None = Field(None, description="The only room concerned; without it, all are.")


class DayOffOut(BaseModel):
    """Days without lectures, both included."""

    model_config = examples.shown_by(examples.DAYS_OFF)

    id: int
    first: str
    last: str
    name: str
    room: str | None


class DaysOff(BaseModel):
    """All days off, the earliest first."""

    days_off: list[DayOffOut]
