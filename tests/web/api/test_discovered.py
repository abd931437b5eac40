"""The API and the command line: a recording of Zoom's by its UUID or a link; what nobody asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

import app
from merger.db.engine import writing
from models import Record, Room, Source
from tests.conftest import START
from tests.fakes.zoom import NUMBER, UUID, ZoomServer, zoom_served
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, problem, told

pytestmark = ON_SQLITE
LINK = f"https://zoom.us/recording/detail?meeting_id={UUID}"  # with the plus as it is


@pytest.fixture
def zoom(web: Web) -> Iterator[ZoomServer]:
    """A Zoom with a lecture of Eve's room, whose host is Ann; the web service knows it."""
    with zoom_served() as server:
        server.add_meeting(host_email="Ann@example.org")
        server.add_file("active_speaker", START, 60)
        web.site.environ |= server.variables
        made = app.create_service(web.site.settings, web.site.engine)
        web.app = app.create_web(dataclasses.replace(made, now=lambda: web.site.clock))
        yield server


def add_room(web: Web) -> None:
    def add(session: Any) -> None:
        row = Room(name="Z", zone="Europe/Moscow", chunk_s=1800)
        row.sources = [Source(name="z", role="speaker", kind="zoom", address=f"zoom:{NUMBER}")]
        session.add(row)

    writing(web.site.engine, add)


@pytest.mark.parametrize("text", [UUID, LINK, LINK.replace("+", "%2B")])
def test_a_recording_is_asked_for(web: Web, zoom: ZoomServer, text: str) -> None:
    add_room(web)
    made = told(web.api("eve", "POST", "/records", json={"zoom": text}), 201)
    assert (made["room"], made["name"]) == ("Z", "Algebra")
    assert made["users"] == ["ann@example.org", "eve@example.org"]
    again = told(web.api("ann", "POST", "/records", json={"zoom": text}), 200)
    assert again["id"] == made["id"]


def test_only_its_host_and_editors_may(web: Web, zoom: ZoomServer) -> None:
    add_room(web)
    known = problem(web.api("bob", "POST", "/records", json={"zoom": UUID}), 422, "zoom")
    unknown = problem(web.api("bob", "POST", "/records", json={"zoom": "A" * 22}), 422, "zoom")
    assert known["detail"] == unknown["detail"]
    told(web.api("ann", "POST", "/records", json={"zoom": UUID}), 201)


def test_what_makes_no_sense(web: Web, zoom: ZoomServer) -> None:
    problem(web.api("eve", "POST", "/records", json={"zoom": "A" * 22}), 422, "zoom")
    problem(web.api("eve", "POST", "/records", json={"zoom": UUID, "room": "Z"}), 422, "room")
    problem(web.api("eve", "POST", "/records", json={"room": "504"}), 422, "start")
    problem(web.api("eve", "POST", "/records", json={}), 422, "room")
    said = problem(web.api("eve", "POST", "/records", json={"zoom": UUID}), 422, "zoom")
    assert "no room has a source" in said["detail"]


def test_a_service_without_zoom(web: Web) -> None:
    problem(web.api("eve", "POST", "/records", json={"zoom": UUID}), 422, "zoom")


def test_others_are_named_as_everywhere(web: Web, zoom: ZoomServer) -> None:
    """By addresses in their one form; those from outside are asked, and the name is clean."""
    add_room(web)
    zoom.meetings[UUID]["topic"] = "\u202eAlgebra\x00"
    wanted = {"zoom": UUID, "users": ["Bob@Example.org", "Stranger@Example.com"]}
    for again in (201, 200):
        made = told(web.api("ann", "POST", "/records", json=wanted), again)
        assert made["users"] == ["ann@example.org", "bob@example.org", "stranger@example.com"]
        assert made["unconfirmed_users"] == ["stranger@example.com"]
        assert made["name"] == "Algebra"
    odd = {"zoom": UUID, "users": ["\uff41nn@example.org"]}
    problem(web.api("ann", "POST", "/records", json=odd), 422, "users")
    (offer,) = told(web.api("eve", "GET", "/offers"))["offers"]
    assert offer["name"] == "Algebra"


def test_editors_see_what_nobody_asked_for(web: Web, zoom: ZoomServer) -> None:
    web.api("eve", "POST", "/records", json={"zoom": UUID})
    (offer,) = told(web.api("eve", "GET", "/offers"))["offers"]
    assert (offer["state"], offer["origin"], offer["record"]) == ("unplaced", UUID, None)
    assert offer["reason"] == f"no room has a source with the address zoom:{NUMBER}"
    problem(web.api("ann", "GET", "/offers"), 403)


def test_the_command(web: Web, zoom: ZoomServer) -> None:
    refused = web.site.run("fetch-zoom", UUID)
    assert refused.returncode == 2 and "no room has a source" in refused.stderr
    add_room(web)
    said = web.site.said("fetch-zoom", LINK, "--user", "bob@example.org")
    assert said["is_new"] and said["users"] == ["ann@example.org", "bob@example.org"]
    again = web.site.run("fetch-zoom", UUID)
    assert again.stdout == f"recording {said['id']} (already exists)\n"


def delivered(web: Web) -> None:
    done = update(Record).values(status="delivered", stage="deliver", delivered_version=1)
    writing(web.site.engine, lambda session: session.execute(done))


def test_with_a_name_and_a_course_and_again(web: Web, zoom: ZoomServer) -> None:
    add_room(web)
    wanted = {"zoom": UUID, "event_name": "Rings", "course_code": "MATH-101"}
    made = told(web.api("eve", "POST", "/records", json=wanted), 201)
    assert (made["name"], made["course_code"]) == ("Rings", "MATH-101")
    delivered(web)
    other = {"zoom": UUID, "name": "Fields", "course_code": "MATH-102"}
    kept = told(web.api("eve", "POST", "/records", json=other))
    assert (kept["name"], kept["course_code"], kept["version"]) == ("Rings", "MATH-101", 1)
    remade = told(web.api("eve", "POST", "/records", json={**other, "again": True}))
    assert (remade["name"], remade["course_code"]) == ("Fields", "MATH-102")
    assert (remade["status"], remade["version"], remade["id"]) == ("queued", 2, made["id"])
    still = told(web.api("eve", "POST", "/records", json={"zoom": UUID, "again": True}))
    assert still["version"] == 2  # that one is still to be made
    room = {"room": "504", "start": "2026-11-20T10:00", "end": "2026-11-20T11:00", "again": True}
    problem(web.api("eve", "POST", "/records", json=room), 422, "again")


def test_a_file_of_links(web: Web, zoom: ZoomServer) -> None:
    add_room(web)
    other = "otherUUID/111111111=="
    zoom.add_meeting(other)
    zoom.add_file("active_speaker", START + timedelta(hours=3), 3600, uuid=other)
    file = web.site.folder / "links.csv"
    file.write_text(f"\ufefflink, course\n{LINK}, MATH-101\n\nnonsense, X\n{other},\n")
    done = web.site.run("fetch-zoom", "--from", str(file), "--course", "MISC")
    assert done.returncode == 2
    first, wrong, last = done.stdout.splitlines()
    assert (first, last) == ("recording 1", "recording 2") and wrong.startswith("line 4: ")
    assert [web.site.row(n).course_code for n in (1, 2)] == ["MATH-101", "MISC"]
    file.write_text("link;course\n")
    assert "the file lists nothing" in web.site.run("fetch-zoom", "--from", str(file)).stderr
    assert web.site.run("fetch-zoom", "--from", str(file), UUID).returncode == 2
    assert web.site.run("fetch-zoom", "--from", "/nowhere.csv").returncode == 2
