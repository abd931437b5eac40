"""Where is a lecture, over HTTP and from the command line; records and discoveries of a meeting."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

import app
from tests.fakes.zoom import NUMBER, zoom_served
from tests.intake.test_matching import HOUR, Campus, local
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, problem, told
from tests.web.pages.reader import Reader


@pytest.fixture
def university(web: Web) -> Iterator[Campus]:
    """A web service with people whose room has a meeting."""
    with zoom_served() as zoom:
        made = Campus(web.site, zoom)
        made.add_room("Z")
        web.app = app.create_web(dataclasses.replace(made.service, now=lambda: web.site.clock))
        yield made


@ON_SQLITE
def test_people_see_their_own_alone(web: Web, university: Campus) -> None:
    university.plan(room="Z", owners=("ann@example.org",))
    university.meet(local(7, 10))
    university.zoom.meetings.clear()
    university.meet(local(8, 16), number=987654321)  # of no room: its host alone

    def found(who: str, q: str) -> Any:
        return told(web.api(who, "GET", f"/where?q={q}"))["meetings"]

    assert len(found("ann", "MATH-101")) == len(found("eve", "MATH-101")) == 1
    assert found("bob", "MATH-101") == found("bob", str(NUMBER)) == []
    assert found("eve", "987654321")[0]["recordings"][0]["offer"]["state"] == "unplaced"
    assert found("ann", "987654321") == []
    problem(web.api("eve", "GET", "/where?q=1&cursor=x"), 422, "cursor")
    problem(web.api("eve", "GET", "/where"), 422, "q")


@ON_SQLITE
def test_the_page(web: Web, university: Campus) -> None:
    university.set(MERGER_UNMATCHED="ignore")
    university.plan(room="Z", owners=("ann@example.org",))
    university.meet(local(7, 10))
    university.meet(local(8, 16))
    ann = Reader(web.signed_in("ann"))
    assert "Where is a lecture?" in ann.get("/where")
    page = ann.get(f"/where?q={NUMBER}")
    assert "MATH-101: Lecture" in page and "no lecture of room" not in page
    assert "lecture of room Z is held then" in Reader(web.signed_in("eve")).get(
        f"/where?q={NUMBER}"
    )
    assert "has 9 to 11 digits" in ann.get("/where?q=123")
    assert "Где лекция?" in Reader(web.signed_in("ann"), "ru").get(f"/where?q={NUMBER}")


@ON_SQLITE
def test_the_command(web: Web, university: Campus) -> None:
    university.plan(room="Z")
    university.meet(local(7, 10))
    said = web.site.said("where", "123-4567", "8901")
    assert [meeting["number"] for meeting in said["meetings"]] == [str(NUMBER)]
    printed = web.site.run("where", "MATH-101").stdout
    assert f"{NUMBER}  Z  none" in printed and "1  queued  MATH-101: Lecture" in printed
    assert "nothing is known of it" in web.site.run("where", "abcdefghijk").stdout


@ON_SQLITE
def test_records_of_a_meeting_and_of_a_lecture(web: Web, university: Campus) -> None:
    university.plan(room="Z")
    university.meet(local(7, 10))
    university.meet(local(14, 10))
    occurrence = university.occurrences()[1].id

    def ids(query: str) -> list[int]:
        return [row["id"] for row in told(web.api("eve", "GET", f"/records?{query}"))["records"]]

    assert ids(f"meeting={NUMBER}") == [2, 1] and ids(f"occurrence={occurrence}") == [2]
    assert ids("meeting=999999999") == ids("occurrence=999") == []
    problem(web.api("eve", "GET", "/records?meeting=abc"), 422, "meeting")


@ON_SQLITE
def test_discovered_recordings_are_filtered(web: Web, university: Campus) -> None:
    for day in (7, 8, 9):
        web.site.clock += HOUR
        university.meet(local(day, 10), number=NUMBER + day)

    def origins(query: str) -> Any:
        page = told(web.api("eve", "GET", f"/offers?{query}"))
        return [one["address"][-1] for one in page["offers"]], page["next"]

    assert origins("") == (["0", "9", "8"], None)
    assert origins(f"place={NUMBER + 8}") == (["9"], None)
    assert origins("kind=other") == origins("state=ignored") == ([], None)
    since = (web.site.clock - HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert origins(f"state=unplaced&since={since}") == (["0", "9"], None)
    assert origins("limit=2") == (["0", "9"], "2") and origins("limit=2&cursor=2") == (["8"], None)
    problem(web.api("eve", "GET", "/offers?cursor=x"), 422, "cursor")
    problem(web.api("eve", "GET", "/offers?state=lost"), 422, "state")
