"""A meeting in two views, paused in the middle: from Zoom's call to a video that shows its time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

import app
from merger.db.engine import writing
from merger.live.raw_uploads import upload_raw_segments
from models import Room, Source
from recorders.testing.clock import plain
from recorders.zoom.webhook import signature
from tests.conftest import CARRIED, SMALL
from tests.fakes.zoom import NUMBER, ZoomServer, zoom_served
from tests.support import films
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.support.truth import Seen, error_ms, frames_seen, instant_of

# A day ago, at a full second, as Zoom says it.
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
RATE, FILE_RATE = 25, 5
FIRST, SECOND = (0, 12), (15, 12)  # seconds: from, length
END_S = 27
SECRET = "a secret token"

pytestmark = ON_SQLITE


@pytest.fixture
def zoom() -> Iterator[ZoomServer]:
    with zoom_served() as server:
        server.add_meeting()
        yield server


def film(zoom: ZoomServer, folder: Path, view: str, code: int, *pieces: tuple[int, int]) -> None:
    """Have a view be recorded: its pictures show when they were taken, and who took them."""
    for from_s, length_s in pieces:
        path, start = folder / f"{view}-{from_s}.mp4", START + timedelta(seconds=from_s)
        films.film(
            CARRIED.path, path, start, timedelta(seconds=length_s), ground=plain(*SMALL),
            source=code, rate=Fraction(FILE_RATE), pitch_hz=440.0,
        )  # fmt: skip
        zoom.add_file(view, start, length_s, path.read_bytes())


def add_room(site: Site, *sources: tuple[str, str, str]) -> None:
    """Add a room. sources: role, kind, address."""

    def add(session: Any) -> None:
        row = Room(name="504", zone="Europe/Moscow", chunk_s=1800)
        row.sources = [Source(name=f"{k}-{r}", role=r, kind=k, address=a) for r, k, a in sources]
        session.add(row)

    writing(site.engine, add)


def call(site: Site, zoom: ZoomServer, body: dict[str, Any], *more: dict[str, Any]) -> TestResponse:
    """Have Zoom call, once for each body; return the last answer."""
    short = {"MERGER_SHORTEST": "1s"}  # no meeting is too short
    site.environ |= {**zoom.variables, **short, "MERGER_ZOOM_HOOK_SECRET": SECRET}
    client = app.create_web(app.create_service(site.settings, site.engine)).test_client()
    for data in (json.dumps(said).encode() for said in (body, *more)):
        stamp = str(int(datetime.now(UTC).timestamp()))
        signed = {"x-zm-request-timestamp": stamp, "x-zm-signature": signature(SECRET, stamp, data)}
        answer = client.post("/hooks/zoom", data=data, headers=signed)
        assert answer.status_code in (200, 204), answer.text
    return answer


def tell(site: Site, zoom: ZoomServer) -> int:
    """Have Zoom call; return the record."""
    (said,) = (zoom.told(uuid) for uuid in zoom.meetings)
    answer = call(site, zoom, {"event": "recording.completed", "payload": {"object": said}})
    return int(answer.get_json()["record"])


def made(site: Site, record: int) -> Path:
    """Let the daemon work off what is due; return the merged file."""
    done = site.command("daemon", "--once")
    assert done.returncode == 0, done.stderr
    row = site.row(record)
    assert row.status == "delivered", (row.error_message, done.stderr)
    links = {d["kind"]: d["link"] for d in site.details(record)["deliveries"]}
    return Path(links["merge"])


def check(seen: list[Seen], left: int, right: int | None) -> None:
    """Check that every side shows its own instant where there is media, and nothing else."""
    assert seen
    for frame in seen:
        at_s = frame.frame / RATE
        has_media = any(first <= at_s < first + length for first, length in (FIRST, SECOND))
        for clock, code in ((frame.left, left), (frame.right, right)):
            if not has_media or code is None:
                assert clock is None, frame
                continue
            assert clock is not None and clock.source == code, frame
            # Half an output frame, and what a picture of the source lasts.
            error = error_ms(clock, instant_of(START, frame.frame))
            assert -1000 / FILE_RATE - 20 <= error <= 20, (frame, error)


WANTED = sorted({*range(0, END_S * RATE, 13), END_S * RATE - 1})


def test_two_views_in_two_pieces(site: Site, zoom: ZoomServer, tmp_path: Path) -> None:
    film(zoom, tmp_path, "active_speaker", 1, FIRST, SECOND)
    film(zoom, tmp_path, "shared_screen", 2, FIRST, SECOND)
    film(zoom, tmp_path, "gallery_view", 3, FIRST)  # which is not shown
    zoom.add_file("chat_file", START, END_S, b"Ann: hello", file_type="CHAT")
    add_room(site, ("speaker", "zoom", f"zoom:{NUMBER}"))
    writing(site.engine, lambda session: session.execute(update(Room).values(archives=True)))
    record = tell(site, zoom)
    video = made(site, record)
    seen = frames_seen(video, wanted=WANTED)
    check(seen, 1, 2)
    told = site.details(record)
    assert [chunk["verdict"] for chunk in told["chunks"] if chunk["presence"]]
    assert {gap["source"] for gap in told["gaps"]} == {"zoom-speaker", "zoom-speaker/screen"}
    assert told["users"] == ["prof@example.edu"] and told["name"] == "Algebra"
    (chat,) = told["papers"]
    kept = site.settings.data / "records" / str(record) / "papers" / chat
    assert kept.read_bytes() == b"Ann: hello"
    loaded = zoom.count("/rec/download")
    service = app.create_service(site.settings, site.engine)
    for _ in range(2):
        upload_raw_segments(service, datetime.now(UTC))
    raw = sorted(path.name for path in (site.merged / "raw").rglob("*.*"))
    views = [re.sub(r"^[\d_-]{20}(.*)_\w{6}\.", r"\1.", name) for name in raw]
    each = [
        f"{view}.{end}" for view in ("active_speaker", "shared_screen") for end in ("json", "mp4")
    ]
    assert sorted(views) == sorted([*each, *each, "gallery_view.json", "gallery_view.mp4"])
    assert zoom.count("/rec/download") == loaded == 6  # each once, and the chat


def test_one_view_alone_fills_the_canvas(site: Site, zoom: ZoomServer, tmp_path: Path) -> None:
    film(zoom, tmp_path, "gallery_view", 3, FIRST, SECOND)
    add_room(site, ("speaker", "zoom", f"zoom:{NUMBER}"))
    record = tell(site, zoom)
    video = made(site, record)
    check(frames_seen(video, left_width=10_000, wanted=WANTED), 3, None)
    told = site.details(record)
    assert {gap["source"] for gap in told["gaps"]} == {"zoom-speaker"}
    assert not any("screen" in warning for warning in told["warnings"]), told["warnings"]
    assert {scene["layout"] for scene in told["scenes"]} == {"speaker_only"}


def test_zoom_fills_what_no_camera_fills(site: Site, zoom: ZoomServer, tmp_path: Path) -> None:
    """The camera of the room stands left, although Zoom has a picture of the speaker, too."""
    film(zoom, tmp_path, "active_speaker", 1, FIRST, SECOND)
    film(zoom, tmp_path, "shared_screen", 2, FIRST, SECOND)
    camera = "testpattern:?size=320x180&rate=5&code=5&segment=1m"
    add_room(site, ("speaker", "testpattern", camera), ("audio", "zoom", f"zoom:{NUMBER}"))
    record = tell(site, zoom)
    video = made(site, record)
    for frame in frames_seen(video, wanted=WANTED[::4]):
        assert frame.left is not None and frame.left.source == 5
        at_s = frame.frame / RATE
        has_media = any(first <= at_s < first + length for first, length in (FIRST, SECOND))
        assert (frame.right is not None) == has_media
