"""What was measured of a source's clock, and done, is in the record's plan and details."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from recorders.testing.speech import Lecture
from tests.conftest import START, seconds
from tests.support.databases import ON_SQLITE
from tests.support.site import Site


@ON_SQLITE
@pytest.mark.parametrize("wanted", ["yes", "no"])
def test_a_record_says_who_was_moved(site: Site, wanted: str) -> None:
    site.environ["MERGER_SYNC"] = wanted
    site.add_room()
    lecture = Lecture(1, START - seconds(5))
    for source, at_s in (("speaker", 0.0), ("screen", -1.2)):
        name = f"2026-11-20_10-00-00_504_{source}.mp4"
        site.film(source, at_s, 30, rate=Fraction(5), lecture=lecture, name=name)
    site.ask(28, layout="speaker_only")
    assert site.work() == "delivered"
    details = site.details()
    plan = json.loads((site.folder / "data/records/1/plan.json").read_text())
    assert details["sync"] == plan["sync"]
    assert [(s["source"], s["done"], round(s["offset_ms"], -1)) for s in details["sync"]] == (
        [("screen", "moved", -1200)] if wanted == "yes" else []
    )
    assert details["warnings"] == []
