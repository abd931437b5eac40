"""The files that are recorded here: where they lie, and what is known of those that still grow.

A source has a folder, called by its number in the tables. In its subfolder `raw` lies what is being
recorded: Matroska that can be read up to its last second whatever happens, and beside it a journal.
`finish` makes complete files of them, in the folder itself, under the name that any library has.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

RAW = "raw"
# Pictures are decoded up to so long before they are shown: more than any camera reorders.
REORDERED_US = 1_000_000
_RAW_NAME = "%Y%m%dT%H%M%S.%fZ"


def folder_of(recorded: Path, source: int) -> Path:
    """Return the folder of a source, by its number: room and source may get other names."""
    return recorded / str(source)


def raw_files(folder: Path) -> list[Path]:
    """Return what is being recorded into a folder, or was when its recorder was killed."""
    return sorted((folder / RAW).glob("*.mkv"))


def raw_name(at: datetime) -> str:
    """Return the name of a raw file: by the instant, as those of a folder must not meet."""
    return f"{at.astimezone(UTC):{_RAW_NAME}}.mkv"


def instant_of(raw: Path) -> datetime:
    """Return the instant that a raw file is named by. Raises ValueError for another name."""
    return datetime.strptime(raw.stem, _RAW_NAME).replace(tzinfo=UTC)


def file_name(at: datetime, zone: str, room: str, source: str) -> str:
    """Return the name of a file that begins at an instant, as a library has it."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d_%H-%M-%S}_{room}_{source}.mkv"


@dataclass(frozen=True)
class Journal:
    """What is known of a file that is being recorded; written anew whenever more is.

    shifts_us: by number of stream, how much later it is than it was written. by: what the instants
    are known by: the camera's clock, the arrival of its packets, or the name of the file alone.
    """

    room: str
    source: str
    zone: str
    start: datetime
    end: datetime | None = None
    by: str = "arrival"
    shifts_us: dict[int, int] = field(default_factory=dict)

    def write(self, raw: Path) -> None:
        """Write it beside its file, whole or not at all, also after a power cut. Raises OSError."""
        document: dict[str, Any] = asdict(self)
        document["start"] = self.start.isoformat()
        document["end"] = self.end and self.end.isoformat()
        partial = raw.with_suffix(".json.partial")
        with partial.open("w") as file:
            file.write(json.dumps(document))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(raw.with_suffix(".json"))


def load_journal(raw: Path) -> Journal | None:
    """Return the journal of a file; None where there is none, or half of one. Raises OSError."""
    try:
        document = json.loads(raw.with_suffix(".json").read_text())
        return Journal(
            room=document["room"],
            source=document["source"],
            zone=document["zone"],
            start=datetime.fromisoformat(document["start"]),
            end=datetime.fromisoformat(document["end"]) if document["end"] else None,
            by=document["by"],
            shifts_us={int(n): us for n, us in document["shifts_us"].items()},
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def read_journal(raw: Path) -> Journal | None:
    """Return the journal of a file; None where there is none that can be read now."""
    try:
        return load_journal(raw)
    except OSError:
        return None
