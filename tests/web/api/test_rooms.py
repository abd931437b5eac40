"""The API of rooms: what it takes, what it refuses, and where credentials stay."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from merger.db.engine import writing
from models import Offer
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, ask, problem, told
from tests.web.pages.test_rooms import zoom_reports


def test_rooms_and_their_sources(web: Web, tmp_path: Any) -> None:
    address = str(tmp_path)
    camera = {"name": "camera", "role": "speaker", "kind": "folder", "address": address}
    made = told(
        web.api(
            "eve",
            "POST",
            "/rooms",
            json={"name": "506", "zone": "Europe/Berlin", "sources": [camera], "early": "90s"},
        ),
        201,
    )
    room = f"/rooms/{made['id']}"
    assert (made["early"], made["late"]) == ("90s", "2m")
    assert (made["mails"], made["uploads_raw"], made["papers"]) == (True, False, False)
    assert (made["decide"], made["shows_both"], made["both_after"]) == ("instant", False, "1m")
    assert made["chunk"] == "30m" and [s["name"] for s in made["sources"]] == ["camera"]
    assert told(web.api("eve", "GET", room)) == made
    assert made in told(web.api("eve", "GET", "/rooms"))["rooms"]
    # Where its media comes from is for those who may change it.
    hidden = {**made, "sources": [{**made["sources"][0], "address": None}]}
    assert told(web.api("ann", "GET", room)) == hidden
    assert hidden in told(web.api("ann", "GET", "/rooms"))["rooms"]
    assert told(web.api("ann", "GET", f"{room}/sources"))["sources"] == hidden["sources"]
    assert told(web.api("eve", "PATCH", room, json=made)) == made  # as it was read
    source = made["sources"][0]
    where = f"{room}/sources/{source['id']}"
    assert told(web.api("eve", "PATCH", where, json=source)) == source
    screen = told(
        web.api(
            "eve", "POST", f"{room}/sources", json={**camera, "name": "screen", "role": "screen"}
        ),
        201,
    )
    assert [s["id"] for s in told(web.api("ann", "GET", f"{room}/sources"))["sources"]] == [
        source["id"],
        screen["id"],
    ]
    changed = told(
        web.api(
            "eve", "PATCH", room, json={"chunk": "10m", "sound_source": "camera", "name": "506a"}
        )
    )
    assert (changed["chunk"], changed["sound_source"], changed["name"]) == ("10m", "camera", "506a")
    assert changed["decide"] == "chunk"  # who says how often means it
    own = {
        "early": "0s", "late": "1h", "mails": False, "uploads_raw": True, "papers": True,
        "default_course": "MISC", "unmatched": "ignore", "shortest": "90s",
        "decide": "instant", "shows_both": True, "both_after": "90s",
    }  # fmt: skip
    assert told(web.api("eve", "PATCH", room, json=own)).items() >= own.items()
    problem(web.api("eve", "DELETE", where), 422, "sound_source")
    told(web.api("eve", "PATCH", room, json={"sound_source": None}))
    assert web.api("eve", "DELETE", where).status_code == 204
    problem(web.api("eve", "GET", where), 404)
    ask(web, room="506a")
    problem(web.api("eve", "DELETE", room), 409)
    web.api("ann", "POST", "/records/1/cancel")
    assert web.api("eve", "DELETE", room).status_code == 204
    assert told(web.api("ann", "GET", "/records/1"))["room"] is None


def test_what_can_only_be_read_is_given_back_as_it_was_read(web: Web) -> None:
    room = told(web.api("eve", "GET", "/rooms/1"))
    speaker, screen = room["sources"]
    for changes, field in (
        ({"id": 2}, "id"), ({"sources": [speaker]}, "sources"), ({"sources": None}, "sources"),
        ({"sources": [{**speaker, "role": "board"}, screen]}, "sources"),
        ({"sources": [{**speaker, "credentials": "a:b"}, screen]}, "sources.0.credentials"),
    ):  # fmt: skip
        problem(web.api("eve", "PATCH", "/rooms/1", json={**room, **changes}), 422, field)
    said = problem(
        web.api("eve", "PATCH", "/rooms/1", json={**room, "sources": []}), 422, "sources"
    )
    assert "changed at /rooms/{id}/sources" in said["detail"]
    for changes, field in (({"id": 2}, "id"), ({"has_credentials": True}, "has_credentials")):
        body = {**speaker, **changes}
        problem(web.api("eve", "PATCH", "/rooms/1/sources/1", json=body), 422, field)
    assert told(web.api("eve", "GET", "/rooms/1")) == room


def test_what_happens_to_a_meeting_is_told(web: Web) -> None:
    assert told(web.api("ann", "GET", "/rooms/1"))["meetings"] == []
    zoom_reports(web)
    idle = [{"source": 2, "state": "none", "since": None}]
    assert told(web.api("ann", "GET", "/rooms/1"))["meetings"] == idle
    zoom_reports(web, ("recording.paused", 10), ("recording.started", 30))
    since = (web.site.clock - timedelta(minutes=10)).isoformat()
    paused = [{"source": 2, "state": "paused", "since": since}]
    room = told(web.api("eve", "GET", "/rooms/1"))
    assert room["meetings"] == paused
    for query in ("", "?limit=1"):
        assert told(web.api("ann", "GET", f"/rooms{query}"))["rooms"][0]["meetings"] == paused
    zoom_reports(web, ("recording.resumed", 5))  # meanwhile
    changed = told(web.api("eve", "PATCH", "/rooms/1", json=room))
    assert [m["state"] for m in changed["meetings"]] == ["recording"]
    web.site.clock += timedelta(hours=25)  # whoever forgot to end it has ended it
    assert told(web.api("ann", "GET", "/rooms/1"))["meetings"] == idle


def test_a_meeting_is_processed_until_its_recording_is_there(web: Web) -> None:
    zoom_reports(web, ("recording.started", 90), ("meeting.ended", 30))

    def state() -> str:
        (meeting,) = told(web.api("ann", "GET", "/rooms/1"))["meetings"]
        return str(meeting["state"])

    def offer(state: str) -> None:
        def save(session: Session) -> None:
            session.query(Offer).delete()
            session.add(
                Offer(
                    kind="zoom", origin="uuid==", place="12345678901", name="Algebra", state=state,
                    offered_at=web.site.clock,
                )
            )  # fmt: skip

        writing(web.site.engine, save)

    assert state() == "processing"
    offer("waiting")
    assert state() == "processing"
    offer("ignored")
    assert state() == "none"


def test_all_that_is_wrong_with_a_room_is_told_at_once(web: Web) -> None:
    camera = {"name": "camera", "role": "speaker", "kind": "rtsp", "address": "nowhere"}
    room = {"name": "", "zone": "Mars/Phobos", "chunk": "soon", "sources": [camera]}
    wrong = told(web.api("eve", "POST", "/rooms", json=room), 422)["errors"]
    assert {error["field"] for error in wrong} == {"name", "zone", "chunk", "sources.0.address"}
    changed = told(web.api("eve", "PATCH", "/rooms/1", json={"name": " ", "zone": "x"}), 422)
    assert {error["field"] for error in changed["errors"]} == {"name", "zone"}


def test_what_is_wrong_with_a_source_is_told_by_its_own_fields(web: Web) -> None:
    speaker, screen = told(web.api("eve", "GET", "/rooms/1"))["sources"]
    board = {"name": "board", "role": "board", "kind": "folder", "address": "/srv"}
    wrong = (
        ({"name": "screen"}, "name"), ({"role": "screen"}, "role"), ({"kind": "x"}, "kind"),
        ({"address": "srv"}, "address"), ({"credentials": "a:b"}, "credentials"),
    )  # fmt: skip
    for changes, field in wrong:
        body = {**board, **changes}
        problem(web.api("eve", "POST", "/rooms/1/sources", json=body), 422, field)
    for source, role in ((speaker, "screen"), (screen, "speaker")):
        where = f"/rooms/1/sources/{source['id']}"
        for changes, field in (({"role": role}, "role"), *wrong[2:]):
            problem(web.api("eve", "PATCH", where, json=changes), 422, field)


def test_credentials_do_not_go_elsewhere(web: Web) -> None:
    camera = {"name": "camera", "role": "speaker", "kind": "rtsp", "address": "rtsp://10.0.5.4/1"}
    secret = {"credentials": "user:s3cret"}
    room = {"name": "506", "zone": "Europe/Berlin", "sources": [{**camera, **secret}]}
    made = told(web.api("eve", "POST", "/rooms", json=room), 201)
    where = f"/rooms/{made['id']}/sources/{made['sources'][0]['id']}"

    def after(**changes: Any) -> bool:
        return bool(told(web.api("eve", "PATCH", where, json=changes))["has_credentials"])

    assert (
        after(**camera) and after() and after(role="board") and after(address="rtsp://10.0.5.4/2")
    )
    assert after(address="rtsp://10.0.5.5/1", **secret)
    for address in ("rtsp://evil.example/1", "rtsps://10.0.5.5/1", "rtsp://10.0.5.5:8554/1"):
        assert not after(address=address)
        assert after(address="rtsp://10.0.5.5/1", **secret)
    folder = {"kind": "folder", "address": "/srv"}
    assert not after(**folder)
    assert not after(credentials=None)


@ON_SQLITE
def test_rooms_that_make_no_sense(web: Web, tmp_path: Any) -> None:
    room = {"name": "506", "zone": "Europe/Berlin"}
    source = {"name": "camera", "role": "speaker", "kind": "folder", "address": str(tmp_path)}
    for changes, field in (
        ({"name": "504"}, "name"), ({"name": "a/b"}, "name"), ({"name": " "}, "name"), ({"name": "x" * 201}, "name"),
        ({"zone": "Moscow"}, "zone"), ({"chunk": "0s"}, "chunk"), ({"chunk": "25h"}, "chunk"),
        ({"decide": "never"}, "decide"), ({"both_after": "4s"}, "both_after"),
        ({"early": "61m"}, "early"), ({"late": "2"}, "late"), ({"mails": "perhaps"}, "mails"),
        ({"sound_source": "mic"}, "sound_source"), ({"floor": 5}, "floor"),
        ({"sources": [source, source]}, "sources.1.name"),
        ({"sources": [source, {**source, "name": "other"}]}, "sources.1.role"),
        ({"sources": [{**source, "role": "audience"}]}, "sources.0.role"),
        ({"sources": [{**source, "kind": "folders"}]}, "sources.0.kind"),
        ({"sources": [{**source, "address": "recordings"}]}, "sources.0.address"),
        ({"sources": [{**source, "credentials": "secret"}]}, "sources.0.credentials"),
    ):  # fmt: skip
        said = problem(web.api("eve", "POST", "/rooms", json={**room, **changes}), 422, field)
        assert "secret" not in said["detail"]
    for field in (
        "name",
        "chunk",
        "decide",
        "shows_both",
        "both_after",
        "early",
        "mails",
        "uploads_raw",
        "papers",
    ):
        problem(web.api("eve", "PATCH", "/rooms/1", json={field: None}), 422, field)
    problem(web.api("eve", "PATCH", "/rooms/1/sources/1", json={"name": "other"}), 422, "name")
    problem(web.api("eve", "PATCH", "/rooms/77", json={"chunk": "1h"}), 404)
    problem(web.api("eve", "PATCH", "/rooms/1/sources/77", json={}), 404)
    assert [r["name"] for r in told(web.api("eve", "GET", "/rooms"))["rooms"]] == ["504"]


def test_rooms_are_listed_in_pages(web: Web) -> None:
    for name in ("Zürich", "505", "Aula", "a"):
        web.site.add_room(name)
    everything = told(web.api("ann", "GET", "/rooms"))
    assert list(everything) == ["rooms"]  # as programs know it
    names = [room["name"] for room in everything["rooms"]]
    assert names == ["504", "505", "Aula", "Zürich", "a"]
    seen: list[Any] = []
    query = {"limit": "2"}
    for count in (2, 2, 1):
        page = told(web.api("ann", "GET", "/rooms", query_string=query))
        assert len(page["rooms"]) == count
        seen += page["rooms"]
        query["cursor"] = page["next"]
    assert page["next"] is None and seen == everything["rooms"]
    rest = told(web.api("ann", "GET", "/rooms", query_string={"cursor": "Aula"}))
    assert [room["name"] for room in rest["rooms"]] == ["Zürich", "a"]
    told(web.api("ann", "GET", "/rooms?limit=5"))
    for limit in ("0", "201", "x"):
        problem(web.api("ann", "GET", f"/rooms?limit={limit}"), 422, "limit")
