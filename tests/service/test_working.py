"""A record from request to delivery, in this process, on both databases."""

from __future__ import annotations

from tests.conftest import START
from tests.media.test_time import check_instants
from tests.site import Site
from tests.truth import frames_seen


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
