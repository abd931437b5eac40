"""Videos that wait for their delivery are delivered only as they were made."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from merger.records.processing import stage_results
from merger.storage import paths
from merger.timeline.layout import Size
from merger.timeline.report import Rendition
from merger.worker.deliver import load_finished
from merger.worker.task import resolve_task
from merger.worker.work import Work
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

pytestmark = ON_SQLITE


@pytest.fixture
def finished(site: Site) -> tuple[Work, Path]:
    """The work on a record whose video is ready, and the video."""
    site.add_room()
    site.ask()
    held = site.claim()
    assert held is not None
    lease, data = site.lease(held), site.settings.data
    folder = paths.attempt_folder(data, held.record, held.attempt)
    folder.mkdir(parents=True)
    video, content = folder / "merge.mp4", os.urandom(5_000_000)
    video.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    made = Rendition("merge", video, 150, Size(640, 180), "h264", len(content), digest)
    work = Work(site.service, lease, resolve_task(site.service, lease.load_job()))
    work.load(stage_results.save_renditions(lease, data, [made], {}))
    return work, video


def test_what_was_made_is_delivered(finished: tuple[Work, Path]) -> None:
    work, video = finished
    there = load_finished(work)
    assert there is not None and [upload.path for upload in there.uploads] == [video]


def test_what_is_no_longer_what_was_made_is_made_again(
    finished: tuple[Work, Path], caplog: pytest.LogCaptureFixture
) -> None:
    work, video = finished
    content = bytearray(video.read_bytes())
    content[3_000_000] ^= 1
    video.write_bytes(content)
    assert load_finished(work) is None
    [line] = caplog.messages
    assert str(video) in line and "made again" in line
