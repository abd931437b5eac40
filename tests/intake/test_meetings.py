"""What is reported of meetings while they go on: kept as it came, and what follows from it."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from merger.daemon.housekeeping import forget_old
from merger.errors import Temporary
from merger.intake import meetings
from merger.intake.meetings import LiveState, state_of
from merger.ports.meetings import EVENT_KINDS, MeetingEvent
from merger.timeline.clock import utc
from models import MeetingEvent as EventRow
from models import Offer
from tests.conftest import START, seconds
from tests.fakes.zoom import NUMBER, UUID
from tests.intake.test_zoom_webhook import Hooked, hooked
from tests.support.databases import ON_SQLITE

__all__ = ["hooked"]

TEN = utc(START)


def event(kind: str, at_s: float = 0, uuid: str = UUID) -> MeetingEvent:
    return MeetingEvent(uuid, str(NUMBER), kind, TEN + seconds(at_s))


def events(text: str) -> list[MeetingEvent]:
    """Return events, a minute after each other."""
    return [event(kind, 60 * n) for n, kind in enumerate(text.split())]


STATES: list[tuple[str, str, int | None]] = [
    ("", "none", None),
    ("meeting.started", "none", None),
    ("meeting.started recording.started", "recording", 1),
    ("recording.started recording.started", "recording", 0),
    ("recording.started recording.paused recording.paused", "paused", 1),
    ("recording.paused", "paused", 0),
    ("recording.started recording.paused recording.resumed", "recording", 2),
    ("recording.started recording.stopped", "none", None),
    ("recording.started recording.stopped recording.started", "recording", 2),
    ("meeting.ended", "none", None),
    ("meeting.started meeting.ended", "none", None),
    ("recording.started meeting.ended", "processing", 1),
    ("recording.started recording.paused meeting.ended", "processing", 2),
    ("recording.started recording.stopped meeting.ended", "processing", 2),
    ("recording.started meeting.ended recording.resumed recording.started", "processing", 1),
]


@pytest.mark.quick
@pytest.mark.parametrize(("text", "state", "since"), STATES)
def test_the_state_of_a_meeting(text: str, state: Any, since: int | None) -> None:
    at = None if since is None else TEN + seconds(60 * since)
    for order in itertools.islice(itertools.permutations(events(text)), 24):
        assert state_of([*order, *order[:1]]) == LiveState(state, at)


def test_an_event_is_kept_once(engine: Engine) -> None:
    for kind in [*EVENT_KINDS, *EVENT_KINDS]:
        meetings.save_event(engine, event(kind, 0.25))
    kept = meetings.events_of(engine, UUID)
    assert sorted(kept, key=lambda e: e.order) == [event(kind, 0.25) for kind in EVENT_KINDS]
    assert meetings.events_of(engine, UUID.lower()) == []


def test_the_end_of_an_unknown_meeting_is_not_kept(engine: Engine) -> None:
    meetings.save_event(engine, event("meeting.ended"))
    assert meetings.events_of(engine, UUID) == []
    meetings.save_event(engine, event("recording.paused"))  # of which no start was reported
    meetings.save_event(engine, event("meeting.ended", 60))
    assert len(meetings.events_of(engine, UUID)) == 2


@ON_SQLITE
def test_old_events_are_forgotten(hooked: Hooked) -> None:
    meetings.save_event(hooked.site.engine, event("recording.started"))
    meetings.save_event(hooked.site.engine, event("recording.paused", 60))
    forget_old(hooked.service, TEN + timedelta(days=120) + seconds(30))
    assert meetings.events_of(hooked.site.engine, UUID) == [event("recording.paused", 60)]


def call(hooked: Hooked, kind: str, at_ms: Any, **meeting: Any) -> int:
    """Have Zoom call; return the status of the answer."""
    told = {"uuid": UUID, "id": str(NUMBER), "topic": "Algebra", **meeting}
    body = {"event": kind, "event_ts": at_ms, "payload": {"object": told}}
    return hooked.send(json.dumps(body).encode()).status_code


def milliseconds(at_s: float) -> int:
    return round((TEN.timestamp() + at_s) * 1000)


@ON_SQLITE
def test_what_zoom_reports_is_kept(hooked: Hooked) -> None:
    reported = ("meeting.started", "recording.started", "recording.paused", "recording.resumed",
                "recording.stopped", "meeting.ended")  # fmt: skip
    for n, kind in [*enumerate(reported), (2, "recording.paused")]:
        assert call(hooked, kind, milliseconds(n + 0.5)) == 204
    kept = sorted(meetings.events_of(hooked.site.engine, UUID), key=lambda e: e.order)
    assert kept == [event(kind, n + 0.5) for n, kind in enumerate(reported)]
    assert hooked.count(Offer) == 0


@ON_SQLITE
@pytest.mark.parametrize(
    "wrong",
    [
        {"at_ms": None}, {"at_ms": "now"}, {"at_ms": 10**30}, {"at_ms": -(10**14)}, {"uuid": 7},
        {"uuid": ""}, {"uuid": "x" * 129}, {"id": "lecture"}, {"id": None},
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_is_passed_over(hooked: Hooked, wrong: dict[str, Any]) -> None:
    assert call(hooked, "recording.started", **{"at_ms": milliseconds(0), **wrong}) == 204
    assert hooked.count(EventRow) == 0


@ON_SQLITE
def test_what_cannot_be_kept_now_is_reported_again(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise Temporary("database", "db.no_connection")

    with monkeypatch.context() as patched:
        patched.setattr(meetings, "writing", away)
        assert call(hooked, "recording.started", milliseconds(0)) == 503
    assert call(hooked, "recording.started", milliseconds(0)) == 204
    assert hooked.count(EventRow) == 1
