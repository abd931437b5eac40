"""What `app.py check` says of our access to Google."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from commands.google import look_at_google
from merger.config import Settings
from tests.fakes.google import Google, Said

DAY_S = 24 * 60 * 60


@pytest.mark.parametrize(
    ("kind", "left_s", "words"),
    [
        ("authorized_user", 2 * DAY_S + 1, "ends in less than 3 days; sign in again"),
        ("authorized_user", 5, "ends in less than 1 day;"),
        ("authorized_user", 3 * DAY_S, None),
        ("authorized_user", None, None),
        ("service_account", 5, None),  # its key does not end
    ],
)
def test_a_users_token_that_ends_soon(
    google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    kind: str, left_s: int | None, words: str | None,
) -> None:  # fmt: skip
    signs_in = google._token

    def telling(asked: Any) -> Said:
        said = signs_in(asked)
        more = {} if left_s is None else {"refresh_token_expires_in": left_s}
        return Said(document={**(said.document or {}), **more})

    monkeypatch.setattr(google, "_token", telling)
    settings = SimpleNamespace(
        google_credentials=google.credentials_file(tmp_path, kind), google_subject="",
        google_address=google.address,
    )  # fmt: skip
    first, *rest = look_at_google(cast(Settings, settings))
    assert first.level == "ok"
    assert [finding.level for finding in rest] == (["warning"] if words else [])
    assert all(words in str(finding.text) for finding in rest if words)
