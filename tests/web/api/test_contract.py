"""The running service keeps to its OpenAPI document, whatever is sent to it (Schemathesis)."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from merger.web.api import events
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web
from tests.web.serving import served

# With these, the key that the requests are sent with, or its owner, would be gone.
ENDING = ("revokeKey", "deleteUser", "changeUser")


def contract(web: Web, folder: Path, *options: str) -> str:
    """Send what the document allows and what it forbids; return what is to be said about it."""
    with served(web.app) as address:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")), "run",
                f"{address}/api/openapi.json", "-H", f"Authorization: Bearer {web.keys['ada']}",
                # A room that does not exist, or an end before its start, is refused with 422: no
                # schema could say so.
                "--exclude-checks", "positive_data_acceptance",
                "--seed", "1", "--no-color", "--max-examples", "6", *options,
            ],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
    (folder / "said.txt").write_text(done.stdout)
    assert done.returncode == 0, done.stdout[-10_000:]
    return done.stdout


@ON_SQLITE
def test_the_service_is_as_its_document_says(
    web: Web, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_LASTS_S", 0.0)  # nobody here waits for the end of a stream
    monkeypatch.setattr(events, "_LOOK_S", 0.0)
    web.site.clock = datetime.now(UTC)
    for hour in range(10, 13):
        lecture = {"room": "504", "start": f"2026-11-20T{hour}:00", "end": f"2026-11-20T{hour}:30"}
        web.api("ada", "POST", "/records", json=lecture)
    but_for = [text for name in ENDING for text in ("--exclude-operation-id", name)]
    said = contract(web, tmp_path, *but_for)
    assert "Authentication failed" not in said and "Rate limited" not in said
    assert "a bug in this program" not in caplog.text


@ON_SQLITE
def test_so_are_the_ways_to_end_it(web: Web, tmp_path: Path) -> None:
    only = [text for name in ENDING for text in ("--include-operation-id", name)]
    contract(web, tmp_path, *only)
