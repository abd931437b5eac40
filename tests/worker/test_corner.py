"""Where the speaker lies above the screen: chosen by what the room showed before, and kept."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from merger.db.engine import writing
from merger.errors import Refused
from merger.records import actions
from merger.records.processing import stage_results
from merger.timeline.clock import utc
from merger.timeline.layout import Corner
from models import Chunk
from tests.analysis.test_ink import jpeg, slide
from tests.conftest import START
from tests.support.databases import ON_SQLITE
from tests.support.filmed import DAY, filmed_room, put
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site

BEFORE = utc(START) - DAY
HALF_HOUR = timedelta(minutes=30)


def show(
    site: Site, *pictures: bytes, at: datetime = BEFORE, room: str = "504",
    verdict: str = "presentation", judged: str = "presentation",
) -> int:  # fmt: skip
    """Add a record with one chunk that showed some pictures; return its id."""
    record = put(site, room, start_at=at, end_at=at + HALF_HOUR, status="delivered")
    shown = [
        {"at": at.isoformat(), "verdict": judged, "jpeg": base64.b64encode(data).decode()}
        for data in pictures
    ]
    chunk = Chunk(
        record_id=record, start_at=at, end_at=at + HALF_HOUR, presence=True, verdict=verdict,
        score=1.0, samples=len(pictures), reasons=[], pictures=json.dumps(shown),
    )  # fmt: skip
    writing(site.engine, lambda session: session.add(chunk))
    return record


def slides_before(site: Site) -> list[bytes]:
    claim = site.claim()
    assert claim is not None
    return stage_results.earlier_slides(site.lease(claim))


@BOTH_DATABASES
def test_which_slides_count(site: Site) -> None:
    site.add_room()
    site.add_room("505")
    show(site, b"later", at=utc(START) + DAY)
    show(site, b"elsewhere", room="505")
    show(site, b"card", judged="no_signal")
    show(site, b"mostly none", verdict="no_signal")
    show(site, at=BEFORE + timedelta(minutes=1))
    for n in range(12):
        show(site, *(b"%d-%d" % (n, m) for m in range(7)), at=BEFORE - n * DAY)
    site.ask()
    found = slides_before(site)
    # of the last ten, evenly, at most six of each
    assert found == [b"%d-%d" % (n, m) for n in range(9) for m in (0, 2, 4, 6)]
    assert len(found) <= 60


@BOTH_DATABASES
def test_a_room_without_slides(site: Site) -> None:
    site.add_room()
    site.ask()
    assert slides_before(site) == []


def planned_corner(site: Site, record: int) -> Any:
    """Return the corner in the plan, which is that of the report and of the row."""
    folder = site.settings.data / "records" / str(record)
    corner = json.loads((folder / "plan.json").read_text())["corner"]
    assert stage_results.load_report(site.engine, record)["corner"] == corner
    media = site.row(record).media
    assert media is not None and media.get("corner") == corner
    return corner


def parts_of(site: Site) -> set[Path]:
    return set(site.settings.cache.glob("??/*.merge.mp4"))


@ON_SQLITE
def test_the_corner_is_chosen_once(site: Site) -> None:
    filmed_room(site)
    show(site, jpeg(slide("bottom_right")))
    record = site.ask(2, layout="screen_large")
    assert site.work() == "delivered"
    assert planned_corner(site, record) == "top_right"
    before = parts_of(site)

    def other_slides(*corners: Corner) -> None:
        show(site, *[jpeg(slide(*corners))] * 6, at=BEFORE + HALF_HOUR)

    # what the room shows meanwhile does not count, neither for a version of another layout between
    other_slides("bottom_right", "top_right")
    for layout in ("side_by_side", "screen_large"):
        actions.remerge(site.engine, record, site.clock, layout=layout)
        assert site.work() == "delivered"
    assert planned_corner(site, record) == "top_right"
    assert len(parts_of(site) - before) == 1  # that of the layout between


@ON_SQLITE
def test_the_corner_stays_where_a_version_failed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    filmed_room(site)
    record = site.ask(2)
    assert site.work() == "delivered"
    assert "corner" not in (site.row(record).media or {})
    show(site, jpeg(slide("bottom_right")))
    actions.remerge(site.engine, record, site.clock, layout="screen_large")
    with monkeypatch.context() as patched:
        patched.setattr("merger.render.renderer.render", refuse)
        assert site.work() == "failed"
    assert (site.row(record).layout, site.row(record).version) == ("side_by_side", 1)
    assert (site.row(record).media or {}).get("corner") == "top_right"


def refuse(*_: object) -> None:
    raise Refused("room", "worker.room_gone")
