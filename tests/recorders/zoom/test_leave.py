"""Of a meeting that a record may not show, nothing is found, loaded or read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from merger.ports.recorder import Leave, SourceOfRoom
from recorders.zoom.source import Zoom
from tests.fakes.zoom import NUMBER, ZoomServer, zoom_served
from tests.recorders.conftest import MOSCOW, TEN, never, span

SOURCE = SourceOfRoom("504", "zoom", "speaker", "zoom", f"zoom:{NUMBER}", MOSCOW)
BOTH = span(0, 7200)
NOW = TEN + timedelta(days=1)


@pytest.fixture
def zoom() -> Iterator[ZoomServer]:
    """A Zoom with a meeting of Ann's, and then one of Bob's."""
    with zoom_served() as server:
        for n, host in enumerate(("ann", "bob")):
            server.add_meeting(host, host_email=f"{host.title()}@example.org")
            at = TEN + timedelta(hours=n)
            server.add_file("active_speaker", at, 3600, uuid=host)
            server.add_file("chat_file", at, 3600, host.encode(), uuid=host, file_type="CHAT")
        yield server


@pytest.mark.parametrize(
    ("leave", "hosts"),
    [
        (None, ["ann", "bob"]),
        (Leave("ann@example.org"), ["ann"]),
        (Leave("kim@example.org"), []),
        (Leave("kim@example.org", origins=frozenset({"bob"})), ["bob"]),
        (Leave("kim@example.org", span(0, 3600)), ["ann"]),
    ],
)
def test_what_may_not_be_shown(
    zoom: ZoomServer, tmp_path: Path, leave: Leave | None, hosts: list[str]
) -> None:
    source, kind = dataclasses.replace(SOURCE, leave=leave), Zoom(zoom.account)
    found = kind.find(source, BOTH, NOW)
    assert [item.origin.split(" ")[0] for item in found.items] == hosts
    notes = [note.key for note in found.notes]
    assert notes == ([] if len(hosts) == 2 else ["recorders.zoom.of_another"])
    there = kind.collect_transcripts(source, BOTH, tmp_path, never)
    assert sorted((tmp_path / one.name).read_text() for one in there) == hosts
    assert zoom.count("/rec/download") == len(hosts)
