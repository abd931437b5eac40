"""How far a record is: a share of the whole that never goes back, and when it will be ready."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from merger.errors import Broken
from merger.i18n import Message, verbatim
from merger.records.actions import remerge, retry
from merger.records.rules import progress
from merger.records.rules.progress import furthest_share, overall_share, ready_at
from models import STAGES
from tests.support.site import Site

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("status", "stage", "share", "overall"),
    [
        ("queued", "collect", 0.0, 0.0),
        ("running", "collect", 0.5, 0.05),
        ("running", "analyse", 0.0, 0.1),
        ("running", "plan", 1.0, 0.22),
        ("running", "encode", 0.0, 0.22),
        ("running", "encode", 0.5, 0.57),
        ("running", "deliver", 0.0, 0.92),
        ("running", "deliver", 1.0, 1.0),
        ("running", "encode", 1.7, 0.92),  # a share that is none
        ("running", "encode", -1.0, 0.22),
        ("failed", "encode", 0.5, 0.57),
        ("delivered", "deliver", 0.0, 1.0),
        ("running", "elsewhere", 0.5, 0.0),  # of another version of this program
    ],
)
def test_the_share_of_the_whole(status: str, stage: str, share: float, overall: float) -> None:
    assert overall_share(status, stage, share) == overall


@pytest.mark.quick
def test_it_rises_from_stage_to_stage() -> None:
    assert set(progress.WEIGHTS) == set(STAGES)
    assert sum(progress.WEIGHTS.values()) == pytest.approx(1)
    shares = [overall_share("running", s, n / 10) for s in STAGES for n in range(11)]
    assert all(before <= after for before, after in itertools.pairwise(shares))


@pytest.mark.quick
@pytest.mark.parametrize(
    ("reached", "now", "share"),
    [
        (("encode", 0.5), ("encode", 0.6), 0.6),
        (("encode", 0.5), ("encode", 0.1), 0.5),  # parts are looked for in the cache
        (("encode", 0.5), ("analyse", 0.9), 0.5),  # a stage that is gone through again
        (("deliver", 0.0), ("encode", 1.0), 0.0),  # the heartbeat is a little late
    ],
)
def test_what_is_written_down(
    reached: tuple[str, float], now: tuple[str, float], share: float
) -> None:
    assert furthest_share(reached, now) == share


def ready_in(
    share: float, claimed: float, told: float = 0, stage: str = "encode", before: float = 0.0
) -> float | None:
    """Return in how many minutes a record that was claimed, and told of, some minutes ago is ready."""
    updated_at, claimed_at = (NOW - timedelta(minutes=ago) for ago in (told, claimed))
    at = ready_at(stage, share, updated_at, claimed_at, before)
    return at and (at - NOW) / timedelta(minutes=1)


@pytest.mark.quick
def test_when_it_is_ready_is_estimated_from_the_time_since_the_claim() -> None:
    assert ready_in(0.25, claimed=1) == pytest.approx(3)
    assert ready_in(0.5, claimed=10, told=2) == pytest.approx(6)  # two of eight are over
    # What an attempt before has encoded took no time.
    assert ready_in(0.75, claimed=10, before=0.5) == pytest.approx(10)


@pytest.mark.quick
def test_nothing_is_estimated_from_too_little() -> None:
    assert ready_in(0.02, claimed=10) is None
    assert ready_in(0.52, claimed=10, before=0.5) is None
    assert ready_in(0.5, claimed=0.05) is None
    assert ready_in(1.0, claimed=10) is None
    assert ready_in(0.5, claimed=10, stage="analyse") is None
    assert ready_in(0.06, claimed=60) is None  # fifteen hours: something is wrong


def test_it_never_goes_back_while_a_record_is_tried_again(site: Site) -> None:
    """Through damage in the middle, a worker that is taken away, and its successor."""
    site.add_room()
    record, seen = site.ask(), []
    minute = timedelta(minutes=1)

    def look() -> None:
        seen.append(site.details(record)["overall_progress"])

    claim = site.claim()
    assert claim is not None
    lease = site.lease(claim)
    for stage, shares in (
        ("collect", (0.5,)),
        ("analyse", (0.2, 1.0)),
        ("encode", (0.3, 0.6, 0.4)),
    ):
        lease.enter_stage(stage)
        for share in shares:
            site.clock += minute
            lease.renew(minute, share, lease.stage)
            look()
    ready = site.details(record)["ready_at"]
    assert ready is not None and datetime.fromisoformat(ready) > site.clock
    lease.hand_back(Message("history.handed_back"))
    look()
    claim = site.claim()
    assert claim is not None
    lease = site.lease(claim)
    look()
    for stage, shares in (("analyse", (0.0, 0.9)), ("encode", (0.1, 0.8))):
        lease.enter_stage(stage)
        for share in shares:
            site.clock += minute
            lease.renew(minute, share, lease.stage)
            look()
            if share == 0.8:  # a fifth in four minutes
                at = site.details(record)["ready_at"]
                assert at is not None
                assert datetime.fromisoformat(at) - site.clock == 4 * minute
    # Somebody tries again what has failed: all is done anew, and what was encoded is found.
    lease.fail(Broken("odd", verbatim("odd")))
    retry(site.engine, record, site.clock)
    assert site.row().stage == "collect"
    claim = site.claim()
    assert claim is not None
    lease = site.lease(claim)
    for stage, share in (("collect", 0.5), ("encode", 0.1), ("encode", 0.9), ("deliver", 0.5)):
        lease.enter_stage(stage)
        lease.renew(minute, share, stage)
        look()
    assert seen == sorted(seen) and seen[-1] > 0.9
    # Another version is another whole.
    lease.cancel()
    remerge(site.engine, record, site.clock, layout="speaker_only")
    look()
    assert seen[-1] == 0
