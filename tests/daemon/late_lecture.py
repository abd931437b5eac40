"""A lecture whose media comes when it comes."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from merger.timeline.clock import utc
from tests.conftest import START, seconds
from tests.support.aftermath import merge_of
from tests.support.site import Site
from tests.support.truth import error_ms, frames_seen, instant_of

LENGTH_S = 12.0
END = utc(START + seconds(LENGTH_S))
DUE = utc(START + timedelta(hours=1, minutes=30))  # the half hour after the end, and an hour
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def waiting_lecture(site: Site) -> Site:
    """A service with a record of twelve seconds that was asked for before it took place."""
    site.add_room(chunk_s=1800)
    site.ask(LENGTH_S)
    site.clock = END
    return site


def come(
    site: Site,
    source: str,
    at_s: float = 0.0,
    length_s: float = LENGTH_S,
    when: datetime | None = None,
) -> Path:
    """A file comes to the library, now or at another instant."""
    path = site.film(source, at_s, length_s, sound=source == "speaker")
    changed(path, when or site.clock)
    return path


def changed(path: Path, when: datetime) -> None:
    os.utime(path, (when.timestamp(), when.timestamp()))


def all_but_half_the_screen(site: Site) -> None:
    """The screen's second file, from six seconds on, is missing."""
    come(site, "speaker", when=END + MINUTE)
    come(site, "screen", 0, 6, when=END + MINUTE)


def seen_right(site: Site) -> list[bool]:
    """Return for each second of the result whether the screen is seen; all that is seen is right."""
    frames = frames_seen(merge_of(site), wanted=range(12, 300, 25))
    assert len(frames) == LENGTH_S
    for frame in frames:
        instant = instant_of(START, frame.frame)
        assert frame.left is not None and abs(error_ms(frame.left, instant)) <= 40
        assert frame.right is None or abs(error_ms(frame.right, instant)) <= 40
    return [frame.right is not None for frame in frames]


HALF, WHOLE = [True] * 6 + [False] * 6, [True] * 12


def deliver_with_a_gap(site: Site) -> None:
    all_but_half_the_screen(site)
    site.clock = DUE
    assert site.work() == "delivered"
    assert seen_right(site) == HALF


def what_is_missing_comes(site: Site, later: timedelta = HOUR) -> Path:
    """The other half of the screen comes, so long after its record was delivered."""
    site.clock += later
    return come(site, "screen", 6, 6, when=site.clock - 2 * MINUTE)


def delivered(site: Site, version: int) -> None:
    """A version is what people have, once, and nothing else is on its way."""
    row = site.row()
    assert (row.status, row.version, row.delivered_version) == ("delivered", version, version)
    assert (row.error_code, row.tries) == (None, 0)
    assert len(list(site.merged.glob("*"))) == 2
    told = site.details()
    assert [(d["status"], d["version"]) for d in told["deliveries"]] == [("delivered", version)] * 2
    assert [r["version"] for r in told["renditions"]] == [version] * 2
