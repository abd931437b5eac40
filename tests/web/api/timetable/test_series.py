"""The API of series, their occurrences and days off: who may, what is refused, what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from merger.series.unroll import unroll
from merger.timeline.clock import utc
from tests.conftest import START
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, ask, problem, told

pytestmark = ON_SQLITE

MONDAYS = {
    "room": "504", "name": "Optics", "start": "2026-11-23T10:00", "length": "90m",
    "rule": "FREQ=WEEKLY;BYDAY=MO", "until": "2026-12-21",
}  # fmt: skip


@pytest.fixture(autouse=True)
def friday(web: Web) -> None:
    web.site.clock = utc(START)  # 20 November 2026 in Moscow


def add(web: Web, who: str = "ann", **changes: Any) -> Any:
    return web.api(who, "POST", "/series", json={**MONDAYS, **changes})


def lectures(web: Web, who: str = "ann", query: str = "") -> list[dict[str, Any]]:
    return list(told(web.api(who, "GET", f"/occurrences{query}"))["occurrences"])


def test_a_series_is_added_shown_and_recorded(web: Web) -> None:
    response = add(web, course_code="PHYS-1")
    made = told(response, 201)
    assert response.headers["Location"] == f"/api/v1/series/{made['id']}"
    assert made["people"] == ["ann@example.org"] and made["clashes"] == []
    assert (made["end"], made["length"], made["zone"]) == (
        "2026-11-23T11:30:00",
        "90m",
        "Europe/Moscow",
    )
    assert (made["state"], made["status_code"], made["source"]) == ("active", 200, "requested")
    shown = told(web.api("ann", "GET", f"/series/{made['id']}"))
    assert shown.items() <= made.items()
    assert told(web.api("ann", "GET", "/series"))["series"] == [shown]
    found = lectures(web)
    assert [one["start"] for one in found[:2]] == [
        "2026-11-23T10:00:00+03:00",
        "2026-11-30T10:00:00+03:00",
    ]
    assert [one["status_code"] for one in found] == [200] * 5
    records = told(web.api("ann", "GET", "/records"))["records"]
    assert {record["name"] for record in records} == {"PHYS-1: Optics"} and len(records) == 5
    assert web.api("ann", "DELETE", f"/series/{made['id']}").status_code == 204
    assert told(web.api("ann", "GET", f"/series/{made['id']}"))["status_code"] == 220
    assert {one["status_code"] for one in lectures(web)} == {900}


WRONG = [
    ({"rule": "FREQ=SECONDLY"}, "rule"), ({"rule": "FOO"}, "rule"), ({"zone": "Mars/Phobos"}, "zone"),
    ({"length": "0m"}, "length"), ({"length": "-5m"}, "length"), ({"length": "abc"}, "length"),
    ({"length": "25h"}, "length"), ({"length": None}, "length"), ({"start": "2025-09-18"}, "start"),
    ({"length": None, "end": "2026-11-23T09:00"}, "end"), ({"end": "2026-11-23T11:00"}, "end"),
    ({"start": "2026-11-23T10:00+01:00"}, "start"), ({"start": None}, "start"), ({"start": "2036-11-23T10:00"}, "start"),
    ({"people": []}, "people"), ({"people": ["nobody"]}, "people"), ({"people": ["bob@example.org"]}, "people"),
    ({"room": None}, "room"), ({"room": "505"}, "room"), ({"until": "soon"}, "until"), ({"until": "2026-11-01"}, "until"),
    ({"exdates": ["x"]}, "exdates"), ({"layout": "pyramid"}, "layout"), ({"profile": "8k"}, "profile"),
    ({"nonsense": 1}, "nonsense"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field"), WRONG)
def test_what_no_series_can_be_is_refused_with_its_field(
    web: Web, changes: Any, field: str
) -> None:
    problem(add(web, **changes), 422, field)
    assert told(web.api("ada", "GET", "/series"))["series"] == []


def test_all_mistakes_are_named_at_once(web: Web) -> None:
    said = problem(
        add(web, rule="FOO", zone="Mars/Phobos", length="0m", people=[], room="505"), 422
    )
    assert {one["field"] for one in said["errors"]} == {"rule", "zone", "length", "people", "room"}


def test_nobody_sees_or_changes_the_series_of_others(web: Web) -> None:
    series = told(add(web), 201)["id"]
    occurrence = lectures(web)[0]["id"]
    assert lectures(web, "bob") == [] and told(web.api("bob", "GET", "/series"))["series"] == []
    for method in ("GET", "PATCH"):
        body = {"json": {}} if method == "PATCH" else {}
        problem(web.api("bob", method, f"/series/{series}", **body), 404)
        problem(web.api("bob", method, f"/occurrences/{occurrence}", **body), 404)
    problem(web.api("bob", "DELETE", f"/series/{series}"), 404)
    assert len(lectures(web, "eve")) == 5


def test_who_shares_a_series_sees_it_and_changes_nothing(web: Web) -> None:
    series = told(add(web, people=["ann@example.org", "bob@example.org"]), 201)["id"]
    occurrence = lectures(web, "bob")[0]["id"]
    assert told(web.api("bob", "GET", f"/series/{series}"))["name"] == "Optics"
    problem(web.api("bob", "PATCH", f"/occurrences/{occurrence}", json={"is_off": True}), 403)
    problem(web.api("bob", "DELETE", f"/series/{series}"), 403)


def test_a_room_that_is_closed_to_people(web: Web) -> None:
    told(web.api("eve", "PATCH", "/rooms/1", json={"requesters": {"who": "editors"}}))
    assert problem(add(web), 403)["code"] == "access"
    told(add(web, "eve"), 201)


def test_nobody_takes_the_time_of_others_every_week(web: Web) -> None:
    told(ask(web, "bob", start="2026-11-30T11:00", end="2026-11-30T12:00", name="Secret"), 201)
    said = problem(add(web), 409)
    assert "2026-11-30 10:00: somebody else's recording, 11:00–12:00" in said["detail"]
    assert "Secret" not in said["detail"]
    told(add(web, exdates=["2026-11-30"]), 201)
    assert [one["start"][:10] for one in lectures(web)][1] == "2026-12-07"
    clashes = told(add(web, "eve", start="2026-11-23T12:00", length="1h"), 201)["clashes"]
    assert clashes == []
    # A lecture of a series that is held later than occurrences are kept.
    problem(add(web, "bob", start="2026-12-21T10:30", until="2026-12-21"), 409)
    clashes = told(add(web, "eve"), 201)["clashes"]
    assert clashes[0]["reason"] == "Optics is recorded 10:00–11:30"


def test_what_others_have_requested_meanwhile_is_left_to_them(web: Web) -> None:
    told(add(web, until="2027-02-01"), 201)
    told(ask(web, "bob", start="2027-01-11T10:00", end="2027-01-11T11:30"), 201)
    told(
        ask(
            web, "eve", start="2027-01-18T10:00", end="2027-01-18T11:30", users=["ann@example.org"]
        ),
        201,
    )
    web.site.clock = utc(START.replace(year=2027, month=1, day=10))
    unroll(web.site.engine, web.site.clock)
    first, second = lectures(web)[:2]
    assert first["is_off"] and first["record"] is None and "somebody else" in first["reason"]
    assert not second["is_off"] and second["record"] is not None  # it was shared with her
    assert unroll(web.site.engine, web.site.clock) == 0
    back = web.api("ann", "PATCH", f"/occurrences/{first['id']}", json={"is_off": False})
    assert "somebody else" in problem(back, 409)["detail"]
    told(web.api("eve", "PATCH", f"/occurrences/{first['id']}", json={"is_off": False}))
    assert not lectures(web)[0]["is_off"]


def test_a_lecture_that_was_skipped_does_not_come_back_over_others(web: Web) -> None:
    told(add(web), 201)
    one = lectures(web)[0]["id"]
    told(web.api("ann", "PATCH", f"/occurrences/{one}", json={"is_off": True}))
    told(ask(web, "bob", start="2026-11-23T10:00", end="2026-11-23T11:30"), 201)
    problem(web.api("ann", "PATCH", f"/occurrences/{one}", json={"is_off": False}), 409)
    assert lectures(web)[0]["status_code"] == 900


def test_a_series_that_is_switched_on_again_leaves_others_their_time(web: Web) -> None:
    path = f"/series/{told(add(web), 201)['id']}"
    told(web.api("ann", "PATCH", path, json={"state": "disabled", "reason": "ill"}))
    told(ask(web, "bob", start="2026-11-23T10:00", end="2026-11-23T11:30"), 201)
    told(web.api("ann", "PATCH", path, json={"state": "active"}))
    assert [one["is_off"] for one in lectures(web)] == [True, False, False, False, False]
    taken = told(web.api("bob", "GET", "/records?user=bob@example.org"))["records"]
    assert [record["users"] for record in taken] == [["bob@example.org"]]


def test_a_lecture_is_skipped_moved_and_renamed_by_its_owner(web: Web) -> None:
    told(add(web), 201)
    one = lectures(web)[0]["id"]
    path = f"/occurrences/{one}"
    skipped = told(web.api("ann", "PATCH", path, json={"is_off": True}))
    assert (skipped["state"], skipped["status_code"]) == ("off", 900)
    assert skipped["reason"] == "ann@example.org skipped it"
    moved = {"is_off": False, "start": "2026-11-25T12:00", "name": "Lenses"}
    shown = told(web.api("ann", "PATCH", path, json=moved))
    assert (shown["start"], shown["end"]) == (
        "2026-11-25T12:00:00+03:00",
        "2026-11-25T13:30:00+03:00",
    )
    assert shown["original"] == "2026-11-23T10:00:00+03:00" and shown["is_changed"]
    assert web.site.row(shown["record"]).event_name == "Lenses"
    assert told(web.api("ann", "PATCH", path, json={"name": ""}))["name"] == "Optics"
    for changes, field in (
        ({"start": "2026-12-20T12:00"}, "start"), ({"end": "2026-11-25T12:00"}, "end"),
        ({"end": "2026-11-27T12:00"}, "end"), ({"room": "505"}, "room"), ({"start": "x"}, "start"),
        ({"is_off": None}, "is_off"),
    ):  # fmt: skip
        problem(web.api("ann", "PATCH", path, json=changes), 422, field)
    told(ask(web, "bob", start="2026-11-26T10:00", end="2026-11-26T11:00"), 201)
    taken = web.api("ann", "PATCH", path, json={"start": "2026-11-26T10:30"})
    assert problem(taken, 409)["code"] == "start"
    web.site.add_room("closed")
    told(web.api("eve", "PATCH", "/rooms/2", json={"requesters": {"who": "editors"}}))
    assert problem(web.api("ann", "PATCH", path, json={"room": "closed"}), 409)["code"] == "room"
    assert told(web.api("eve", "PATCH", path, json={"room": "closed"}))["room"] == "closed"
    web.site.clock = utc(START.replace(month=12))
    problem(web.api("eve", "PATCH", path, json={"is_off": True}), 409)


@pytest.mark.parametrize("code", [900, "900"])
def test_a_series_is_switched_off_by_its_number(web: Web, code: object) -> None:
    path = f"/series/{told(add(web), 201)['id']}"
    problem(web.api("ann", "PATCH", path, json={"status_code": code}), 422, "status_message")
    off = told(web.api("ann", "PATCH", path, json={"status_code": code, "status_message": "ill"}))
    assert (off["state"], off["status_code"], off["reason"]) == ("disabled", 900, "ill")
    assert {one["status_code"] for one in lectures(web)} == {900}
    assert told(web.api("ann", "PATCH", path, json={"status_code": 200}))["state"] == "active"
    assert {one["status_code"] for one in lectures(web)} == {200}
    problem(web.api("ann", "PATCH", path, json={"state": "disabled"}), 422, "reason")
    problem(
        web.api("ann", "PATCH", path, json={"state": "active", "status_code": 900}),
        422,
        "status_code",
    )
    problem(web.api("ann", "PATCH", "/series/77", json={"status_code": 200}), 404)


def test_a_series_is_changed(web: Web) -> None:
    path = f"/series/{told(add(web), 201)['id']}"
    changed = told(
        web.api("ann", "PATCH", path, json={"start": "2026-11-23T12:00", "name": "Waves"})
    )
    assert (changed["start"], changed["length"], changed["name"]) == (
        "2026-11-23T12:00:00",
        "90m",
        "Waves",
    )
    assert lectures(web)[0]["start"] == "2026-11-23T12:00:00+03:00"
    problem(web.api("ann", "PATCH", path, json={"room": None}), 422, "room")
    told(ask(web, "bob", start="2026-11-23T14:00", end="2026-11-23T15:00"), 201)
    problem(web.api("ann", "PATCH", path, json={"start": "2026-11-23T14:00"}), 409)


def test_what_an_editor_has_planned_is_not_changed_by_its_owner(web: Web) -> None:
    path = f"/series/{told(add(web, 'eve', people=['ann@example.org']), 201)['id']}"
    problem(web.api("ann", "PATCH", path, json={"name": "Mine"}), 403)
    problem(web.api("ann", "DELETE", path), 403)
    told(web.api("ann", "PATCH", path, json={"state": "disabled", "reason": "ill"}))
    told(web.api("eve", "PATCH", path, json={"name": "Waves", "state": "active"}))


def test_outsiders_in_a_series_are_asked_first(web: Web) -> None:
    told(add(web, people=["ann@example.org", "guest@elsewhere.org"]), 201)
    told(web.api("ann", "PATCH", "/series/1", json={"start": "2026-11-23T12:00"}))
    record = told(web.api("ann", "GET", f"/records/{lectures(web)[0]['record']}"))
    assert record["unconfirmed_users"] == ["guest@elsewhere.org"]
    many = ["ann@example.org", *(f"{n}@elsewhere.org" for n in range(40))]
    problem(add(web, start="2026-11-24T10:00", rule=None, people=many), 422, "users")


def test_days_off_stop_lectures_and_end(web: Web) -> None:
    told(add(web), 201)
    body = {"first": "2026-11-30", "last": "2026-12-07", "name": "Holidays"}
    problem(web.api("ann", "POST", "/days-off", json=body), 403)
    made = told(web.api("eve", "POST", "/days-off", json=body), 201)
    assert told(web.api("ann", "GET", "/days-off"))["days_off"] == [made]
    assert [one["is_off"] for one in lectures(web)] == [False, True, True, False, False]
    assert lectures(web)[1]["reason"] == "it is a day off"
    problem(web.api("eve", "POST", "/days-off", json=body), 409)
    for changes, field in (
        ({"first": "x"}, "first"),
        ({"last": "2026-11-01"}, "last"),
        ({"room": "505"}, "room"),
    ):
        problem(web.api("eve", "POST", "/days-off", json={**body, **changes}), 422, field)
    assert web.api("eve", "DELETE", f"/days-off/{made['id']}").status_code == 204
    assert not any(one["is_off"] for one in lectures(web))
    problem(web.api("eve", "DELETE", f"/days-off/{made['id']}"), 404)


def test_lists_of_lectures_are_limited(web: Web) -> None:
    told(add(web), 201)
    for query, field in (
        ("from=x", "from"), ("to=2020-01-01T00:00", "to"), ("to=2030-01-01T00:00", "to"), ("room=505", "room"),
    ):  # fmt: skip
        problem(web.api("ann", "GET", f"/occurrences?{query}"), 422, field)
    assert len(lectures(web, query="?room=504&from=2026-11-30T00:00Z&to=2026-12-10T00:00Z")) == 2
    assert lectures(web, query="?series=77") == []


def test_a_key_that_may_only_write_learns_no_more_than_the_id(web: Web) -> None:
    web.add("cam", "user", ("write",))
    made = told(add(web, "cam"), 201)
    assert made == {"id": 1}
    assert told(web.api("cam", "PATCH", "/series/1", json={"name": "x"})) == {"id": 1}
