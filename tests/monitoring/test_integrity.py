"""What is kept is read, and what is no longer as it was written is told, with what to do."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from merger.db.engine import writing
from merger.errors import Cancelled
from merger.monitoring import integrity
from merger.storage.cache import Cache, sum_path
from merger.storage.files import make_folders, work_folder
from merger.timeline.clock import utc
from models import Delivery, Rendition, Segment
from tests.conftest import START
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

pytestmark = ON_SQLITE

CONTENT = os.urandom(5000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
CACHE, VIDEOS, DELIVERED, MEDIA = (
    "parts in the cache (MERGER_CACHE)",
    "videos (MERGER_DATA)",
    "delivered videos (MERGER_OUTPUT)",
    "collected media (MERGER_DATA)",
)
WHERE = {
    "part": "cache/ab/ab1.merge.mp4",
    "video": "data/records/1/attempt-1/merge.mp4",
    "delivered": "data/merged/Lecture.mp4",
    "segment": "data/segments/1/a.mp4",
    "older segment": "data/segments/1/before.mp4",  # that only the media of a record names
    "segment without a sidecar": "data/segments/1/b.mp4",
    "recording": "data/recorded/1/c.mkv",
}


@pytest.fixture
def kept(site: Site) -> Site:
    """A service that keeps one file of each sort."""
    site.add_room()
    site.ask()
    for name in WHERE.values():
        make_folders((site.folder / name).parent)
        (site.folder / name).write_bytes(CONTENT)
    for sort in ("segment", "older segment", "recording"):
        said = {"start": START.isoformat(), "sha256": DIGEST.upper()}
        (site.folder / WHERE[sort]).with_suffix(".json").write_text(json.dumps(said))
    cache = Cache(site.settings.cache, 1 << 30)
    with work_folder(cache.folder) as work:
        (work / "partial").write_bytes(CONTENT)
        cache.add(work / "partial", "ab1.merge.mp4", work)
    at = utc(START)

    def write(session: Any) -> None:
        session.add(
            Rendition(
                record_id=1, version=1, kind="merge", path="records/1/attempt-1/merge.mp4",
                size_bytes=len(CONTENT), sha256=DIGEST, frames=1, width=2, height=2, made_at=at,
            )
        )  # fmt: skip
        session.add(
            Delivery(
                record_id=1, destination="folder", kind="merge", name="Lecture.mp4", name_key="1",
                state={}, status="delivered", version=1, sha256=DIGEST,
            )
        )  # fmt: skip
        for name in ("a.mp4", "b.mp4"):
            session.add(
                Segment(
                    source_id=1, origin=name, fingerprint="1", start_at=at, path=f"segments/1/{name}",
                    end_at=at + timedelta(hours=1), size_bytes=len(CONTENT), collected_at=at,
                )
            )  # fmt: skip

    writing(site.engine, write)
    return site


def looked(site: Site, code: int) -> list[tuple[str, str, str]]:
    """Return what the command says: what, level and text."""
    done = site.run("verify", "--json")
    assert done.returncode == code, done.stderr
    return [(f["what"], f["level"], f["text"]) for f in json.loads(done.stdout)["findings"]]


def test_all_is_as_it_was_written(kept: Site) -> None:
    assert looked(kept, 0) == [
        (CACHE, "ok", "1 file (0.0 MB) is as it was written"),
        (VIDEOS, "ok", "1 file (0.0 MB) is as it was written"),
        (DELIVERED, "ok", "1 file (0.0 MB) is as it was written"),
        (MEDIA, "ok", "3 files (0.0 MB) are as they were written; 1 file has no checksum"),
    ]


def flip(path: Path) -> None:
    path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))


def cut(path: Path) -> None:
    path.write_bytes(CONTENT[:-1])


def remove(path: Path) -> None:
    path.unlink()


def make_unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("sort", "damage", "what", "level", "said"),
    [
        ("part", flip, CACHE, "broken", "1 file is damaged: ab/ab1.merge.mp4; nothing is lost"),
        ("part", make_unreadable, CACHE, "broken", "1 file cannot be read: ab/ab1.merge.mp4; check the disk"),
        ("video", flip, VIDEOS, "broken", "1 file is damaged: records/1/attempt-1/merge.mp4; check the disk"),
        ("video", remove, VIDEOS, "broken", "1 file is missing: records/1/attempt-1/merge.mp4; recordings"),
        ("delivered", flip, DELIVERED, "broken", "1 file is damaged: Lecture.mp4; somebody"),
        ("delivered", remove, DELIVERED, "warning", "1 file is missing: Lecture.mp4; if"),
        ("segment", flip, MEDIA, "broken", "1 file is damaged: segments/1/a.mp4; check the disk"),
        ("segment", remove, MEDIA, "broken", "1 file is missing: segments/1/a.mp4; a new version"),
        ("older segment", flip, MEDIA, "broken", "1 file is damaged: segments/1/before.mp4"),
        ("segment without a sidecar", cut, MEDIA, "broken", "1 file is damaged: segments/1/b.mp4"),
        ("recording", flip, MEDIA, "broken", "1 file is damaged: recorded/1/c.mkv"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_what_to_do(
    kept: Site, sort: str, damage: Callable[[Path], None], what: str, level: str, said: str
) -> None:
    damage(kept.folder / WHERE[sort])
    found = looked(kept, 1 if level == "broken" else 0)
    [(where, how, text)] = [finding for finding in found if finding[1] != "ok"]
    assert (where, how) == (what, level) and text.startswith(said)


def test_a_few_lines_whatever_is_wrong(kept: Site) -> None:
    folder = kept.settings.cache / "cd"
    folder.mkdir()
    for n in range(30):
        part = folder / f"cd{n:02}.mp4"
        part.write_bytes(CONTENT)
        sum_path(part).write_text("0" * 64)
    done = kept.run("verify")
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 5
    assert "30 files are damaged: cd/cd00.mp4, " in done.stdout
    assert "cd/cd09.mp4, and 20 more; " in done.stdout


def test_a_folder_that_is_not_mounted_is_one_line(kept: Site) -> None:
    kept.environ["MERGER_OUTPUT"] = str(kept.folder / "share")
    assert (DELIVERED, "broken", f"there is no folder {kept.folder / 'share'}; create it, or mount it") in looked(kept, 1)  # fmt: skip


def test_what_goes_meanwhile_is_not_missing(kept: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row forgets a file before it is removed."""
    going = kept.folder / WHERE["segment without a sidecar"]
    original = integrity.sha256_of

    def go(path: Path, check: Callable[[], None]) -> str:
        if path.name == "a.mp4" and going.exists():  # the list is made by then
            forget = delete(Segment).where(Segment.path == "segments/1/b.mp4")
            writing(kept.engine, lambda session: session.execute(forget))
            going.unlink()
        return original(path, check)

    monkeypatch.setattr(integrity, "sha256_of", go)
    found = integrity.verify(kept.settings, kept.engine, lambda: None)
    assert not going.exists()
    assert {finding.level for finding in found} == {"ok"}


def test_it_changes_nothing_and_can_be_stopped(kept: Site) -> None:
    sum_path(kept.folder / WHERE["part"]).unlink()
    before = sorted(kept.folder.rglob("*"))
    looked(kept, 0)
    assert sorted(kept.folder.rglob("*")) == before

    def stop() -> None:
        raise Cancelled("cancelled", "commands.nothing_changed")

    with pytest.raises(Cancelled):
        integrity.verify(kept.settings, kept.engine, stop)
