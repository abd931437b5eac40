"""Recordings get another time or room before they are made; what they were made for goes along."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from merger.accounts import users
from merger.accounts.permissions import SCOPES, Principal
from merger.db.engine import writing
from merger.errors import Conflict, Forbidden, Invalid, NotFound
from merger.intake.moving import Move, change_record
from merger.records import requests
from merger.records.edit import Edit
from models import Record
from tests.series.test_unroll import NOW, ZONE, Term
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

pytestmark = ON_SQLITE


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 10, day, hour, minute, tzinfo=ZONE)


@pytest.fixture
def term(site: Site) -> Term:
    site.add_room(zone="Europe/Berlin")
    site.clock = NOW
    return Term(site)


def person(site: Site, email: str, role: str = "user") -> Principal:
    made, _ = users.invite_user(site.engine, email, None, role)
    return Principal(made["id"], email, role, frozenset(SCOPES))


def ask(term: Term, who: Principal, day: int = 19, hour: int = 14) -> int:
    wanted = requests.Request(
        "504", at(day, hour), at(day, hour + 1), users=(who.email,), asked_by=who
    )
    return requests.request_record(term.site.engine, wanted, term.now)[0]


def change(term: Term, record: int, by: Principal, texts: Any = None, **move: Any) -> bool:
    return change_record(term.site.service, record, Edit(texts or {}), Move(**move), term.now, by)


def test_a_recording_goes_to_another_time(term: Term) -> None:
    ann = person(term.site, "ann@x.org")
    record = ask(term, ann)
    assert change(term, record, ann, {"name": "Later"}, start=at(20, 9), end=at(20, 10, 30))
    row = term.site.row(record)
    assert (row.start_at, row.end_at, row.run_after) == (at(20, 9), at(20, 10, 30), at(20, 10, 30))
    assert row.event_name == "Later"
    said = [event["text"] for event in term.site.details(record)["events"]]
    assert "ann@x.org moved it: 504, 2026-10-20 09:00:00-10:30:00" in said
    assert not change(term, record, ann, start=at(20, 9))
    with pytest.raises(Invalid):
        change(term, record, ann, {"name": "Not that either"}, end=at(20, 8))
    assert term.site.row(record).event_name == "Later"


def test_the_lecture_of_the_timetable_goes_along(term: Term) -> None:
    term.add()
    ada = person(term.site, "ada@example.org")
    assert change(term, 2, ada, start=at(20, 9), end=at(20, 10))
    assert term.unroll() == 0
    assert term.local()[:3] == ["10-12 10:00", "10-20 09:00", "10-26 10:00"]
    moved = term.rows()[1]
    assert moved.is_changed and moved.start_at == at(20, 9)


def test_who_may(term: Term) -> None:
    ann, eve = person(term.site, "ann@x.org"), person(term.site, "eve@x.org")
    term.site.environ["MERGER_ACCESS"] = "ask"
    record, other = ask(term, ann), ask(term, eve, 20)
    with pytest.raises(NotFound):
        change(term, record, eve, start=at(21, 9), end=at(21, 10))
    with pytest.raises(Forbidden):  # it would be within another's recording
        change(term, record, ann, start=at(20, 14, 15), end=at(20, 14, 45))
    with pytest.raises(Conflict):
        change(
            term, record, person(term.site, "ed@x.org", "editor"), start=at(20, 14), end=at(20, 15)
        )
    assert term.site.row(record).start_at == at(19, 14) and other


def test_what_has_begun_stays(term: Term) -> None:
    ann = person(term.site, "ann@x.org")
    record = ask(term, ann)

    def begin(session: Any) -> None:
        session.get_one(Record, record).stage = "encode"

    writing(term.site.engine, begin)
    with pytest.raises(Conflict):
        change(term, record, ann, {"name": "New"}, start=at(20, 9), end=at(20, 10))
    assert change(term, record, ann, {"name": "New"})
