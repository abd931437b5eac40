"""The API of records: what it takes, what it refuses, and what it answers."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from merger.db.engine import writing
from merger.errors import Broken
from merger.i18n import Message, to_json
from merger.timeline.clock import utc
from models import Delivery, Event, Record
from tests.conftest import START
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.web.conftest import LECTURE, Web, ask, problem, told


def test_the_video_of_a_lecture_is_asked_for(web: Web) -> None:
    made = told(ask(web, event_name=" Матан,  лекция 9 ", course_code="M1", users=["b@x.org"]), 201)
    assert made["id"] == 1 and made["status"] == "queued"
    assert (made["start"], made["end"]) == (
        "2026-11-20T10:05:00+03:00",
        "2026-11-20T11:20:00+03:00",
    )
    assert (made["name"], made["course_code"]) == ("Матан, лекция 9", "M1")
    assert made["users"] == ["ann@example.org", "b@x.org"]  # who asks is its owner
    assert [event["kind"] for event in made["events"]] == ["asked"]
    assert {**told(web.api("ann", "GET", "/records/1")), "access": "granted"} == made
    assert web.site.row().start_at == utc(START) + timedelta(minutes=5)


def test_who_asks_for_the_same_again_is_added(web: Web) -> None:
    ask(web)
    again = told(ask(web, "bob"))
    assert again["id"] == 1 and again["users"] == ["ann@example.org", "bob@example.org"]
    assert told(ask(web, "bob", layout="speaker_only"), 201)["id"] == 2


def test_the_same_idempotency_key_gets_the_first_answer_again(web: Web) -> None:
    def keyed(who: str = "ann", key: str = "k", **changes: Any) -> Any:
        asked = {**LECTURE, **changes}
        return web.api(who, "POST", "/records", json=asked, headers={"Idempotency-Key": key})

    first = keyed()
    web.api("ann", "POST", "/records/1/cancel")
    second = keyed()
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    problem(keyed(end="2026-11-20T11:21"), 422, "idempotency_key")
    assert told(keyed("bob"), 201)["id"] == 2  # keys are everybody's own
    assert told(keyed(key="other"))["id"] == 2


@ON_SQLITE
def test_one_key_at_the_same_time_makes_one_record(web: Web) -> None:
    answers: list[tuple[int, bytes]] = []

    def send() -> None:
        got = web.api("ann", "POST", "/records", json=LECTURE, headers={"Idempotency-Key": "k"})
        answers.append((got.status_code, got.data))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1 and answers[0][0] in (200, 201)
    assert len(told(web.api("ann", "GET", "/records"))["records"]) == 1


WRONG = [
    ({"start": "2026-11-20T25:00"}, "start", "not a valid date and time"),
    ({"start": "yesterday"}, "start", "write it like"),
    ({"start": "2026-11-20T11:20"}, "end", "before it starts"),
    ({"end": "2026-11-20T09:00"}, "end", "before it starts"),
    ({"end": "2026-11-21T10:06"}, "end", "24 hours"),
    ({"start": "2028-01-01T10:00", "end": "2028-01-01T11:00"}, "start", "more than a year"),
    ({"room": "505"}, "room", "there is no room '505'; did you mean '504'?"),
    ({"room": ""}, "room", "there is no room"),
    ({"layout": "pyramid"}, "layout", "is not one of side_by_side"),
    ({"profile": "8k"}, "profile", "is not one of"),
    ({"users": ["nobody"]}, "users", "isn't a valid email address"),
    ({"users": "ann@example.org"}, "users", "list"),
    ({"event_name": "x" * 256}, "event_name", "255"),
    ({"room": 504}, "room", "string"),
    ({"room": None}, "room", "missing"),
    ({"strat": "2026-11-20T10:00"}, "strat", "there is no such field"),
]  # fmt: skip


@ON_SQLITE
def test_what_makes_no_sense_is_told_by_field(web: Web) -> None:
    for changes, field, words in WRONG:
        document = problem(ask(web, **changes), 422, field)
        assert words in document["detail"], document
    missing = {key: value for key, value in LECTURE.items() if key != "end"}
    assert (
        "it is missing"
        in problem(web.api("ann", "POST", "/records", json=missing), 422, "end")["detail"]
    )
    for body in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{" * 10_000, b"[" * 100_000):
        got = web.api("ann", "POST", "/records", data=body, content_type="application/json")
        problem(got, 422, "body")
    assert (
        web.api(
            "ann", "POST", "/records", data=b" " * 2_000_000, content_type="application/json"
        ).status_code
        == 413
    )
    assert told(web.api("ann", "GET", "/records"))["records"] == []


@ON_SQLITE
@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", r'"\ud800"', r'{"\udfff": 1}'])
@pytest.mark.parametrize("field", ["event_name", "nonsense"])
def test_what_no_table_can_hold_is_refused_with_a_sentence(
    web: Web, field: str, value: str
) -> None:
    body = json.dumps({**LECTURE, field: "HERE"}).replace('"HERE"', value)
    for language, word in (("en", "the JSON holds"), ("ru", "в JSON есть")):
        got = web.api(
            "ann", "POST", "/records", data=body, content_type="application/json",
            headers={"Accept-Language": language},
        )  # fmt: skip
        assert word in problem(got, 400)["detail"]
    assert told(web.api("ann", "GET", "/records"))["records"] == []


@ON_SQLITE
def test_a_night_on_which_clocks_are_put_back(web: Web) -> None:
    web.site.add_room("Berlin", zone="Europe/Berlin")
    night = {"room": "Berlin", "start": "2026-10-25T02:30", "end": "2026-10-25T04:00"}
    assert "+02:00 or +01:00" in problem(ask(web, **night), 422, "start")["detail"]
    assert (
        told(ask(web, **{**night, "start": "2026-10-25T02:30+01:00"}), 201)["start"]
        == "2026-10-25T02:30:00+01:00"
    )


@BOTH_DATABASES
def test_records_are_listed_and_filtered(web: Web) -> None:
    web.site.add_room("505", zone="Asia/Tokyo")
    for hour in range(10, 15):
        ask(
            web,
            start=f"2026-11-20T{hour}:00",
            end=f"2026-11-20T{hour}:30",
            event_name=f"100% at {hour}",
        )
    ask(web, "bob", room="505", start="2026-11-21T00:30", end="2026-11-21T01:00", course_code="M1")

    def ids(who: str, **query: Any) -> list[int]:
        page = told(web.api(who, "GET", "/records", query_string=query))
        return [record["id"] for record in page["records"]]

    assert ids("ann") == [5, 4, 3, 2, 1]
    assert ids("bob") == [6]
    assert ids("eve") == [6, 5, 4, 3, 2, 1]
    assert ids("eve", room="505") == [6]
    assert ids("eve", user="ann@example.org", limit=2) == [5, 4]
    assert ids("bob", user="ann@example.org") == []
    assert ids("eve", course="M1") == [6]
    assert ids("eve", text="AT 1") == [5, 4, 3, 2, 1]
    assert ids("eve", text="0% AT 12") == [3]
    assert ids("eve", text="1_0") == []
    assert ids("eve", day="2026-11-21") == [6]  # of Tokyo's clock
    assert ids("eve", day="2026-11-20") == [5, 4, 3, 2, 1]
    assert ids("eve", status=["failed", "cancelled"]) == []
    web.site.clock += timedelta(minutes=1)
    since = web.site.clock.isoformat()
    web.api("ann", "POST", "/records/2/cancel")
    assert ids("eve", changed_since=since) == [2] == ids("eve", status="cancelled")
    for query, field in (
        ({"rom": "504"}, "rom"), ({"status": "lost"}, "status.0"), ({"limit": "0"}, "limit"), ({"limit": "x"}, "limit"),
        ({"day": "2026-02-30"}, "day"), ({"cursor": "x"}, "cursor"), ({"changed_since": "x"}, "changed_since"),
        ({"room": "5O4"}, "room"), ({"cursor": "2026-11-20T10:00:00~1"}, "cursor"),
        ({"cursor": "2026-11-20T10:00:00+00:00~9999999999999999999"}, "cursor"),
    ):  # fmt: skip
        problem(web.api("eve", "GET", "/records", query_string=query), 422, field)


@ON_SQLITE
def test_pages_by_cursor_show_each_record_once(web: Web) -> None:
    for n in range(7):  # three begin at the same instant
        start = f"2026-11-20T{10 + n // 3}:00"
        ask(web, start=start, end=f"2026-11-20T{15 + n}:00")
    seen: list[int] = []
    cursor = None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = told(web.api("ann", "GET", "/records", query_string=query))
        seen += [record["id"] for record in page["records"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_what_is_done_to_a_record(web: Web) -> None:
    ask(web)
    assert told(web.api("ann", "POST", "/records/1/cancel"))["status"] == "cancelled"
    problem(web.api("ann", "POST", "/records/1/cancel"), 409)
    assert told(web.api("ann", "POST", "/records/1/retry"))["status"] == "queued"
    problem(web.api("ann", "POST", "/records/1/remerge", json={"layout": "screen_large"}), 409)
    held = web.site.claim()
    assert held is not None
    assert told(web.api("ann", "POST", "/records/1/cancel"))["status"] == "running"
    problem(web.api("ann", "DELETE", "/records/1"), 409)
    web.site.lease(held).fail(Broken("disk", "the disk is broken"))
    failed = told(web.api("ann", "GET", "/records/1"))
    assert (failed["status"], failed["error"]) == (
        "failed",
        {
            "code": "disk",
            "message": "the disk is broken",
            "key": "verbatim",
            "params": {"text": "the disk is broken"},
        },
    )
    again = told(
        web.api(
            "ann",
            "POST",
            "/records/1/remerge",
            json={
                "layout": "screen_large",
                "end": "2026-11-20T11:00",
                "overrules": [
                    {"start": "2026-11-20T10:10", "end": "2026-11-20T10:20", "right": "both"}
                ],
            },
        )
    )
    assert again["overrules"] == [
        {
            "start": "2026-11-20T10:10:00+03:00",
            "end": "2026-11-20T10:20:00+03:00",
            "right": "both",
        }
    ]
    assert (again["status"], again["layout"], again["end"]) == (
        "queued",
        "screen_large",
        "2026-11-20T11:00:00+03:00",
    )
    web.api("ann", "POST", "/records/1/cancel")
    for change, field in (
        ({"layout": "x"}, "layout"),
        ({"end": "2026-11-20T10:00"}, "end"),
        ({"room": "505"}, "room"),
        ({"overrules": [{"start": "10", "end": "11", "right": "board"}]}, "overrules"),
    ):
        problem(web.api("ann", "POST", "/records/1/remerge", json=change), 422, field)
    assert web.api("ann", "DELETE", "/records/1").status_code == 204
    problem(web.api("ann", "GET", "/records/1"), 404)


def test_another_s_record_is_not_there(web: Web) -> None:
    ask(web)
    for method, path in (
        ("GET", ""), ("POST", "/cancel"), ("POST", "/retry"), ("POST", "/remerge"), ("DELETE", ""),
    ):  # fmt: skip
        said = problem(web.api("bob", method, f"/records/1{path}", json={}), 404)
        missing = problem(web.api("bob", method, f"/records/2{path}", json={}), 404)
        assert said["detail"].replace("1", "2") == missing["detail"]
    assert told(web.api("eve", "GET", "/records/1"))["id"] == 1
    ask(web, "bob")
    assert web.api("ann", "DELETE", "/records/1").status_code == 204  # for ann alone
    problem(web.api("ann", "GET", "/records/1"), 404)
    assert told(web.api("bob", "GET", "/records/1"))["users"] == ["bob@example.org"]


def test_who_joins_a_record_cannot_stop_or_replace_it(web: Web) -> None:
    ask(web)
    ask(web, "bob")
    refused = problem(web.api("bob", "POST", "/records/1/cancel"), 403)
    assert "only the owner of recording 1, ann@example.org, or an editor can" in refused["detail"]
    assert told(web.api("ann", "POST", "/records/1/cancel"))["status"] == "cancelled"
    again = {"layout": "speaker_only"}
    problem(web.api("bob", "POST", "/records/1/remerge", json=again), 403)
    assert told(web.api("bob", "GET", "/records/1"))["layout"] == "side_by_side"
    assert told(web.api("bob", "POST", "/records/1/retry"))["status"] == "queued"
    assert told(web.api("eve", "POST", "/records/1/cancel"))["status"] == "cancelled"
    assert (
        told(web.api("ann", "POST", "/records/1/remerge", json=again))["layout"] == "speaker_only"
    )
    assert web.api("ann", "DELETE", "/records/1").status_code == 204
    assert told(web.api("bob", "POST", "/records/1/cancel"))["status"] == "cancelled"  # his alone


@ON_SQLITE
def test_a_record_is_changed(web: Web) -> None:
    ask(web, event_name="Algebra")
    ask(web, "bob", event_name="Matrices")
    shown = told(web.api("bob", "GET", "/records/1"))
    assert (shown["name"], shown["title"]) == ("Algebra", "Matrices")
    change = {
        "name": "Rings", "description": "Chapter 2\nand 3", "course_code": "M1",
        "users": ["ann@example.org", "eve@example.org"],
    }  # fmt: skip
    changed = told(web.api("ann", "PATCH", "/records/1", json=change))
    assert {name: changed[name] for name in change} == change
    assert changed["title"] == "Rings" and not changed["is_outdated"]
    edits = [e["params"] for e in changed["events"] if e["kind"] == "edited"]
    assert {one["email"] for one in edits} == {"ann@example.org"} and len(edits) == 5
    problem(web.api("bob", "GET", "/records/1"), 404)
    cleared = told(web.api("eve", "PATCH", "/records/1", json={"course_code": None}))
    assert cleared["course_code"] is None and cleared["name"] == "Rings"
    later = {"start": "2026-11-20T15:00", "end": "2026-11-20T16:00:30"}  # by the clock of the room
    moved = told(web.api("ann", "PATCH", "/records/1", json=later))
    assert moved["start"] == "2026-11-20T15:00:00+03:00"
    assert moved["end"] == "2026-11-20T16:00:30+03:00"


@ON_SQLITE
@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"title": "x", "layout": "x"}, {"title", "layout"}),
        ({"name": 5, "users": "x"}, {"name", "users"}),
        ({"name": " ", "users": ["x@y"]}, {"name"}),
        ({"users": ["bob@example.org"]}, {"users"}),
        ({"users": ["ann@example.org", "x@y"]}, {"users"}),
        ({"name": None}, {"name"}),
        ({"start": "soon", "end": "2026-11-20T25:00"}, {"start", "end"}),
        ({"name": "New", "end": "2026-11-19T10:00"}, {"end"}),
        ({"name": "New", "room": "nowhere"}, {"room"}),
        ({"description": "x" * 4001}, {"description"}),
    ],
)
def test_what_a_record_cannot_be_changed_to_is_told_by_field(
    web: Web, change: dict[str, Any], fields: set[str]
) -> None:
    ask(web)
    before = told(web.api("ann", "GET", "/records/1"))
    found = problem(web.api("ann", "PATCH", "/records/1", json=change), 422)
    assert {one["field"] for one in found["errors"]} == fields
    assert told(web.api("ann", "GET", "/records/1")) == before


@ON_SQLITE
def test_only_its_owner_and_editors_change_a_record(web: Web) -> None:
    ask(web)
    problem(web.api("bob", "PATCH", "/records/1", json={"name": "x"}), 404)
    ask(web, "bob")
    refused = problem(web.api("bob", "PATCH", "/records/1", json={"name": "x"}), 403)
    assert "ask one of them" in refused["detail"]


@ON_SQLITE
def test_the_header_of_another_api(web: Web) -> None:
    headers = {"key": web.keys["eve"]}
    lecture = {
        "date": "2026-11-20",
        "start_time": "10:05",
        "end_time": "11:20",
        "user_email": "Ann@example.org",
        "event_name": "Nets",
    }
    answer = web.call(None, "POST", "/api/montage-event/504", json=lecture, headers=headers)
    made = told(answer, 201)
    assert answer.headers["Location"] == "/api/v1/records/1"
    assert set(made) == {"message", "key", "params", "id"} and made["id"] == 1
    mine = told(web.call("ann", "GET", "/api/records/ann@example.org"))["records"]
    assert [(r["id"], r["name"], r["users"]) for r in mine] == [(1, "Nets", ["ann@example.org"])]
    assert told(web.call("bob", "GET", "/api/records/ann@example.org"))["records"] == []
    problem(web.call("bob", "POST", "/api/montage-event/504", json=lecture), 422, "user_email")
    problem(web.call("ann", "POST", "/api/montage-event/nowhere", json=lecture), 422, "room")
    for changes, field in (
        ({"start_time": "25:00"}, "start_time"),
        ({"date": "20.11.2026"}, "date"),
        ({"end_time": "10:00"}, "end_time"),
        ({"date": "2028-11-20"}, "start_time"),
    ):
        problem(
            web.call("ann", "POST", "/api/montage-event/504", json={**lecture, **changes}),
            422,
            field,
        )


@ON_SQLITE
def test_who_leaves_a_record_changes_it(web: Web) -> None:
    """Whoever asks what has changed since learns that it has one user less."""
    ask(web, users=["bob@example.org"])
    web.site.clock += timedelta(hours=1)
    since = quote(web.site.clock.isoformat())
    assert told(web.api("bob", "GET", f"/records?changed_since={since}"))["records"] == []
    assert web.api("bob", "DELETE", "/records/1").status_code == 204
    [record] = told(web.api("ann", "GET", f"/records?changed_since={since}"))["records"]
    assert record["users"] == ["ann@example.org"]


@ON_SQLITE
def test_the_records_of_a_user_come_in_pages_there_too(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("merger.web.api.montage._MOST", 2)
    for hour in range(10, 15):
        ask(web, start=f"2026-11-20T{hour}:00", end=f"2026-11-20T{hour}:30")
    found, query = [], ""
    while True:
        page = told(web.call("ann", "GET", f"/api/records/ann@example.org{query}"))
        found += [record["id"] for record in page["records"]]
        if page["next"] is None:
            break
        query = f"?cursor={quote(page['next'])}"
    assert found == [5, 4, 3, 2, 1]
    problem(web.call("ann", "GET", "/api/records/ann@example.org?cursor=x"), 422, "cursor")
    problem(web.call("ann", "GET", "/api/records/ann@example.org?limit=1"), 422, "limit")


@ON_SQLITE
def test_a_mistake_in_the_program_tells_nothing(
    web: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret of the house")

    monkeypatch.setattr("merger.records.browse.lists.page_of_records", fail)
    said = problem(web.api("ann", "GET", "/records"), 500)
    assert "secret" not in str(said)
    assert "secret of the house" in caplog.text


@ON_SQLITE
def test_the_database_goes_away(web: Web) -> None:
    with web.site.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE records RENAME TO gone")
    said = problem(web.api("ann", "GET", "/records"), 500)
    assert "log has the details" in said["detail"]


# --- what programs rely on ------------------------------------------------------------------------


@ON_SQLITE
def test_all_mistakes_are_named_at_once(web: Web) -> None:
    got = ask(web, start="yesterday", end=None, layout="pyramid", users=["nobody"], room="505")
    document = told(got, 422)
    assert document["code"] == "validation"
    assert {one["field"] for one in document["errors"]} == {
        "room",
        "start",
        "end",
        "layout",
        "users",
    }
    assert all(one["message"] and one["key"] for one in document["errors"])


@ON_SQLITE
def test_what_is_made_says_where_it_is_and_is_not_sent_twice(web: Web) -> None:
    made = ask(web, name="Optics")
    assert made.headers["Location"] == "/api/v1/records/1"
    assert told(made, 201)["name"] == "Optics"
    assert "Location" not in ask(web, "bob").headers
    board = {"name": "board", "role": "board", "kind": "folder", "address": str(web.site.folder)}
    for path, body, where in (
        ("/rooms/1/sources", board, "/rooms/1/sources/"),
        ("/days-off", {"first": "2026-12-31"}, "/days-off/"),
        ("/api-keys", {"name": "k", "scopes": ["read"]}, "/api-keys/"),
    ):
        added = web.api("eve", "POST", path, json=body)
        assert added.headers["Location"] == f"/api/v1{where}{told(added, 201)['id']}"
    for path in ("/records/1", "/records", "/rooms"):
        first = web.api("ann", "GET", path)
        tag = first.headers["ETag"]
        same = web.api("ann", "GET", path, headers={"If-None-Match": tag})
        assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", tag)
        other = {"If-None-Match": tag, "Accept-Language": "ru"}
        assert web.api("ann", "GET", path, headers=other).status_code in (200, 304)
    tag = web.api("ann", "GET", "/records/1").headers["ETag"]
    web.api("ann", "POST", "/records/1/cancel")
    changed = web.api("ann", "GET", "/records/1", headers={"If-None-Match": tag})
    assert told(changed)["status"] == "cancelled"


@BOTH_DATABASES
def test_a_range_in_either_order_and_in_pages(web: Web) -> None:
    for hour in range(10, 15):
        told(ask(web, start=f"2026-11-20T{hour}:00", end=f"2026-11-20T{hour}:30"), 201)
    span = "start_from=2026-11-20T11:00:00%2B03:00&start_before=2026-11-20T11:00:00"

    def ids(sort: str) -> list[int]:
        found, cursor = list[int](), ""
        while cursor is not None:
            query = f"{span}&limit=1&sort={sort}" + (f"&cursor={quote(cursor)}" if cursor else "")
            page = told(web.api("ann", "GET", f"/records?{query}"))
            found += [one["id"] for one in page["records"]]
            cursor = page["next"]
        return found

    assert ids("start") == [2, 3, 4] and ids("-start") == [4, 3, 2]
    problem(web.api("ann", "GET", "/records?start_from=yesterday"), 422, "start_from")
    problem(web.api("ann", "GET", "/records?sort=name"), 422, "sort")


@ON_SQLITE
def test_editors_try_again_all_that_failed(web: Web) -> None:
    ask(web)
    fail = update(Record).values(status="failed", error_code="no_media")
    writing(web.site.engine, lambda session: session.execute(fail))
    problem(web.api("ann", "POST", "/records/retry", json={}), 403)
    problem(web.api("eve", "POST", "/records/retry", json={"room": "nowhere"}), 422, "room")
    wanted = {"code": "no_media", "room": "504", "dry_run": True}
    assert told(web.api("eve", "POST", "/records/retry", json=wanted))["records"] == [1]
    assert told(web.api("ann", "GET", "/records/1"))["status"] == "failed"
    wanted["dry_run"] = False
    done = {"records": [1], "refused": []}
    assert told(web.api("eve", "POST", "/records/retry", json=wanted)) == done
    assert told(web.api("ann", "GET", "/records/1"))["status"] == "queued"
    assert told(web.api("eve", "POST", "/records/retry", json={})) == {"records": [], "refused": []}


@ON_SQLITE
def test_where_files_lie_on_the_server_is_for_editors(web: Web) -> None:
    gone = Message("media.no_folder", folder="/srv/inner/merged")
    ask(web)

    def deliver(session: Session) -> None:
        row = session.get_one(Record, 1)
        row.status, row.error_code, row.error_message = "failed", "away", gone
        row.report = json.dumps({"warning_messages": [to_json(gone)], "warnings": [str(gone)]})
        for place, link in (("folder", "/srv/inner/a.mp4"), ("drive", "https://drive.example/a")):
            what = {
                "record_id": 1,
                "destination": place,
                "kind": "merge",
                "name": "a",
                "name_key": "a",
                "state": {},
            }
            session.add(Delivery(status="delivered", link=link, **what))
            sent = Message("history.sent", what=Message("rendition.merge"), link=link)
            session.add(Event(record_id=1, at=START, attempt=1, kind="sent", message=sent))

    writing(web.site.engine, deliver)
    stream = web.api("ann", "GET", "/records/1/events").text
    asked = told(ask(web, "ann", layout="speaker_only"), 201)["id"]  # its own answer, too
    assert asked == 2 and "/srv/" not in stream and "event: state" in stream
    for path in ("/records", "/records/1"):
        assert "/srv/inner" in web.api("eve", "GET", path).text
        shown = web.api("ann", "GET", path).text
        assert "inner" not in shown and "there is no folder merged" in shown
    links = [
        delivery["link"] for delivery in told(web.api("ann", "GET", "/records/1"))["deliveries"]
    ]
    assert links == [None, "https://drive.example/a"]
    assert "/srv/" not in web.signed_in("ann").get("/records/1").text
