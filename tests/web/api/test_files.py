"""Videos and pictures over HTTP: whole, in ranges, not changed, gone, and not for others."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import update
from sqlalchemy.orm import Session

from merger.analysis import thumbnails
from merger.db.engine import writing
from merger.records import actions
from merger.timeline.clock import utc
from merger.web.server import Server
from models import Chunk, Delivery, Record, Rendition
from tests.conftest import START, seconds
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, problem

JPEG = b"\xff\xd8 a picture"
PROBLEM = "application/problem+json"
MERGE, BACKUP = "/records/1/renditions/merge", "/records/1/renditions/backup"
PICTURE, OF_CHUNK = "/rooms/1/sources/1/picture", "/records/1/chunks/0/pictures/1"


def content(version: int, kind: str = "merge") -> bytes:
    return f"the {kind} of version {version}".encode() * 1000


def make(web: Web, version: int, kind: str = "merge") -> None:
    """A rendition of a version of the first record is ready."""
    path = web.site.settings.data / f"records/1/attempt-{version}/{kind}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(version, kind))
    row = Rendition(
        record_id=1, version=version, kind=kind, path=str(path.relative_to(web.site.settings.data)),
        size_bytes=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        frames=1, width=16, height=9, made_at=web.site.clock,
    )  # fmt: skip
    writing(web.site.engine, lambda session: session.add(row))


def put(web: Web, **values: Any) -> None:
    writing(web.site.engine, lambda session: session.execute(update(Record).values(**values)))


@pytest.fixture
def ann(web: Web) -> Web:
    """Ann has a record, of which a version is delivered, and a chunk has pictures."""
    web.site.ask(users=("ann@example.org",), name="Алгебра 1")
    make(web, 1)
    put(web, status="delivered", stage="deliver", delivered_version=1)
    kept = [
        {"at": utc(START + seconds(n)).isoformat(), "verdict": "presentation",
         "jpeg": base64.b64encode(JPEG + bytes([n])).decode()}
        for n in range(2)
    ]  # fmt: skip
    chunk = Chunk(
        record_id=1, start_at=utc(START), end_at=utc(START + seconds(6)), presence=True,
        verdict="presentation", score=1.0, samples=5, reasons=[], pictures=json.dumps(kept),
    )  # fmt: skip
    writing(web.site.engine, lambda session: session.add(chunk))
    return web


# --- videos ---------------------------------------------------------------------------------------


@ON_SQLITE
def test_a_video_is_given_to_be_watched(ann: Web) -> None:
    said = ann.api("ann", "GET", MERGE)
    assert (said.status_code, said.content_type) == (200, "video/mp4")
    assert said.data == content(1)
    assert said.headers["Cache-Control"] == "private, no-cache"
    assert said.headers["ETag"] == f'"{hashlib.sha256(content(1)).hexdigest()}"'
    assert said.headers["Accept-Ranges"] == "bytes"
    assert said.headers["Content-Disposition"].startswith("inline")
    head = ann.api("ann", "HEAD", MERGE)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(content(1)))


@ON_SQLITE
def test_a_player_seeks(ann: Web) -> None:
    said = ann.api("ann", "GET", MERGE, headers={"Range": "bytes=100-199"})
    assert (said.status_code, said.data) == (206, content(1)[100:200])
    assert said.headers["Content-Range"] == f"bytes 100-199/{len(content(1))}"
    last = ann.api("ann", "GET", MERGE, headers={"Range": "bytes=-10"})
    assert (last.status_code, last.data) == (206, content(1)[-10:])
    longest = ann.api("ann", "GET", MERGE, headers={"Range": "bytes=-99999"})
    assert (longest.status_code, longest.data) == (206, content(1))
    head = ann.api("ann", "HEAD", MERGE, headers={"Range": "bytes=100-199"})
    assert (head.status_code, head.content_length) == (200, len(content(1)))
    tag = said.headers["ETag"]
    same = ann.api("ann", "GET", MERGE, headers={"Range": "bytes=0-9", "If-Range": tag})
    assert (same.status_code, same.data) == (206, content(1)[:10])
    other = ann.api("ann", "GET", MERGE, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (other.status_code, other.data) == (200, content(1))
    beyond = ann.api("ann", "GET", MERGE, headers={"Range": "bytes=1000000-"})
    problem(beyond, 416)
    assert beyond.headers["Content-Range"] == f"bytes */{len(content(1))}"


@ON_SQLITE
@pytest.mark.parametrize("odd", ["bytes=0-9,20-29", "bytes=a-b", "bytes=9-0", "lines=1-2", "bytes"])
def test_ranges_that_are_not_given_in_pieces_are_ignored(ann: Web, odd: str) -> None:
    said = ann.api("ann", "GET", MERGE, headers={"Range": odd})
    assert (said.status_code, said.data) == (200, content(1))
    tag = said.headers["ETag"]
    same = ann.api("ann", "GET", MERGE, headers={"Range": odd, "If-None-Match": tag})
    assert (same.status_code, same.data) == (304, b"")


@pytest.fixture
def at(ann: Web) -> Iterator[tuple[str, dict[str, str]]]:
    """Where the service answers as it does for people, and what Ann sends with everything."""
    server = Server(ann.app, "127.0.0.1", 0)
    server.start()
    try:
        yield server.address, {"Authorization": f"Bearer {ann.keys['ann']}"}
    finally:
        server.stop()


@ON_SQLITE
def test_exactly_what_was_asked_for_is_sent(at: tuple[str, dict[str, str]]) -> None:
    address, key = at
    for wanted, given in (
        ("98-111", slice(98, 112)), ("0-0", slice(0, 1)), ("0-", slice(None)), ("-14", slice(-14, None)),
        ("-99999", slice(None)), ("100-9999999", slice(100, None)),
    ):  # fmt: skip
        with requests.Session() as session:
            said = session.get(
                f"{address}api/v1{MERGE}", headers={**key, "Range": f"bytes={wanted}"}, timeout=600
            )
            assert (said.status_code, said.content) == (206, content(1)[given]), wanted
            assert said.headers["Content-Length"] == str(len(said.content))
            # The next answer on the same connection begins where this one has ended.
            assert session.get(f"{address}healthz", timeout=600).text.strip() == "ok"


@ON_SQLITE
@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-"}, {"Range": "bytes=1000-"}])
def test_many_who_watch_slowly_leave_room_for_others(
    ann: Web, at: tuple[str, dict[str, str]], headers: dict[str, str]
) -> None:
    """Each begins to watch something large, and does not read on."""
    path = ann.site.settings.data / "records/1/attempt-1/merge.mp4"
    with path.open("r+b") as file:
        file.truncate(64 << 20)  # more than is kept for who reads slowly
    address, key = at
    port = int(address.rstrip("/").rpartition(":")[2])
    said = "".join(f"{name}: {value}\r\n" for name, value in {**key, **headers}.items())
    watching = []
    for _ in range(40):
        viewer = socket.create_connection(("127.0.0.1", port))
        viewer.send(f"GET /api/v1{MERGE} HTTP/1.1\r\nHost: x\r\n{said}\r\n".encode())
        watching.append(viewer)
    try:
        assert requests.get(f"{address}healthz", timeout=600).status_code == 200
    finally:
        for viewer in watching:
            viewer.close()


@ON_SQLITE
def test_what_has_not_changed_is_not_sent_again(ann: Web) -> None:
    for path in (MERGE, OF_CHUNK):
        tag = ann.api("ann", "GET", path).headers["ETag"]
        said = ann.api("ann", "GET", path, headers={"If-None-Match": tag})
        assert (said.status_code, said.data) == (304, b"")
        assert said.headers["Cache-Control"] == "private, no-cache"


@ON_SQLITE
def test_what_is_wanted_of_another_version_is_not_sent(ann: Web) -> None:
    thumbnails.save_thumbnail(ann.site.settings, 1, START, JPEG)
    for path in (MERGE, OF_CHUNK, PICTURE):
        tag = ann.api("ann", "GET", path).headers["ETag"]
        assert ann.api("ann", "GET", path, headers={"If-Match": tag}).status_code == 200
        for other in ('"other"', f"W/{tag}"):
            for method in ("GET", "HEAD"):
                said = ann.api("ann", method, path, headers={"If-Match": other})
                assert (said.status_code, said.content_type) == (412, PROBLEM), (path, other)
        problem(ann.api("ann", "GET", path, headers={"If-Match": '"other"'}), 412)


@ON_SQLITE
def test_a_range_is_of_exactly_the_version_that_somebody_has(ann: Web) -> None:
    """RFC 9110, 13.1.5: a weak tag says that a file is much the same, and no more."""
    tag = ann.api("ann", "GET", MERGE).headers["ETag"]
    said = ann.api("ann", "GET", MERGE, headers={"Range": "bytes=0-9", "If-Range": f"W/{tag}"})
    assert (said.status_code, said.data) == (200, content(1))


@ON_SQLITE
def test_a_video_is_saved_under_a_name_for_people(ann: Web) -> None:
    make(ann, 1, "backup")

    def saved(path: str) -> str:
        said = ann.api("ann", "GET", f"{path}?download=1")
        assert said.headers["Content-Disposition"].startswith("attachment")
        return said.headers["Content-Disposition"]

    encoded = "%D0%90%D0%BB%D0%B3%D0%B5%D0%B1%D1%80%D0%B0%201_504_2026-11-20_10-00-10-00"
    assert saved(MERGE).endswith(f"filename*=UTF-8''{encoded}.mp4")
    assert saved(BACKUP).endswith(f"filename*=UTF-8''{encoded}_backup.mp4")

    def deliver(session: Session) -> None:
        entry = Delivery(
            record_id=1, destination="folder", kind="merge", name="Algebra_2.mp4", name_key="",
            state={}, status="delivered",
        )  # fmt: skip
        session.add(entry)

    writing(ann.site.engine, deliver)
    assert saved(MERGE) == "attachment; filename=Algebra_2.mp4"  # by which they know it
    assert saved(BACKUP).endswith(f"{encoded}_backup.mp4")


@ON_SQLITE
def test_the_version_that_people_have_is_given_until_there_is_another(ann: Web) -> None:
    put(ann, status="running", stage="collect", version=2)
    assert ann.api("ann", "GET", MERGE).data == content(1)
    make(ann, 2)
    put(ann, stage="deliver")
    assert ann.api("ann", "GET", MERGE).data == content(1)
    put(ann, status="delivered", delivered_version=2)
    assert ann.api("ann", "GET", MERGE).data == content(2)


@ON_SQLITE
def test_the_first_version_is_given_as_soon_as_it_is_ready(ann: Web) -> None:
    put(ann, status="running", delivered_version=None)
    assert ann.api("ann", "GET", MERGE).data == content(1)
    put(ann, status="failed")  # its destination refused it
    assert ann.api("ann", "GET", MERGE).data == content(1)
    put(ann, status="queued", stage="collect")  # it is to become another
    problem(ann.api("ann", "GET", MERGE), 404)


@ON_SQLITE
def test_a_video_that_is_not_there(ann: Web) -> None:
    said = problem(ann.api("ann", "GET", BACKUP), 404)
    assert (said["code"], said["detail"]) == ("rendition", "recording 1 has no file 'backup'")
    problem(ann.api("ann", "GET", "/records/1/renditions/original"), 422, "kind")
    problem(ann.api("ann", "GET", "/records/2/renditions/merge"), 404)
    path = ann.site.settings.data / "records/1/attempt-1/merge.mp4"
    path.unlink()  # this very moment
    assert "no longer kept" in problem(ann.api("ann", "GET", MERGE), 404)["detail"]
    writing(ann.site.engine, lambda session: session.execute(update(Rendition).values(path=None)))
    assert "no longer kept" in problem(ann.api("ann", "GET", MERGE), 404)["detail"]


# --- pictures -------------------------------------------------------------------------------------


@ON_SQLITE
def test_the_pictures_of_a_chunk(ann: Web) -> None:
    listed = ann.api("ann", "GET", "/records/1").get_json()["chunks"][0]["pictures"]
    assert [set(picture) for picture in listed] == [{"at", "verdict"}] * 2
    for number in range(2):
        said = ann.api("ann", "GET", f"/records/1/chunks/0/pictures/{number}")
        assert (said.status_code, said.content_type) == (200, "image/jpeg")
        assert said.data == JPEG + bytes([number])
        assert said.headers["Cache-Control"] == "private, no-cache"
    for path in ("0/pictures/2", "1/pictures/0", f"{2**31 - 1}/pictures/{2**31 - 1}"):
        assert problem(ann.api("ann", "GET", f"/records/1/chunks/{path}"), 404)["code"] == "picture"


@ON_SQLITE
def test_the_picture_of_a_source(ann: Web) -> None:
    assert problem(ann.api("bob", "GET", PICTURE), 404)["code"] == "picture"
    taken = START + timedelta(seconds=5)
    thumbnails.save_thumbnail(ann.site.settings, 1, taken, JPEG)
    said = ann.api("bob", "GET", PICTURE)  # who has no record there: a room is no secret
    assert (said.status_code, said.content_type, said.data) == (200, "image/jpeg", JPEG)
    assert said.headers["Cache-Control"] == "private, max-age=30"
    assert said.last_modified == taken
    same = ann.api(
        "bob", "GET", PICTURE, headers={"If-Modified-Since": said.headers["Last-Modified"]}
    )
    assert same.status_code == 304
    assert problem(ann.api("bob", "GET", "/rooms/1/sources/17/picture"), 404)["code"] == "source"
    assert problem(ann.api("bob", "GET", "/rooms/17/sources/1/picture"), 404)["code"] == "room_id"


@ON_SQLITE
def test_a_source_of_another_room_is_none_of_this_one(ann: Web) -> None:
    ann.site.add_room("505", roles=("speaker",))
    thumbnails.save_thumbnail(ann.site.settings, 3, START, JPEG)
    assert ann.api("bob", "GET", "/rooms/2/sources/3/picture").data == JPEG
    problem(ann.api("bob", "GET", "/rooms/1/sources/3/picture"), 404)


# --- who may --------------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize("path", [MERGE, OF_CHUNK])
def test_what_is_of_a_record_is_of_its_users_and_of_editors(ann: Web, path: str) -> None:
    for who in ("ann", "eve", "ada"):
        assert ann.api(who, "GET", path).status_code == 200
    assert problem(ann.api("bob", "GET", path), 404)["detail"] == "there is no recording 1"
    assert ann.signed_in("ann").get(f"/api/v1{path}", buffered=True).status_code == 200
    assert ann.signed_in("bob").get(f"/api/v1{path}", buffered=True).status_code == 404


@ON_SQLITE
@pytest.mark.parametrize("path", [MERGE, OF_CHUNK, PICTURE])
def test_nobody_unknown_sees_anything(ann: Web, path: str) -> None:
    thumbnails.save_thumbnail(ann.site.settings, 1, START, JPEG)
    problem(ann.api(None, "GET", path), 401)
    ann.add("may_not_read", "user", ("write",))
    problem(ann.api("may_not_read", "GET", path), 403)
    for method in ("POST", "PUT", "DELETE"):
        assert ann.api("ann", method, path).status_code == 405


@ON_SQLITE
def test_who_leaves_a_record_sees_it_no_more(ann: Web) -> None:
    ann.site.ask(users=("bob@example.org",), name="Алгебра 1")
    assert ann.api("bob", "GET", MERGE).status_code == 200
    actions.withdraw(ann.site.engine, 1, ann.site.clock, ann.ids["bob"])
    problem(ann.api("bob", "GET", MERGE), 404)


@ON_SQLITE
def test_the_document_says_what_is_given(web: Web) -> None:
    paths = web.call("ann", "GET", "/api/openapi.json").get_json()["paths"]
    for path, kind, statuses in (
        (
            "/api/v1/records/{record}/renditions/{kind}",
            "video/mp4",
            {"200", "206", "304", "412", "416"},
        ),
        (
            "/api/v1/records/{record}/chunks/{chunk}/pictures/{number}",
            "image/jpeg",
            {"200", "304", "412"},
        ),
        ("/api/v1/rooms/{room}/sources/{source}/picture", "image/jpeg", {"200", "304", "412"}),
    ):
        responses = paths[path]["get"]["responses"]
        assert statuses <= set(responses)
        assert responses["200"]["content"][kind]["schema"] == {"type": "string", "format": "binary"}
