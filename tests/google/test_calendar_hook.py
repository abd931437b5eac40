"""`POST /hooks/google/calendar`: who knows the token has a calendar read, and nobody else."""

from __future__ import annotations

import pytest
from flask import Flask

from google_apis import calendar_hook


@pytest.mark.parametrize(
    ("headers", "status", "heard"),
    [
        ({"X-Goog-Channel-ID": "c", "X-Goog-Channel-Token": "t"}, 204, ("c", "t")),
        ({"X-Goog-Channel-ID": "c", "X-Goog-Channel-Token": "x"}, 404, ("c", "x")),
        ({}, 404, ("", "")),
    ],
)
def test_who_is_heard(headers: dict[str, str], status: int, heard: tuple[str, str]) -> None:
    calls: list[tuple[str, str]] = []

    def told(channel: str, token: str) -> bool:
        calls.append((channel, token))
        return (channel, token) == ("c", "t")

    app = Flask("hooks")
    app.register_blueprint(calendar_hook.blueprint(told))
    answer = app.test_client().post("/hooks/google/calendar", headers=headers)
    assert answer.status_code == status and calls == [heard]
