"""A browser without scripts, which keeps cookies and fills in forms."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from merger.accounts import users
from merger.web.app import create_web
from tests.support.site import Site
from tests.web.conftest import PASSWORD

ANN = "ann@example.org"


@dataclass
class Browser:
    """Somebody at a browser. app: of a site, with settings of its own."""

    site: Site
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.site.environ |= self.settings
        self.app = create_web(self.site.service)
        self.client: FlaskClient = self.app.test_client()

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, **options)

    def post(self, path: str, **form: str) -> TestResponse:
        """Send a form, with the token that its page has."""
        found = re.search(
            r'name="csrf_token"[^>]*value="([^"]+)"', self.get("/login", follow_redirects=True).text
        )
        if found:
            self.token = found[1]
        return self.client.post(path, data={"csrf_token": self.token, **form})

    def sign_in(self, email: str = ANN, password: str = PASSWORD, **form: str) -> TestResponse:
        return self.post("/login", email=email, password=password, **form)

    @property
    def cookie(self) -> str:
        kept = self.client.get_cookie("merger")
        return "" if kept is None else kept.value

    @property
    def who(self) -> int | None:
        """The user whom the service takes this browser for, as far as it says."""
        answer = self.get("/api/v1/records")
        assert answer.status_code in (200, 401)
        with self.client.session_transaction() as session:
            user = session.get("user")
        assert (user is not None) == (answer.status_code == 200)
        return user

    def through_provider(self, on: str = "/records") -> TestResponse:
        """Go the whole way: to the provider, and back with what it gives."""
        begun = self.get(f"/login/oidc?next={quote(on)}")
        if begun.status_code != 302:
            return begun
        sent = requests.get(begun.location, allow_redirects=False, timeout=600)
        back = urlsplit(sent.headers["Location"])
        assert back.path == "/login/oidc/callback"
        return self.get(f"{back.path}?{back.query}")


def ann(engine: Engine) -> int:
    user, _ = users.invite_user(engine, ANN, None, "user")
    users.set_password(engine, user["id"], PASSWORD)
    return int(user["id"])


def new_browser(site: Site) -> Browser:
    return Browser(site)


def said(answer: TestResponse) -> str:
    """Return the sentence that a login page shows because somebody was not signed in."""
    assert answer.status_code == 403, answer.text
    assert "Cache-Control" in answer.headers
    return answer.text


ELSEWHERE = [
    "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
    "/\n/evil.example", "javascript:alert(1)", " //evil.example", "evil.example", "///evil.example",
    "/ /evil.example", "\x00//evil.example", "", "/\\/evil.example", "http:/evil.example",
]  # fmt: skip
