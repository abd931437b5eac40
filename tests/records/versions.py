"""A delivered lecture that is made again, and what people have of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from merger.errors import Refused
from merger.records import actions
from models import Record
from tests.conftest import START, seconds
from tests.render.test_time import check_instants
from tests.support.aftermath import deliveries
from tests.support.site import Site
from tests.support.truth import frames_seen

# Around an end of a part, at a multiple of two minutes.
FROM_S, CUT_S, UNTIL_S, FILMED_S = 114.0, 120.0, 126.0, 129.0
RATE = 25
LARGE = 0  # pixels on the left of the layout `screen_large`: the speaker is above the screen


def filmed_lecture(site: Site, until_s: float = UNTIL_S) -> None:
    """A room, and what its two cameras have of a lecture."""
    site.add_room(chunk_s=1800)
    for source in ("speaker", "screen"):
        site.film(source, FROM_S, until_s - FROM_S, sound=source == "speaker")


def delivered_lecture(site: Site, **changes: Any) -> Site:
    """A record of twelve seconds that is delivered; there are three seconds more of media."""
    filmed_lecture(site, FILMED_S)
    site.ask(UNTIL_S, FROM_S, users=("ann@example.org", "bob@example.org"), **changes)
    assert site.work() == "delivered"
    return site


def again(site: Site, **changes: Any) -> None:
    actions.remerge(site.engine, 1, site.clock, **changes)


def in_the_folder(site: Site) -> dict[str, bytes]:
    """Return what people see of the videos."""
    paths = [path for path in site.merged.iterdir() if not path.name.startswith(".")]
    return {path.name: path.read_bytes() for path in paths}


def names_in_the_ledger(site: Site) -> dict[str, str]:
    return {kind: entry.name for kind, entry in deliveries(site, 1).items()}


def wanted(row: Record) -> tuple[Any, ...]:
    """What a record is to be, or is."""
    return row.layout, row.profile, row.start_at, row.end_at, row.version


def check_version(
    site: Site, version: int, until_s: float = UNTIL_S, kinds: tuple[str, ...] = ("merge", "backup"),
    left_px: int | None = None,
) -> None:  # fmt: skip
    """A version is what people have, whole and right, and there is nothing else."""
    row = site.row()
    assert (row.status, row.version, row.delivered_version) == ("delivered", version, version)
    assert (row.error_code, row.error_message, row.delivered_as, row.done) == (None, None, None, 1)
    told = site.details()
    assert [(r["kind"], r["version"]) for r in told["renditions"]] == [(k, version) for k in kinds]
    ledger = deliveries(site, 1)
    assert {kind: entry.version for kind, entry in ledger.items()} == dict.fromkeys(kinds, version)
    assert set(in_the_folder(site)) == {entry.name for entry in ledger.values()}
    frames = round((until_s - FROM_S) * RATE)
    assert {r["frames"] for r in told["renditions"]} == {frames}
    seen = frames_seen(site.merged / ledger["merge"].name, left_px, {*range(0, frames, 20), frames})
    check_instants(seen, START + seconds(FROM_S), both=left_px is None)
    assert [frame.right is not None for frame in seen] == ["backup" in kinds] * len(seen)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as told:
        act()
    return told.value.code
