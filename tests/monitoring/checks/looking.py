"""What `check` finds, as tests look at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from merger.config import Settings, load
from merger.db.engine import writing
from merger.i18n import languages, render
from merger.monitoring.doctor import check
from merger.rooms.spec import SourceSpec
from models import Record
from recorders.registry import kinds, recorder_of
from tests.support.databases import PASSWORD

GB = 1_000_000_000
DAY = timedelta(days=1)
FILE = [["a.mp4", "1", "segments/1/a.mp4", "2026-11-20T10:00:00+00:00"]]
# A folder that is there.
CAMERA = SourceSpec("camera", "speaker", "folder", str(Path(__file__).parent))
RECORDERS = partial(recorder_of, kinds())


def now() -> datetime:
    return datetime.now(UTC)


def config(folder: Path, **environ: str) -> Settings:
    (folder / "data").mkdir(0o700, exist_ok=True)
    said = {
        "MERGER_DATA": str(folder / "data"), "MERGER_CACHE": str(folder / "cache"),
        "MERGER_ACCESS": "ask",
    }  # fmt: skip
    return load({**said, **environ})


@dataclass(frozen=True)
class Shown:
    """A finding as people read it."""

    level: str
    text: str
    ok: bool


def looked(
    folder: Path,
    engine: Engine,
    clock: Callable[[], datetime] = now,
    recorders: Any = RECORDERS,
    **environ: str,
) -> dict[str, Shown]:
    """Return what was found, by what it is about; no secret may be in it."""
    findings = check(config(folder, **environ), engine, recorders, clock)
    assert all(f.ok == (f.level != "broken") for f in findings)
    for f in findings:
        for words in (
            *(render(language, f.text) for language in languages()),
            json.dumps(f.document),
        ):
            assert PASSWORD not in words and "geheim" not in words
        assert f.document["text"] == str(f.text) and f.document["key"] == f.text.key
    found = {f.what: Shown(f.level, str(f.text), f.ok) for f in findings}
    assert len(found) == len(findings)
    return found


def add_record(
    engine: Engine, ended: datetime, items: dict[str, Any] | None, status: str = "delivered"
) -> None:
    """Add a recording of the room that ended at an instant, with media of some sources."""
    media = {"items": items} if items is not None else None
    row = Record(
        room_id=1, start_at=ended - timedelta(hours=1), end_at=ended, zone="Europe/Moscow",
        event_name="Lecture", layout="side_by_side", profile="720p", created_at=ended,
        updated_at=ended, run_after=ended, status=status, media=media,
    )  # fmt: skip
    writing(engine, lambda session: session.add(row))
