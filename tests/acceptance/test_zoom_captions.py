"""What was written and said in a meeting that was paused stands where it was in the video."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from html import unescape
from pathlib import Path
from typing import Any

import webvtt
from sqlalchemy import update

from merger.db.engine import writing
from merger.records import actions, requests
from models import Room
from recorders.testing.clock import plain
from tests.acceptance.test_zoom import add_room, call, made, zoom
from tests.conftest import CARRIED, SMALL
from tests.fakes.zoom import NUMBER, UUID, ZoomServer, instant
from tests.support import films
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

__all__ = ["zoom"]

pytestmark = ON_SQLITE

# The meeting begins at 10:00:00 and is recorded from 10:02:10 to 10:02:20; it is paused for 3:30,
# and recorded on until 10:06:20. The record begins at 10:05:00.
BEGAN = (datetime.now(UTC) - timedelta(days=1)).replace(hour=10, minute=0, second=0, microsecond=0)
RAN_S = ((130, 140), (350, 380))
FROM_S, UNTIL_S = 300, 380
CHAT = """00:02:15\tAnn:\tbefore the record
00:05:30\tAnn:\tis it on? <script>alert(1)</script>
00:06:00 From Bob to Everyone:
\t00:00:00.000 --> 00:00:01.000
\tsecond line
"""
# 15 s in the file are 10:05:55: ten before the pause, and five behind it.
SAID = "WEBVTT\n\n1\n00:00:05.000 --> 00:00:07.000\nAnn: early\n\n2\n00:00:15.000 --> 00:00:18.500\nAnn: again\n"


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def hold_meeting(zoom: ZoomServer, site: Site, folder: Path) -> None:
    """Have Zoom record the meeting, and report it while it goes on."""
    zoom.meetings[UUID]["start_time"] = instant(BEGAN)
    film, length_s = folder / "film.mp4", sum(end - begin for begin, end in RAN_S)
    films.film(
        CARRIED.path, film, BEGAN, seconds(length_s), ground=plain(*SMALL), source=1,
        rate=Fraction(5), pitch_hz=440.0,
    )  # fmt: skip
    begins, ends = RAN_S[0][0], RAN_S[-1][1]
    for view, kind, data in (
        ("active_speaker", "MP4", film.read_bytes()), ("chat_file", "CHAT", CHAT.encode()),
    ):  # fmt: skip
        zoom.add_file(view, BEGAN + seconds(begins), ends - begins, data, file_type=kind)
    meeting = {"uuid": UUID, "id": str(NUMBER), "topic": "Algebra"}
    at_s = {"started": 130, "paused": 140, "resumed": 350, "stopped": 380}
    reports = [
        {
            "event": f"recording.{kind}",
            "event_ts": round((BEGAN + seconds(s)).timestamp() * 1000),
            "payload": {"object": meeting},
        }
        for kind, s in at_s.items()
    ]
    call(site, zoom, *reports)


def transcribe(zoom: ZoomServer, site: Site) -> None:
    """Have Zoom write down what was said, and tell of that."""
    begins, ends = RAN_S[0][0], RAN_S[-1][1]
    files = [
        zoom.add_file(view, BEGAN + seconds(begins), ends - begins, SAID.encode(), file_type=kind)
        for view, kind in (("audio_transcript", "TRANSCRIPT"), ("closed_caption", "CC"))
    ]
    meeting = {**zoom.told(UUID), "recording_files": files[:1]}
    call(site, zoom, {"event": "recording.transcript_completed", "payload": {"object": meeting}})


def cues(path: Path) -> list[tuple[float, str]]:
    """Return when each cue begins, and its text, as another program reads them."""
    read = webvtt.from_string(path.read_text(), strict=True)
    return [(cue.start_in_seconds, unescape(cue.raw_text)) for cue in read]


def beside(video: Path) -> Mapping[str, Path]:
    """Return the captions that lie beside a video, by kind."""
    there = video.parent.glob("*.vtt")
    return {
        path.stem.removeprefix(f"{video.stem}_"): path
        for path in there
        if path.name.startswith(video.stem)
    }


def test_chat_and_transcript_go_with_the_video(
    site: Site, zoom: ZoomServer, tmp_path: Path
) -> None:
    add_room(site, ("speaker", "zoom", f"zoom:{NUMBER}"))
    writing(site.engine, lambda session: session.execute(update(Room).values(papers=True)))
    hold_meeting(zoom, site, tmp_path)
    span: dict[str, Any] = {"start": BEGAN + seconds(FROM_S), "end": BEGAN + seconds(UNTIL_S)}
    wanted = requests.Request(room="504", name="Algebra", profile="540p", **span)
    record, _ = requests.request_record(site.engine, wanted, BEGAN)
    video = made(site, record)
    sent = video.stat()
    assert beside(video).keys() == {"chat"}

    transcribe(zoom, site)  # which takes Zoom longer
    assert made(site, record) == video and site.row(record).version == 1
    assert (video.stat().st_ino, video.stat().st_mtime_ns) == (sent.st_ino, sent.st_mtime_ns)
    assert "late_transcripts" not in (site.row(record).media or {})
    there = beside(video)
    assert there.keys() == {"chat", "transcript"}
    (asked, question), (answered, answer) = cues(there["chat"])
    assert abs(asked - 30) <= 1 and question == "Ann: is it on? <script>alert(1)</script>"
    assert answered == 60 and answer == "Bob: 00:00:00.000 --> 00:00:01.000\nsecond line"
    [(said, text)] = cues(there["transcript"])  # captions say the same, and are left out
    assert abs(said - 55) <= 1 and text == "Ann: again"

    details = site.details(record)
    assert len(details["papers"]) == 3  # as they came from Zoom
    assert [r["kind"] for r in details["renditions"]] == ["merge"]
    listed = {(one["kind"], one["version"]) for one in details["captions"]}
    assert listed == {("chat", 1), ("transcript", 1)}
    delivered = {d["kind"]: d["link"] for d in details["deliveries"]}
    assert delivered.keys() == {"merge", "chat", "transcript"}

    # Another version has other times; where the room says so, none of it goes to people.
    writing(site.engine, lambda session: session.execute(update(Room).values(papers=False)))
    actions.remerge(site.engine, record, datetime.now(UTC), start=BEGAN + seconds(FROM_S + 10))
    video = made(site, record)
    assert beside(video) == {}
    folder = site.settings.data / "records" / str(record)
    kept = {path.stem: path for path in folder.glob("attempt-3/*.vtt")}
    assert [start for start, _ in cues(kept["chat"])] == [20, 50]
    assert {d["kind"] for d in site.details(record)["deliveries"]} == {"merge"}
