"""What is another's, or past, is got with somebody's leave alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from merger.db.engine import writing
from merger.live import bookings
from merger.records import views
from merger.records.access import store
from merger.timeline.clock import Span, utc
from merger.web.app import create_web
from models import Notification, Record
from tests.conftest import START
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.web.conftest import LECTURE, Web, ask, problem, told

HOUR = timedelta(hours=1)
TOMORROW = {"start": "2026-11-21T10:05", "end": "2026-11-21T11:20"}
LATER = {"start": "2026-11-21T12:05", "end": "2026-11-21T13:20"}


@pytest.fixture
def asking(web: Web) -> Iterator[Web]:
    """A service that asks, with a lecture of Ann's that is over, and one to come."""
    web.site.environ["MERGER_ACCESS"] = "ask"
    web.app = create_web(web.site.service)
    web.add("carl", "user")
    users = ("ann@example.org",)
    web.site.ask(from_s=300, until_s=4800, users=users, profile="720p", name="Hers")
    told(ask(web, "ann", **TOMORROW), 201)
    yield web


def waiting(web: Web, who: str) -> list[Any]:
    return told(web.api(who, "GET", "/access"))["access"]  # type: ignore[no-any-return]


def people(web: Web, record: int) -> list[str]:
    return [email.partition("@")[0] for email in web.site.details(record)["users"]]


def history(web: Web, record: int) -> list[str]:
    return [event["text"] for event in web.site.details(record)["events"]]


def mails(web: Web) -> list[tuple[str, str]]:
    def read(session: Any) -> list[tuple[str, str]]:
        rows = session.query(Notification).order_by(Notification.id)
        return [(r.kind, r.recipient.partition("@")[0]) for r in rows if r.access_id is not None]

    return writing(web.site.engine, read)


def settle(web: Web, who: str, allow: bool = True, access: int = 1) -> Any:
    return web.api(who, "POST", f"/access/{access}", json={"allow": allow})


SPANS = {
    "the same": ("10:05", "11:20"), "around": ("10:00", "11:30"), "within": ("10:30", "10:31"),
    "another layout": ("10:05", "11:20"), "the last minute": ("11:19", "12:00"),
}  # fmt: skip


@pytest.mark.parametrize("day", ["2026-11-20", "2026-11-21"])
@pytest.mark.parametrize("span", SPANS)
@ON_SQLITE
def test_whatever_its_span_it_waits_for_the_owner(asking: Web, span: str, day: str) -> None:
    start, end = (f"{day}T{clock}" for clock in SPANS[span])
    more = {"layout": "speaker_only"} if span == "another layout" else {}
    found = told(ask(asking, "bob", start=start, end=end, **more), 202)
    if (span, day) == ("the last minute", "2026-11-20"):
        assert found["asks"] == []  # most of it is past, and nobody's
    else:
        assert found["asks"] == ["ann@example.org"]
    assert (found["access"], found["id"], found["record"]) == ("pending", 1, None)
    assert asking.site.count("queued") == 2 and people(asking, 1) == people(asking, 2) == ["ann"]
    assert told(asking.api("bob", "GET", "/records"))["records"] == []


@BOTH_DATABASES
def test_the_owner_allows_it_and_the_history_says_so(asking: Web) -> None:
    assert told(ask(asking, "bob"), 202)["is_yours"]
    assert told(ask(asking, "bob"), 202)["id"] == 1  # the same waits already
    assert mails(asking) == [("leave", "ann")]
    for who in ("bob", "carl"):
        problem(settle(asking, who), 404)
    assert [one["can_decide"] for one in waiting(asking, "ann")] == [True]
    assert waiting(asking, "ann")[0]["overlaps"] == [{"record": 1, "name": "Hers"}]
    assert waiting(asking, "bob")[0]["overlaps"] == [] and waiting(asking, "carl") == []
    done = told(settle(asking, "ann"))
    assert (done["access"], done["record"], done["decided_by"]) == ("granted", 1, "ann@example.org")
    assert people(asking, 1) == ["ann", "bob"]
    line = "bob@example.org requested it, too, allowed by ann@example.org"
    assert history(asking, 1)[-1] == line
    assert mails(asking) == [("leave", "ann"), ("allowed", "bob")]
    problem(settle(asking, "ann", allow=False), 409)
    assert told(ask(asking, "bob"), 200)["access"] == "granted"
    assert waiting(asking, "ann") == waiting(asking, "bob") == []
    assert told(asking.api("bob", "GET", "/access/1"))["access"] == "granted"
    problem(asking.api("carl", "GET", "/access/1"), 404)


@ON_SQLITE
def test_who_joins_with_leave_keeps_their_name_for_it_and_whom_they_named(asking: Web) -> None:
    asked = {"event_name": "Mine", "users": ["carl@example.org"]}
    assert told(ask(asking, "bob", **asked), 202)["name"] == "Mine"
    told(settle(asking, "ann"))
    assert people(asking, 1) == ["ann", "bob", "carl"]
    titles = {who: told(asking.api(who, "GET", "/records/1"))["title"] for who in ("ann", "bob")}
    assert titles == {"ann": "Hers", "bob": "Mine"}
    assert history(asking, 1)[-1] == (
        "bob@example.org requested it, too, allowed by ann@example.org;"
        " bob@example.org added carl@example.org, allowed by ann@example.org"
    )


@ON_SQLITE
def test_a_request_without_a_name_is_called_as_its_recording_will_be(asking: Web) -> None:
    past = {"start": "2026-11-20T13:00", "end": "2026-11-20T14:00", "event_name": ""}
    assert told(ask(asking, "bob", **past), 202)["name"] == "lecture"
    record = told(settle(asking, "eve"))["record"]
    assert told(asking.api("bob", "GET", f"/records/{record}"))["name"] == "lecture"


@ON_SQLITE
def test_watchers_hear_how_it_stands_and_no_name_but_its_own(asking: Web) -> None:
    told(asking.api("eve", "PATCH", "/rooms/1", json={"watchers": {"who": "everybody"}}))
    found = told(asking.api("carl", "GET", "/records/1"))
    assert (found["is_yours"], found["users"], found["title"]) == (False, [], "Hers")
    assert found["events"] == found["messages"] == []
    problem(asking.api("carl", "PATCH", "/records/1", json={"description": "x"}), 404)
    assert views.record_state(asking.site.engine, 1, asking.ids["carl"])["status"] == "queued"


@ON_SQLITE
def test_a_refusal_lasts(asking: Web) -> None:
    told(ask(asking, "bob"), 202)
    assert told(settle(asking, "ann", allow=False))["access"] == "refused"
    assert mails(asking)[-1] == ("refused", "bob") and people(asking, 1) == ["ann"]
    assert problem(ask(asking, "bob"), 403)["code"] == "access"
    assert problem(ask(asking, "bob", end="2026-11-20T11:21"), 403)["code"] == "access"
    told(ask(asking, "carl"), 202)  # whom nobody has refused


@ON_SQLITE
def test_what_has_no_owner_is_allowed_by_an_editor(asking: Web) -> None:
    found = told(ask(asking, "bob", start="2026-11-20T13:00", end="2026-11-20T14:00"), 202)
    assert found["asks"] == [] and mails(asking) == [("leave", "eve"), ("leave", "ada")]
    problem(settle(asking, "ann"), 404)
    assert told(settle(asking, "eve"))["record"] == 3
    assert people(asking, 3) == ["bob"]
    assert history(asking, 3) == ["requested by bob@example.org, allowed by eve@example.org"]


@ON_SQLITE
def test_all_owners_allow_it_or_one_editor(asking: Web) -> None:
    told(ask(asking, "carl", **LATER), 201)
    both = {"start": TOMORROW["start"], "end": LATER["end"]}
    found = told(ask(asking, "bob", **both), 202)
    assert found["asks"] == ["ann@example.org", "carl@example.org"]
    done = told(settle(asking, "carl"))
    assert done["access"] == "pending" and done["has_allowed"]
    assert done["asks"] == ["ann@example.org"]
    assert told(settle(asking, "ann"))["access"] == "granted"
    assert people(asking, 4) == ["bob"]
    told(ask(asking, "bob", **both, layout="speaker_only"), 201)  # of what is theirs by now


@ON_SQLITE
def test_what_is_theirs_needs_nobody(asking: Web) -> None:
    assert told(ask(asking, "ann"), 200)["access"] == "granted"
    assert told(ask(asking, "ann", users=["bob@example.org"]), 200)["users"] == [
        "ann@example.org", "bob@example.org",
    ]  # fmt: skip
    assert history(asking, 1)[-1] == "ann@example.org added bob@example.org"
    assert told(ask(asking, "bob"), 200)["access"] == "granted"
    # Whoever was added adds nobody.
    said = problem(ask(asking, "bob", users=["carl@example.org"]), 403)
    assert said["code"] == "access" and people(asking, 1) == ["ann", "bob"]
    assert told(ask(asking, "eve", users=["carl@example.org"]), 200)["access"] == "granted"


@ON_SQLITE
def test_the_named_come_with_whoever_is_allowed(asking: Web) -> None:
    assert told(ask(asking, "bob", users=["carl@example.org"]), 202)["users"] == [
        "carl@example.org"
    ]
    told(settle(asking, "ann"))
    assert people(asking, 1) == ["ann", "bob", "carl"]


@ON_SQLITE
def test_whoever_has_it_made_again_gets_no_more(asking: Web) -> None:
    def deliver(session: Any) -> None:
        row = session.get(Record, 3)
        row.status, row.stage, row.delivered_version = "delivered", "deliver", 1

    told(ask(asking, "bob", start="2026-11-21T11:20", end="2026-11-21T11:25"), 201)
    writing(asking.site.engine, deliver)
    longer = {"start": "2026-11-21T10:05"}
    assert (
        problem(asking.api("bob", "POST", "/records/3/remerge", json=longer), 403)["code"]
        == "access"
    )
    more = {"end": "2026-11-21T11:30"}
    told(asking.api("bob", "POST", "/records/3/remerge", json=more))


@ON_SQLITE
def test_a_cancelled_request_is_no_way_around(asking: Web) -> None:
    told(ask(asking, "bob", **LATER), 201)
    told(asking.api("bob", "POST", "/records/3/cancel"))
    told(asking.api("bob", "POST", "/records/3/retry"))
    told(asking.api("bob", "POST", "/records/3/cancel"))
    told(ask(asking, "carl", **LATER, layout="speaker_only"), 201)
    for path, body in (("retry", None), ("remerge", {"profile": "540p"})):
        answer = asking.api("bob", "POST", f"/records/3/{path}", json=body)
        assert problem(answer, 403)["code"] == "access"


@ON_SQLITE
def test_a_new_owner_meanwhile_is_asked_too(asking: Web) -> None:
    far = {"start": "2026-11-21T10:05", "end": "2026-11-21T15:00"}
    told(ask(asking, "bob", **far), 202)
    told(ask(asking, "carl", **LATER), 201)
    assert told(settle(asking, "ann"))["asks"] == ["carl@example.org"]
    assert mails(asking) == [("leave", "ann"), ("leave", "carl")]
    assert told(settle(asking, "carl"))["access"] == "granted"


@ON_SQLITE
def test_requests_are_withdrawn_and_end(asking: Web) -> None:
    told(ask(asking, "bob"), 202)
    problem(asking.api("ann", "DELETE", "/access/1"), 404)
    assert asking.api("bob", "DELETE", "/access/1").status_code == 204
    problem(asking.api("bob", "DELETE", "/access/1"), 409)
    problem(settle(asking, "ann"), 409)
    assert told(ask(asking, "bob"), 202)["id"] == 2
    asking.site.clock += store.LASTS
    assert waiting(asking, "bob") == [] == waiting(asking, "ann")
    problem(settle(asking, "eve", access=2), 409)
    assert told(asking.api("bob", "GET", "/access/2"))["access"] == "expired"
    store.end_old(asking.site.engine, asking.site.clock)
    assert told(asking.api("bob", "GET", "/access/2"))["access"] == "expired"
    assert told(ask(asking, "bob"), 202)["id"] == 3


@ON_SQLITE
def test_nobody_has_everybody_asked(asking: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_PENDING", 2)
    for n in range(2):
        told(ask(asking, "bob", end=f"2026-11-20T11:2{n}"), 202)
    problem(ask(asking, "bob", end="2026-11-20T11:25"), 409)


@ON_SQLITE
def test_an_idempotency_key_gets_the_same_answer(asking: Web) -> None:
    body, headers = {**LECTURE, **TOMORROW}, {"Idempotency-Key": "one"}
    first = asking.api("bob", "POST", "/records", json=body, headers=headers)
    told(settle(asking, "ann"))
    again = asking.api("bob", "POST", "/records", json=body, headers=headers)
    assert told(first, 202) == told(again, 202)


@ON_SQLITE
def test_the_other_api_waits_too(asking: Web) -> None:
    lecture = {"date": "2026-11-20", "start_time": "10:05", "end_time": "11:20"}
    found = asking.call("bob", "POST", "/api/montage-event/504", json=lecture)
    assert (told(found, 202)["access"], told(found, 202)["access_request"]) == ("pending", 1)
    assert "id" not in told(found, 202)


@BOTH_DATABASES
def test_cameras_record_what_waits(asking: Web) -> None:
    start = utc(START) + 24 * HOUR
    told(ask(asking, "bob", start=start.isoformat(), end=(start + 6 * HOUR).isoformat()), 202)
    late = Span(start + 3 * HOUR, start + 4 * HOUR)
    assert [(b.record, b.room) for b in bookings.bookings(asking.site.engine, late)] == [(0, "504")]
    told(settle(asking, "ann", allow=False))
    assert bookings.bookings(asking.site.engine, late) == []


# --- rooms ----------------------------------------------------------------------------------------


def set_room(web: Web, **changes: Any) -> Any:
    return told(web.api("eve", "PATCH", "/rooms/1", json=changes))


@ON_SQLITE
def test_rooms_say_who_may_request(asking: Web) -> None:
    named = {"who": "named", "names": ["Carl@Example.org", "@staff.example.org"]}
    kept = {"who": "named", "names": ["carl@example.org", "@staff.example.org"]}
    assert set_room(asking, requesters=named)["requesters"] == kept
    assert problem(ask(asking, "bob", **LATER), 403)["code"] == "access"
    told(ask(asking, "carl", **LATER), 201)
    told(ask(asking, "eve", **LATER), 200)
    shown = told(asking.api("bob", "GET", "/rooms/1"))["requesters"]
    assert shown == {"who": "named", "names": []}  # addresses are for editors
    set_room(asking, requesters={"who": "editors"})
    problem(ask(asking, "carl", **LATER, layout="speaker_only"), 403)
    assert set_room(asking, requesters=None)["requesters"] is None
    told(ask(asking, "bob", start="2026-11-22T10:00", end="2026-11-22T11:00"), 201)


@pytest.mark.parametrize(
    "value",
    [
        {"who": "named"}, {"who": "named", "names": ["nobody"]}, {"who": "named", "names": ["@"]},
        {"who": "editors", "names": ["ann@example.org"]}, {"who": "named", "names": ["@a b"]},
    ],
)  # fmt: skip
@ON_SQLITE
def test_who_may_is_somebody(web: Web, value: Any) -> None:
    for name in ("requesters", "watchers"):
        problem(web.api("eve", "PATCH", "/rooms/1", json={name: value}), 422, name)


@ON_SQLITE
def test_whoever_may_watch_sees_the_recording_and_not_whose_it_is(asking: Web) -> None:
    problem(asking.api("bob", "GET", "/records/1"), 404)
    set_room(asking, watchers={"who": "named", "names": ["bob@example.org"]})
    seen = asking.api("bob", "GET", "/records/1")
    assert told(seen)["is_yours"] is False and "ann@example.org" not in seen.text
    listed = asking.api("bob", "GET", "/records")
    assert len(told(listed)["records"]) == 2 and "ann@" not in listed.text
    assert told(asking.api("bob", "GET", "/records?user=ann@example.org"))["records"] == []
    for method, path in (
        ("POST", "/cancel"), ("POST", "/retry"), ("POST", "/remerge"), ("DELETE", ""),
    ):  # fmt: skip
        body = {} if path == "/remerge" else None
        problem(asking.api("bob", method, f"/records/2{path}", json=body), 404)
    problem(asking.api("carl", "GET", "/records/1"), 404)
    assert told(asking.api("carl", "GET", "/records"))["records"] == []
    # To join what they may watch anyway, they ask nobody.
    assert told(ask(asking, "bob"), 200)["access"] == "granted"


@ON_SQLITE
def test_an_upgraded_database_is_open_until_somebody_chooses(web: Web) -> None:
    site = web.site
    site.ask(from_s=300, until_s=4800, users=("ann@example.org",), profile="720p")
    site.environ = {"MERGER_ACCESS": ""}
    web.app = create_web(site.service)
    found = told(ask(web, "bob"), 200)
    assert found["access"] == "granted" and found["users"] == ["ann@example.org", "bob@example.org"]
    assert history(web, 1)[-1] == "bob@example.org requested it, too"
    assert re.search(r"warning +access +anyone who may sign in gets any", site.run("check").stdout)
