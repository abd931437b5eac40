"""A record from request to delivery, in this process, on both databases."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from merger.analysis.glance import small_picture
from merger.records.browse.previews import picture_of_record
from merger.records.rules.retry import TRIES
from merger.render import renderer
from tests.conftest import START
from tests.render.test_time import check_instants
from tests.support.databases import ON_SQLITE
from tests.support.selection import BOTH_DATABASES
from tests.support.site import Site
from tests.support.stumbling import cannot_reach
from tests.support.truth import clock_in, error_ms, frames_seen


@BOTH_DATABASES
def test_a_record_is_delivered(site: Site) -> None:
    site.add_room()
    site.film("speaker")
    site.film("screen", sound=False)
    assert site.ask() == 1
    assert site.work() == "delivered"
    [merge] = [p for p in site.merged.glob("*.mp4") if "backup" not in p.name]
    check_instants(frames_seen(merge), START)
    row = site.row()
    assert (row.status, row.done, row.processing, row.attempt) == ("delivered", 1, 0, 1)
    assert site.details()["sources"] == ["speaker", "screen"]
    assert site.events() == ["asked", "claimed", "sent", "sent", "delivered"]
    assert site.work() is None


@ON_SQLITE
def test_without_slides_a_picture_of_the_video_is_kept(site: Site) -> None:
    site.add_room(roles=("speaker",))
    film = site.film("speaker")
    record = site.ask(layout="speaker_only")
    assert site.work() == "delivered"
    # Its key frame is the first one; of the film there are some more.
    for picture, from_ms in (
        (picture_of_record(site.engine, record), 0),
        (small_picture(film, 0.5) or b"", 2000),
    ):
        luma = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
        clock = clock_in(luma)
        assert clock is not None and luma.shape[1] <= 384
        assert from_ms <= error_ms(clock, START) <= 3000


@ON_SQLITE
def test_what_failed_in_an_earlier_stage_does_not_count(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_room()
    site.film("speaker", 0, 12, sound=True)
    site.ask(12, users=())
    with monkeypatch.context() as patched:
        cannot_reach(site, patched)
        for _ in range(TRIES):
            assert site.work() == "deferred"
            site.clock = site.row().run_after
    with monkeypatch.context() as patched:
        patched.setattr(renderer, "render", lambda *_: short_of_memory())
        assert site.work() == "deferred"
    assert (site.row().stage, site.row().tries) == ("plan", 1)


def short_of_memory() -> None:
    raise MemoryError
