"""A web service on a service in a folder, and people with keys who use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from merger.accounts import users
from merger.accounts.permissions import granted_scopes
from merger.web.app import create_web
from tests.support.site import Site

# Slow on purpose, and everybody here has the same password.
_hash, _fits = cache(users.generate_password_hash), cache(users.check_password_hash)


@pytest.fixture(autouse=True)
def passwords_are_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "generate_password_hash", _hash)
    monkeypatch.setattr(users, "check_password_hash", _fits)


SCOPES = ("read", "write", "rooms", "people")
PASSWORD = "correct horse battery"


@dataclass
class Web:
    """A web service, and who asks it. keys: of people by their addresses' first parts."""

    site: Site
    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app: Flask = create_web(self.site.service)

    def add(self, name: str, role: str, scopes: tuple[str, ...] = SCOPES) -> None:
        """Add somebody with a password, and a key with their scopes."""
        engine = self.site.engine
        user, _ = users.invite_user(engine, f"{name}@example.org", name.title(), role)
        users.set_password(engine, user["id"], PASSWORD)
        may = [scope for scope in scopes if scope in granted_scopes(role)]
        _, key = users.create_key(engine, user["id"], "tests", may, self.site.clock)
        self.keys[name], self.ids[name] = key, user["id"]

    def call(self, who: str | None, method: str, path: str, **options: Any) -> TestResponse:
        """Send a request with somebody's key, or without any."""
        headers: dict[str, str] = dict(options.pop("headers", {}))
        if who is not None:
            headers["Authorization"] = f"Bearer {self.keys[who]}"
        # Buffered: what sends a file closes it then, as a server does.
        return self.app.test_client().open(
            path, method=method, headers=headers, buffered=True, **options
        )

    def api(self, who: str | None, method: str, path: str, **options: Any) -> TestResponse:
        return self.call(who, method, f"/api/v1{path}", **options)

    def signed_in(self, who: str) -> FlaskClient:
        """Return a client that has somebody's session."""
        client = self.app.test_client()
        asker = users.authenticate(self.site.engine, f"{who}@example.org", PASSWORD)
        assert asker is not None
        with client.session_transaction() as session:
            session["user"], session["number"] = asker.user, asker.session_number
            session["begun"] = int(self.site.clock.timestamp())
        return client


def told(response: TestResponse, status: int = 200) -> Mapping[str, Any]:
    """Return the object of a response that must have a status."""
    assert response.status_code == status, response.text
    document = response.get_json()
    assert isinstance(document, dict)
    return document


def problem(response: TestResponse, status: int, field: str | None = None) -> Mapping[str, Any]:
    """Return the problem of a response, which names a field."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    document = response.get_json()
    assert document["status"] == status and document["title"] and document["detail"]
    if field is not None:
        assert field in [error["field"] for error in document["errors"]], document
    return document  # type: ignore[no-any-return]


@pytest.fixture
def web(site: Site, engine: Engine) -> Iterator[Web]:
    """A web service with a room, a user, another one, an editor and an administrator."""
    site.add_room()
    made = Web(site)
    for name, role in (("ann", "user"), ("bob", "user"), ("eve", "editor"), ("ada", "admin")):
        made.add(name, role)
    yield made


LECTURE = {"room": "504", "start": "2026-11-20T10:05", "end": "2026-11-20T11:20"}


def ask(web: Web, who: str = "ann", **changes: Any) -> Any:
    return web.api(who, "POST", "/records", json={**LECTURE, **changes})
