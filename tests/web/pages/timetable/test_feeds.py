"""Timetables as calendars: who gets an address, what it shows, and when it leads nowhere."""

from __future__ import annotations

import logging
import re
from datetime import timedelta

import pytest
from icalendar import Calendar, Event

from merger.accounts import users
from merger.series import store
from merger.series.store import OccurrenceEdit
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web
from tests.web.pages.reader import Reader, reader
from tests.web.pages.timetable.planned import plan

pytestmark = ON_SQLITE
ADDRESS = re.compile(r'value="http[^"]*?(/calendars/[^"]+\.ics)"')


def address(there: Reader, action: str = "/account/calendar", on: str = "/account") -> str:
    """Have a calendar get a new address, and return its path."""
    found = ADDRESS.search(there.done(on, action, {"act": "renew"}))
    assert found
    return found[1]


def events(web: Web, path: str) -> list[Event]:
    response = web.app.test_client().get(path)
    assert response.status_code == 200 and response.content_type.startswith("text/calendar")
    return list(Calendar.from_ical(response.data).walk("VEVENT"))


def test_people_subscribe_to_their_own_lectures(web: Web) -> None:
    plan(web)
    ann = reader(web, "ann")
    assert ADDRESS.search(ann.get("/account")) is None
    path = address(ann)
    found = events(web, path)
    assert [str(one["STATUS"]) for one in found] == ["CONFIRMED"] * 5
    first = found[0]
    assert (str(first["SUMMARY"]), str(first["LOCATION"])) == ("Optics", "504")
    assert first.decoded("DTSTART").isoformat() == "2026-11-23T07:00:00+00:00"
    web.site.clock += timedelta(minutes=1)
    store.edit_occurrence(web.site.engine, 1, OccurrenceEdit(is_off=True), web.site.clock, None)
    later = found[1].decoded("DTSTART") + timedelta(hours=1)
    store.edit_occurrence(web.site.engine, 2, OccurrenceEdit(start=later), web.site.clock, None)
    again = events(web, path)
    grown = [int(b["SEQUENCE"]) - int(a["SEQUENCE"]) for a, b in zip(found, again, strict=True)]
    assert grown == [60, 60, 0, 0, 0] and again[1].decoded("DTSTART") == later
    assert [str(one["UID"]) for one in again] == [str(one["UID"]) for one in found]
    assert [str(one["STATUS"]) for one in again] == ["CANCELLED", *["CONFIRMED"] * 4]
    assert str(again[0]["DESCRIPTION"]) == "it was skipped"
    assert events(web, address(reader(web, "bob"))) == []


def test_an_address_that_was_renewed_or_removed_leads_nowhere(web: Web) -> None:
    plan(web)
    ann, stranger = reader(web, "ann"), web.app.test_client()
    old = address(ann)
    new = address(ann)
    assert old != new and stranger.get(old).status_code == 404
    assert stranger.get(new).status_code == 200
    assert ADDRESS.search(ann.done("/account", "/account/calendar", {"act": "revoke"})) is None
    assert stranger.get(new).status_code == 404
    renewed = address(ann)
    assert renewed not in (old, new) and stranger.get(new).status_code == 404
    for odd in ("x", "x.y", new[11:-5], renewed[11:-5] + "A"):
        assert stranger.get(f"/calendars/{odd}.ics").status_code == 404
    users.delete_user(web.site.engine, web.ids["ann"])
    assert stranger.get(renewed).status_code == 404


def test_editors_have_addresses_of_rooms(web: Web) -> None:
    plan(web)
    page = "/timetable?room=1"
    path = address(reader(web, "eve"), "/rooms/1/calendar", page)
    assert len(events(web, path)) == 5
    ann = reader(web, "ann")
    assert "/calendars/" not in ann.get(page)
    assert ann.send(page, "/rooms/1/calendar", {"act": "renew"}).status_code == 403
    assert reader(web, "eve").send(page, "/rooms/77/calendar").status_code == 404


def test_programs_ask_again_only_for_what_has_changed(web: Web) -> None:
    plan(web)
    path, stranger = address(reader(web, "ann")), web.app.test_client()
    first = stranger.get(path)
    assert first.headers["Cache-Control"] == "private, max-age=900"
    headers = {"If-None-Match": first.headers["ETag"]}
    assert stranger.get(path, headers=headers).status_code == 304
    store.edit_occurrence(web.site.engine, 1, OccurrenceEdit(is_off=True), web.site.clock, None)
    assert stranger.get(path, headers=headers).status_code == 200


def test_no_address_gets_into_the_log(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    path = address(reader(web, "ann"))
    caplog.set_level(logging.DEBUG)
    web.app.test_client().get(path)
    assert "/calendars/" in caplog.text and path[11:30] not in caplog.text
