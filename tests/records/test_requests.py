"""Asking for records: what is the same record, what is refused, and many who ask at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from merger.db.engine import reading
from merger.errors import Refused
from merger.ports.calendar import CalendarEvent
from merger.records import actions, lookup, requests, views
from merger.records.requests import Request
from models import EventLink, Record, RecordUser, User
from tests.support.line import HOUR, MINUTE, NOON, Line
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES

LECTURE = Request("504", NOON - HOUR, NOON)
AHEAD = timedelta(days=366)


@pytest.fixture
def line(engine: Engine) -> Line:
    made = Line(engine)
    for room in ("504", "505"):
        made.room(room)
    return made


def ask(line: Line, **changes: Any) -> tuple[int, bool]:
    return requests.request_record(line.engine, replace(LECTURE, **changes), line.clock)


def refusal(act: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        act()
    return caught.value.code, str(caught.value.message)


def event(calendar: str = "calendar", event: str = "event") -> CalendarEvent:
    return CalendarEvent(calendar, event, "Algebra", None, "", None, is_off=False)


def users(line: Line, record: int = 1) -> list[str]:
    found: list[str] = views.record_details(line.engine, record)["users"]
    return found


def test_what_is_asked_for(line: Line) -> None:
    name, course = "  Матан,  часть\t2 \n", "Course 1"
    assert ask(
        line, name=name, users=("B@Example.org ", "a@example.org"), course_code=course,
        idempotency_key="key", layout="speaker_only", profile="540p",
    ) == (1, True)  # fmt: skip
    row = line.row()
    assert (row.event_name, row.course_code, row.layout) == (
        "Матан, часть 2",
        course,
        "speaker_only",
    )
    assert row.idempotency_key == "key"
    assert (row.start_at, row.end_at, row.zone) == (NOON - HOUR, NOON, "Europe/Moscow")
    assert (row.status, row.stage, row.attempt, row.version) == ("queued", "collect", 0, 1)
    assert (row.created_at, row.profile, row.room_id) == (NOON, "540p", 1)
    assert users(line) == ["b@example.org", "a@example.org"]  # the owner first
    assert line.told() == [("asked", "requested by b@example.org")]


@pytest.mark.parametrize("end", [-MINUTE, timedelta(), MINUTE])
def test_a_record_is_looked_at_when_it_has_taken_place(line: Line, end: timedelta) -> None:
    ask(line, end=NOON + end)
    assert line.row().run_after == max(NOON + end, NOON)


def test_a_name_is_never_empty(line: Line) -> None:
    ask(line, name=" \n ")
    assert line.row().event_name == "lecture"


def test_who_asks_for_the_same_record_again_is_added_to_its_users(line: Line) -> None:
    assert ask(line, users=("a@example.org",)) == (1, True)
    before = line.dump()
    assert ask(line, users=("A@example.org",)) == (1, False)
    assert ask(line) == (1, False)
    assert line.dump() == before
    assert ask(line, users=("b@example.org", "a@example.org", "c@example.org")) == (1, False)
    assert users(line) == ["a@example.org", "b@example.org", "c@example.org"]
    assert line.row().event_name == "lecture"


@pytest.mark.parametrize(
    "changes",
    [
        {"room": "505"}, {"start": NOON - HOUR - MINUTE}, {"end": NOON + MINUTE},
        {"layout": "speaker_only"}, {"profile": "540p"},
    ],
)  # fmt: skip
def test_what_makes_another_record(line: Line, changes: dict[str, Any]) -> None:
    ask(line)
    assert ask(line, **changes) == (2, True)


@pytest.mark.parametrize("status", ["queued", "running", "delivered", "failed", "cancelled"])
def test_what_has_ended_without_a_video_is_asked_for_anew(line: Line, status: str) -> None:
    ask(line)
    line.set(status=status)
    is_new = status in ("failed", "cancelled")
    assert ask(line) == (1 + is_new, is_new)
    assert ask(line) == (1 + is_new, False)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_one_video_is_enough(line: Line, status: str) -> None:
    """Of what was asked for anew, the old record is not made as well."""
    ask(line)
    line.set(1, status=status)
    assert ask(line) == (2, True)
    for again in (actions.retry, actions.remerge):
        code, says = refusal(lambda again=again: again(line.engine, 1, line.clock))
        assert code == "conflict" and says.startswith("recording 2 already has this room, time,")
    assert line.row(1).status == status
    actions.remerge(line.engine, 1, line.clock, layout="screen_large")
    assert (line.row(1).status, line.row(1).layout) == ("queued", "screen_large")
    line.set(1, status="delivered", delivered_version=1, layout="side_by_side", end_at=NOON + HOUR)
    code, _ = refusal(lambda: actions.remerge(line.engine, 1, line.clock + HOUR, end=NOON))
    assert (code, line.row(1).version) == ("conflict", 1)


def test_the_same_key_is_the_same_request(line: Line) -> None:
    assert ask(line, idempotency_key="key") == (1, True)
    assert ask(line, idempotency_key="key", users=("a@example.org",)) == (1, False)
    assert ask(line, idempotency_key="KEY") == (1, False)  # for it is the same record
    line.set(status="failed")
    assert ask(line, idempotency_key="key") == (1, False)  # whatever became of it
    assert ask(line, idempotency_key="kéy") == (2, True)
    assert users(line) == ["a@example.org"]


@pytest.mark.parametrize(
    "changes",
    [
        {"room": "505"},
        {"start": NOON - HOUR - MINUTE},
        {"end": NOON + MINUTE},
        {"layout": "speaker_only"},
        {"profile": "540p"},
    ],
)
def test_the_same_key_for_another_request_is_refused(line: Line, changes: dict[str, Any]) -> None:
    ask(line, idempotency_key="key")
    before = line.dump()
    code, message = refusal(lambda: ask(line, idempotency_key="key", **changes))
    assert (code, message) == (
        "idempotency_key",
        "the idempotency key 'key' was already used for another request",
    )
    assert line.dump() == before


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("5O5", "there is no room '5O5'; did you mean '505'?"),
        ("Library", "there is no room 'Library'; the choices are 504, 505"),
        ("", "there is no room ''; the choices are 504, 505"),
        ("５０４", "there is no room '５０４'; the choices are 504, 505"),
    ],
)
def test_a_room_that_is_not_there(line: Line, name: str, says: str) -> None:
    assert refusal(lambda: ask(line, room=name)) == ("room", says)
    assert refusal(lambda: lookup.room_zone(line.engine, name)) == ("room", says)


def test_of_many_rooms_none_is_listed(line: Line) -> None:
    for n in range(11):
        line.room(f"hall {n}")
    assert refusal(lambda: ask(line, room="x")) == ("room", "there is no room 'x'")
    assert "did you mean 'hall 1'" in refusal(lambda: ask(line, room="hal 1"))[1]


def test_there_are_no_rooms_at_all(engine: Engine) -> None:
    assert refusal(lambda: ask(Line(engine))) == ("room", "there is no room '504'")


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"end": NOON - HOUR}, "end", "before it starts"),
        ({"end": NOON - 2 * HOUR}, "end", "before it starts"),
        ({"end": NOON + 23 * HOUR + timedelta(microseconds=1)}, "end", "at most 24 hours"),
        ({"start": NOON + AHEAD + MINUTE, "end": NOON + AHEAD + HOUR}, "start", "more than a year"),
        ({"start": NOON.replace(year=1969)}, "start", "in the year 1969"),
        ({"end": NOON.replace(year=9001)}, "end", "in the year 9001"),
        ({"layout": "mosaic"}, "layout", "mosaic"),
        ({"profile": "8k"}, "profile", "8k"),
        ({"name": "x" * 256}, "name", "longer than 255"),
        ({"course_code": "x" * 256}, "course_code", "longer than 255"),
        ({"event": event(event="x" * 256)}, "event_id", "longer than 255"),
        ({"event": event(calendar="x" * 256)}, "calendar_id", "longer than 255"),
        ({"idempotency_key": "x" * 256}, "idempotency_key", "longer than 255"),
        *(
            ({"users": ("a@example.org", mail)}, "users", "isn't a valid email address")
            for mail in ("", "a", "a@", "@b", "a@b@c", "a b@c", "a@b, c@d", "Ann <a@b>", "x" * 250 + "@b.cd")
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    line: Line, changes: dict[str, Any], code: str, says: str
) -> None:
    before = line.dump()
    found, message = refusal(lambda: ask(line, **changes))
    assert found == code
    assert says in message
    assert line.dump() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"end": NOON + 23 * HOUR},
        {"start": NOON + AHEAD, "end": NOON + AHEAD + HOUR},
        {"start": NOON - timedelta(days=3650), "end": NOON - timedelta(days=3650) + HOUR},
        {"name": "x" * 255, "course_code": "ж" * 255, "event": event(event="𝄞" * 255)},
        {"idempotency_key": "𝄞" * 255, "event": event(calendar="ж" * 255)},
        {"users": ("x" * 249 + "@b.cd", "имя@почта.рф")},
    ],
)
def test_what_is_just_possible(line: Line, changes: dict[str, Any]) -> None:
    assert ask(line, **changes) == (1, True)


def at_once(act: Callable[[int], Any]) -> list[Any]:
    """Do something in eight threads at the same time; return what came of it, or what was said."""
    ready = Barrier(8, timeout=600)

    def run(n: int) -> Any:
        ready.wait()
        try:
            return act(n)
        except Refused as error:
            return error.code

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(run, range(8)))


def counted(line: Line, table: Any) -> int:
    with reading(line.engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


# Numbers of records may have gaps: of transactions that lost a race, and were tried again.


def test_many_ask_for_the_same_record_at_once(line: Line) -> None:
    for n in range(3):
        start = NOON - HOUR - n * MINUTE
        told = at_once(lambda user, at=start: ask(line, start=at, users=(f"{user}@example.org",)))
        [record] = {record for record, _ in told}
        assert sum(is_new for _, is_new in told) == 1
        assert sorted(users(line, record)) == [f"{user}@example.org" for user in range(8)]
        assert line.events(record) == ["asked", *["joined"] * 7]
    assert counted(line, Record) == 3
    assert counted(line, User) == 8
    with reading(line.engine) as session:
        positions = session.scalars(
            select(RecordUser.position).where(RecordUser.record_id == record)
        )
        assert sorted(positions) == list(range(8))


def test_one_user_asks_for_many_records_at_once(line: Line) -> None:
    for n in range(8):
        line.room(f"hall {n}")
    told = at_once(lambda n: ask(line, room=f"hall {n}", users=("new@example.org",)))
    assert len({record for record, _ in told}) == 8
    assert all(is_new for _, is_new in told)
    assert counted(line, Record) == 8
    assert counted(line, User) == 1


def test_the_same_key_comes_from_many_at_once(line: Line) -> None:
    for n in range(8):
        line.room(f"hall {n}")
    same = at_once(lambda n: ask(line, idempotency_key="same"))
    assert len({record for record, _ in same}) == 1
    told = at_once(lambda n: ask(line, room=f"hall {n}", idempotency_key="key"))
    assert told.count("idempotency_key") == 7
    assert counted(line, Record) == 2


def test_the_same_event_is_read_by_many_at_once(line: Line) -> None:
    """Such as where two rooms have one calendar, and each is read by another daemon."""
    for n in range(8):
        line.room(f"hall {n}")
    told = at_once(lambda n: ask(line, room=f"hall {n}", event=event()))
    assert len({record for record, _ in told}) == 1
    assert sum(is_new for _, is_new in told) == 1
    assert counted(line, Record) == counted(line, EventLink) == 1


def test_asking_and_cancelling_at_once(line: Line) -> None:
    """Whoever was told that a record is there has one that is there, or that was cancelled later."""
    ask(line)

    def act(n: int) -> Any:
        return ask(line) if n % 2 else actions.cancel(line.engine, 1, line.clock)

    told = at_once(act)
    said = sorted(one for one in told if isinstance(one, str))
    assert said == ["cancelled", "status", "status", "status"]
    asked = {one[0] for one in told if isinstance(one, tuple)}
    assert len(asked) <= 2
    assert counted(line, Record) == len(asked | {1})
