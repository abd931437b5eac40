"""The stages of the work on a record, in order: each writes down what the next ones need.

A worker that takes a record up goes on behind the last stage whose outcome is still there. Each
stage imports what it needs when it runs: whoever waits for media does not pay for a decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from merger.storage.files import make_folder, work_folder
from merger.worker import collect, deliver, video
from merger.worker.work import Work


def _nothing_left(work: Work) -> None:
    """Return that the outcome of an earlier attempt is worth nothing by itself."""


@dataclass(frozen=True)
class Stage:
    """A line of the table.

    Attributes:
        names: what the row's `stage` says while it lasts; it enters those after the first itself.
        needs: the tables and columns that it goes by, beside the request.
        writes: the tables and columns in which it writes down its outcome.
        keeps: where it finds what is done already, when it is begun again.
        run: does it; takes the outcome of the stage before, and returns its own.
        resume: returns the outcome that an earlier attempt has left, if all of it is there.
    """

    names: tuple[str, ...]
    needs: tuple[str, ...]
    writes: tuple[str, ...]
    keeps: str
    run: Callable[[Work, Any], Any]
    resume: Callable[[Work], Any | None] = _nothing_left


STAGES = (
    Stage(
        names=("collect",),
        needs=(),
        writes=("segments", "records.media"),
        keeps="complete files in the data folder, by what is in them",
        run=collect.collect,
        resume=collect.load_collected,
    ),
    Stage(
        names=("analyse",),
        needs=("records.media",),
        writes=("chunks", "stills", "still_sightings"),
        keeps="chunks in the cache, by all that they depend on",
        run=video.analyse,
    ),
    Stage(
        names=("plan", "encode"),
        needs=("records.media",),
        writes=("records.media", "renditions", "records.report"),
        keeps="parts in the cache, by their specs",
        run=video.make_video,
        resume=deliver.load_finished,
    ),
    Stage(
        names=("deliver",),
        needs=("renditions", "records.report", "records.media"),
        writes=("deliveries",),
        keeps="the ledger, and what lies at the destinations",
        run=deliver.deliver_everywhere,
    ),
)


def run_stages(work: Work) -> None:
    """Go through the stages that are left."""
    cache = work.service.settings.cache
    make_folder(cache, "the cache folder (MERGER_CACHE)")
    with work_folder(cache) as work.repairs:
        done, outcome = _resume(work)
        for stage in STAGES[done:]:
            work.enter(stage.names[0])
            outcome = stage.run(work, outcome)


def _resume(work: Work) -> tuple[int, Any]:
    """Return how many stages are done, and the outcome of the last one of them."""
    for n in reversed(range(len(STAGES))):
        outcome = STAGES[n].resume(work)
        if outcome is not None:
            return n + 1, outcome
    return 0, None
