"""Shares that are away: tried again, done without, and made up for when they are back."""

from __future__ import annotations

import pytest

from merger.daemon.late_media import find_late_media
from merger.errors import Broken, Temporary
from tests.conftest import START
from tests.render.test_time import check_instants
from tests.support.aftermath import merge_of, next_try
from tests.support.databases import ON_SQLITE
from tests.support.filmed import DAY, HOUR, MINUTE, filmed_room, source
from tests.support.line import reason
from tests.support.site import Site
from tests.support.stumbling import cannot_encode, cannot_find
from tests.support.truth import error_ms, frames_seen, instant_of


@pytest.fixture
def filmed(site: Site) -> Site:
    return filmed_room(site)


def away(site: Site, *names: str) -> None:
    for name in names:
        source(site, "504", name, address=f"{site.folder}/not mounted#504_{name}")


def test_a_share_that_is_away_is_tried_again_and_then_done_without(filmed: Site) -> None:
    away(filmed, "screen")
    record = filmed.ask()
    assert filmed.work() == "deferred"
    row = filmed.row()
    assert (row.status, row.error_code, row.tries, row.stage) == (
        "queued",
        "source_away",
        1,
        "collect",
    )
    assert "not mounted is not available" in reason(row)
    assert "mount the share again, or correct the address" in reason(row)
    begun = filmed.clock
    for tries in range(2, 6):
        assert next_try(filmed) == "deferred"
        assert filmed.row().tries == tries
    assert next_try(filmed) == "delivered"
    assert 10 * MINUTE < filmed.clock - begun < HOUR
    told = filmed.details(record)
    [warning] = [w for w in told["warnings"] if "reached" in w]
    assert warning.startswith("source 'screen' could not be reached: ")
    assert told["error"] is None
    seen = frames_seen(merge_of(filmed), left_width=10_000, wanted=range(0, 150, 25))
    assert len(seen) == 6
    for frame in seen:
        assert frame.left is not None
        assert abs(error_ms(frame.left, instant_of(START, frame.frame))) <= 40
    # It is mounted again: people get the whole of it.
    source(filmed, "504", "screen", address=f"{filmed.library().library}#504_screen")
    assert find_late_media(filmed.service, filmed.clock) == [record]
    assert filmed.work() == "delivered"
    check_instants(frames_seen(merge_of(filmed)), START)
    assert filmed.row().delivered_version == 2


@ON_SQLITE
def test_a_share_that_comes_back_meanwhile(filmed: Site) -> None:
    away(filmed, "screen", "speaker")
    filmed.ask()
    assert filmed.work() == "deferred"
    for name in ("screen", "speaker"):
        source(filmed, "504", name, address=f"{filmed.library().library}#504_{name}")
    assert next_try(filmed) == "delivered"
    check_instants(frames_seen(merge_of(filmed)), START)
    row = filmed.row()
    assert (row.error_code, row.error_message, row.tries) == (None, None, 0)


@ON_SQLITE
def test_what_was_done_without_is_told_by_whoever_goes_on(filmed: Site, monkeypatch) -> None:
    """The attempt that has collected ends before the video is made."""
    away(filmed, "screen")
    record = filmed.ask()
    filmed.work()
    for _ in range(4):
        next_try(filmed)
    with monkeypatch.context() as patched:
        cannot_encode(filmed, patched, Temporary("memory", "there was not enough memory"))
        assert next_try(filmed) == "deferred"
    assert filmed.row().stage == "encode"
    assert next_try(filmed) == "delivered"
    told = filmed.details(record)["warnings"]
    assert [w for w in told if w.startswith("source 'screen' could not be reached: ")]


@ON_SQLITE
def test_when_no_share_is_there_somebody_has_to_act(filmed: Site) -> None:
    away(filmed, "screen", "speaker")
    filmed.ask()
    begun = filmed.clock
    outcome = filmed.work()
    while outcome == "deferred":
        outcome = next_try(filmed)
    assert outcome == "failed"
    assert 18 * HOUR < filmed.clock - begun < 30 * HOUR
    row = filmed.row()
    assert (row.status, row.error_code) == ("failed", "sources")
    for name in ("speaker", "screen"):
        assert f"source '{name}' could not be reached" in reason(row)


@ON_SQLITE
def test_a_source_whose_password_was_changed_costs_its_own_side(
    filmed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It will not pass by itself: nobody waits; once it is put right, the record has all."""
    record = filmed.ask()
    with monkeypatch.context() as patched:
        cannot_find(patched, Broken("credentials", "the password was changed"), "screen")
        assert filmed.work() == "delivered"
    [warning] = [w for w in filmed.details(record)["warnings"] if "password was changed" in w]
    assert warning.startswith("source 'screen' could not be reached: ")
    assert find_late_media(filmed.service, filmed.clock) == [record]
    assert filmed.work() == "delivered"
    check_instants(frames_seen(merge_of(filmed)), START)


@ON_SQLITE
def test_where_there_is_nothing_else_the_password_is_the_reason(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_room()
    site.ask()
    cannot_find(monkeypatch, Broken("credentials", "the password was changed"), "screen")
    site.clock += DAY
    assert site.work() == "failed"
    assert site.row().error_code == "credentials"
    assert reason(site.row()) == "the password was changed"
