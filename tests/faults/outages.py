"""A lecture whose record loses its database or its disk, and what is right afterwards."""

from __future__ import annotations

import pytest

from merger.db import engine
from tests.conftest import START
from tests.render.test_time import check_instants
from tests.support.site import Site
from tests.support.truth import frames_seen


def be_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite says at once that somebody else writes, rather than after half a minute."""
    monkeypatch.setattr(engine, "_BUSY_S", 0)


def lecture_that_is_due(site: Site) -> Site:
    """A service with a record that is due."""
    filmed(site)
    site.ask()
    return site


def filmed(site: Site) -> None:
    site.add_room()
    site.film("speaker")
    site.film("screen", sound=False)


def check_delivered(site: Site, record: int = 1, attempt: int = 1) -> None:
    """One merge and one backup, whole; and nothing that was half-done."""
    row = site.row(record)
    assert (row.status, row.attempt, row.claimed_by) == ("delivered", attempt, None)
    files = sorted(path.name for path in site.merged.iterdir())
    assert len(files) == 2 and files[0].endswith("_10-00-10-00.mp4"), files
    check_instants(frames_seen(site.merged / files[0], wanted=range(0, 150, 10)), START)
    for folder in (site.merged, site.settings.cache, site.settings.data / "records" / str(record)):
        assert not list(folder.glob(".merge-work-*"))
