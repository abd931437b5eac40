"""Records that nobody wants any more: what is removed with them, and what stays."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from merger import failpoints
from merger.daemon.retention import remove_expired
from merger.db.engine import reading
from merger.records import actions
from models import User
from tests.records.versions import (
    FROM_S,
    LARGE,
    UNTIL_S,
    again,
    check_version,
    delivered_lecture,
    in_the_folder,
    refused,
)
from tests.support.aftermath import deliveries, merge_of, rows
from tests.support.databases import ON_SQLITE
from tests.support.site import Site


@pytest.fixture
def lecture(site: Site) -> Site:
    return delivered_lecture(site)


ROWS_OF_RECORDS = ("records", "record_users", "chunks", "renditions", "deliveries", "events")


def user(site: Site, name: str) -> int:
    with reading(site.engine) as session:
        return session.scalars(select(User.id).where(User.email == f"{name}@example.org")).one()


def wanted_by(site: Site) -> list[str]:
    return [str(email).partition("@")[0] for email in site.details()["users"]]


def leave(site: Site, only_of: int | None) -> bool:
    return actions.withdraw(site.engine, 1, site.clock, only_of)


def is_gone(site: Site, first: dict[str, bytes]) -> None:
    """Nothing is left of a record but the videos that were delivered."""
    assert refused(site.details) == "record"
    there = rows(site)
    assert {name: there[name] for name in ROWS_OF_RECORDS} == {name: [] for name in ROWS_OF_RECORDS}
    assert there["segments"] and there["users"]
    remove_expired(site.service, site.clock)
    assert list((site.settings.data / "records").iterdir()) == []
    assert in_the_folder(site) == first


def test_a_record_goes_with_the_last_who_wants_it(lecture: Site) -> None:
    first, (ann, bob) = in_the_folder(lecture), (user(lecture, "ann"), user(lecture, "bob"))
    assert leave(lecture, ann) is False
    assert wanted_by(lecture) == ["bob"]
    assert refused(lambda: leave(lecture, ann)) == "record"
    check_version(lecture, 1)
    assert lecture.events()[-1] == "left"
    assert leave(lecture, bob) is True
    is_gone(lecture, first)


@ON_SQLITE
def test_who_comes_second_owns_it_then(lecture: Site) -> None:
    """The queue is fair by owners: it needs one."""
    assert leave(lecture, user(lecture, "ann")) is False
    lecture.ask(UNTIL_S, FROM_S, users=("ann@example.org",))
    assert wanted_by(lecture) == ["bob", "ann"]
    assert [entry.split(", ")[-2] for entry in rows(lecture)["record_users"]] == ["1", "0"]


def test_an_editor_removes_it_whoever_wants_it(lecture: Site) -> None:
    first = in_the_folder(lecture)
    assert leave(lecture, None) is True
    is_gone(lecture, first)


@ON_SQLITE
def test_what_is_asked_for_after_that_is_a_record_like_any_other(lecture: Site) -> None:
    """Its video comes beside the one that stays: nobody knows any more whose that is."""
    first = in_the_folder(lecture)
    leave(lecture, None)
    record = lecture.ask(UNTIL_S, FROM_S, users=("ann@example.org",))
    assert lecture.work() == "delivered"
    there = in_the_folder(lecture)
    assert first.items() < there.items() and len(there) == 4
    names = {entry.name for entry in deliveries(lecture, record).values()}
    assert names == set(there) - set(first)


@ON_SQLITE
def test_one_that_waits_is_not_begun(lecture: Site) -> None:
    first = in_the_folder(lecture)
    again(lecture, layout="screen_large")
    assert leave(lecture, None) is True
    assert lecture.work() is None
    is_gone(lecture, first)


def test_one_that_is_worked_on_is_not_removed(
    lecture: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, bob = user(lecture, "ann"), user(lecture, "bob")

    def look(place: str) -> None:
        if place == "encode.joined":
            assert refused(lambda: leave(lecture, None)) == "status"
            assert leave(lecture, ann) is False  # of whom the work is not
            assert refused(lambda: leave(lecture, bob)) == "status"
            assert wanted_by(lecture) == ["bob"]

    again(lecture, layout="screen_large")
    monkeypatch.setattr(failpoints, "hook", look)
    assert lecture.work() == "delivered"
    check_version(lecture, 2, left_px=LARGE)
    first = in_the_folder(lecture)
    assert leave(lecture, bob) is True
    is_gone(lecture, first)
    assert merge_of(lecture).exists()
