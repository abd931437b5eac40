"""Where segments and what is made of records lie in the data folder (MERGER_DATA). Pure."""

from __future__ import annotations

from pathlib import Path

ATTEMPTS = "attempt-*"


def collected(data: Path) -> Path:
    """Return where collected files lie, in a folder for each source."""
    return data / "segments"


def collected_of(data: Path, source: int) -> Path:
    """Return where the collected files of a source lie."""
    return collected(data) / str(source)


def records(data: Path) -> Path:
    """Return where there is a folder for each record."""
    return data / "records"


def of_record(data: Path, record: int) -> Path:
    """Return where what is made for a record lies."""
    return records(data) / str(record)


def of_attempt(data: Path, record: int, attempt: int) -> Path:
    """Return where the finished videos of an attempt lie."""
    return of_record(data, record) / ATTEMPTS.replace("*", str(attempt))


def papers(data: Path, record: int) -> Path:
    """Return where what was said or written beside a record lies."""
    return of_record(data, record) / "papers"
