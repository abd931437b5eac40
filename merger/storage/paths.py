"""Where segments, and the files of records, lie in the data folder (MERGER_DATA). Pure."""

from __future__ import annotations

from pathlib import Path

ATTEMPTS = "attempt-*"


def segments_folder(data: Path) -> Path:
    """Return where collected files lie, in a folder for each source."""
    return data / "segments"


def source_folder(data: Path, source: int) -> Path:
    """Return where the collected files of a source lie."""
    return segments_folder(data) / str(source)


def records_folder(data: Path) -> Path:
    """Return where there is a folder for each record."""
    return data / "records"


def record_folder(data: Path, record: int) -> Path:
    """Return where the files of a record lie."""
    return records_folder(data) / str(record)


def attempt_folder(data: Path, record: int, attempt: int) -> Path:
    """Return where the finished videos of an attempt lie."""
    return record_folder(data, record) / ATTEMPTS.replace("*", str(attempt))


def transcripts_of(data: Path, record: int) -> Path:
    """Return where the chat and the transcripts of a record lie."""
    return record_folder(data, record) / "papers"
