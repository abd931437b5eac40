"""What a recorder's child says is written down without its credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorders.supervisor.processes import redact, start_module

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    "line",
    [
        "rtsp://user:s3cr%25t@10.0.5.4/live: 401", "rtsp://user@10.0.5.4/", "password is s3cr%t",
        "s3cr%25t", "rtsps://user:s3cr%t@[::1]/", "auth user:s3cr%t failed",
    ],
)  # fmt: skip
def test_nothing_of_the_credentials_is_left_in_a_line(line: str) -> None:
    shown = redact(line, "user:s3cr%t")
    assert "s3cr" not in shown and "user" not in shown.replace("user:***", "")


def test_what_reads_a_camera_knows_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLALCHEMY_DATABASE_URI", "mysql://merger:hunter2@db/merger")
    with start_module("recorders.rtsp.child") as child:  # which waits for its job
        told = Path(f"/proc/{child.pid}/environ").read_bytes()
        child.kill()
    assert b"PATH=" in told and b"hunter2" not in told
