"""All checks together: none keeps another from being done."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from merger.errors import Refused
from merger.i18n import Message
from merger.isolation import landlock
from merger.monitoring.findings import Check, Finding, look_at_all
from tests.monitoring.checks.looking import (
    looked,
)
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES


def test_all_is_well(site: Engine, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    found = looked(tmp_path, site)
    old_linux = {} if landlock.abi() else {"confinement": "warning"}
    assert {what: f.level for what, f in found.items() if f.level != "ok"} == old_linux
    assert [what.split(" (")[0] for what in found] == [
        "database", "clocks", "schema", "key file", "access", "room '504'", "ffmpeg",
        "encoder for 720p, full, 540p, auto, tiny", "encoder for av1, tiny_av1", "setpriv",
        "confinement", "reading of slides", "cache folder", "data folder", "output folder", "disk space",
        "private files",
    ]  # fmt: skip
    assert found["room '504'"].text == "Europe/Moscow; camera"
    assert "500.0 GB free" in found["data folder (MERGER_DATA)"].text
    # Nothing was made by looking.
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "data"])


def test_what_does_not_answer_costs_no_other() -> None:
    goes_on = threading.Event()

    def hang() -> Iterator[Finding]:
        goes_on.wait()
        yield from ()

    def fail() -> Iterator[Finding]:
        raise Refused("share", "monitoring.away")

    fine = Finding("fine", "ok", Message("monitoring.ok"))
    try:
        found = look_at_all(
            [Check("share", hang), Check("fails", fail), Check("fine", lambda: [fine])], 0.2
        )
    finally:
        goes_on.set()
    assert [(f.what, f.level) for f in found] == [("share", "broken"), ("fails", "broken"), ("fine", "ok")]  # fmt: skip
    assert "nothing answered" in str(found[0].text)


def test_a_bug_in_a_check_is_told() -> None:
    def wrong() -> Iterator[Finding]:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        look_at_all([Check("wrong", wrong)])
