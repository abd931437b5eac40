"""What the API takes and gives where timetables are imported."""

from __future__ import annotations

from typing import Annotated

from flask_openapi3 import RawModel
from pydantic import BaseModel, Field

from merger.series.timetables.importing import LONGEST_SOURCE
from merger.web.api.schemas.base import MessageData, RequestModel


class TimetableRaw(RawModel):
    """A timetable, up to 1 MB: CSV with headings, or iCalendar; UTF-8."""

    mimetypes = ["text/csv", "text/calendar"]  # noqa: RUF012  # as the library wants it


class _Wish(RequestModel):
    dry_run: bool = Field(False, description="Only say what would change.")
    remove: bool = Field(
        False, description="End the series that the timetable no longer has, however many."
    )


class ImportQuery(_Wish):
    """How a timetable is to be imported."""

    source: Annotated[str, Field(min_length=1, max_length=LONGEST_SOURCE)] = Field(
        "api", description="What it is known by; the same name each time that it is imported."
    )

    adopt: Annotated[str, Field(max_length=LONGEST_SOURCE)] = Field(
        "",
        description="Another timetable, of which this is the new name: its series become this "
        "one's, with all that people have changed of them.",
    )
    end: Annotated[str, Field(max_length=LONGEST_SOURCE)] = Field(
        "", description="Another timetable, whose series end."
    )


class RefreshQuery(_Wish):
    """How the timetables of the settings are to be imported."""


class SeriesOfTimetable(BaseModel):
    """A series; its times are those of its own zone."""

    key: str
    name: str
    course: str | None
    title: str
    room: str | None
    meeting: str | None
    zone: str
    start: str
    length_s: int
    rule: str | None
    until: str | None
    when: str
    mode: str
    people: list[str]


class ChangedSeries(SeriesOfTimetable):
    """A series as it is to be, and what that changes."""

    changes: list[str]
    change_messages: list[MessageData]


class DayOffOut(BaseModel):
    """Days without lectures, both included; of one room, or of all."""

    first: str
    last: str
    name: str
    room: str | None


class DaysOffOut(BaseModel):
    """What changes about days off."""

    added: list[DayOffOut]
    removed: list[DayOffOut]


class ComplaintOut(MessageData):
    """Why a line of a sheet, or an event of a calendar, was not taken."""

    text: str
    tab: str | None
    line: int | None
    event: str | None
    field: str | None


class OtherTimetable(BaseModel):
    """A timetable that has some of the same lectures, and goes on beside this one."""

    source: str
    count: int


class ImportOut(BaseModel):
    """What a timetable has changed, or would change.

    `missing` are series that the timetable no longer has, and that go on all the same.
    """

    source: str
    applied: bool
    needs_confirmation: bool
    added: list[SeriesOfTimetable]
    changed: list[ChangedSeries]
    ended: list[SeriesOfTimetable]
    missing: list[SeriesOfTimetable]
    unchanged: int
    others: list[OtherTimetable]
    adopted: list[SeriesOfTimetable] = Field(description="Of the timetable that it adopts.")
    replaced: list[SeriesOfTimetable] = Field(description="Of that timetable: they end.")
    rooms: list[str] = Field(description="Rooms that are added, for meetings.")
    days_off: DaysOffOut
    complaints: list[ComplaintOut]
    unknown_columns: list[str]
    notes: list[str]
    note_messages: list[MessageData]


class RefreshOut(BaseModel):
    """What the timetables of the settings have changed."""

    timetables: list[ImportOut]
