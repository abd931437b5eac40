"""Somebody who reads the pages with a browser that runs no scripts."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.web.conftest import Web
from tests.web.markup import check_markup

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
LECTURE = {
    "room": "504", "date": "2026-11-20", "start": "10:05", "end": "11:20", "name": "Матан",
    "layout": "side_by_side", "profile": "720p", "course_code": "", "users": "",
}  # fmt: skip


@dataclass
class Reader:
    """Somebody with a browser that runs no scripts."""

    client: FlaskClient
    language: str = "en"

    def get(self, path: str, status: int = 200) -> str:
        """Load a page, which must be what pages must be."""
        response = self.client.get(path, headers={"Accept-Language": self.language})
        assert response.status_code == status, response.text
        if "<html" in response.text:
            check_markup(response.text, self.language)
            assert response.headers["Content-Language"] == self.language
            assert "Accept-Language" in response.headers["Vary"]
        return text_of(response)

    def send(self, on: str, action: str, fields: Mapping[str, Any] | None = None) -> TestResponse:
        """Send a form that stands on a page."""
        token = TOKEN.search(self.client.get(on).text)
        assert token, f"there is no form on {on}"
        return self.client.post(
            action,
            data={**(fields or {}), "csrf_token": token[1]},
            headers={"Accept-Language": self.language, "Referer": f"http://localhost{on}"},
        )

    def done(self, on: str, action: str, fields: Mapping[str, Any] | None = None) -> str:
        """Send a form that is right, and load the page that it leads to."""
        response = self.send(on, action, fields)
        assert response.status_code == 303, response.text
        return self.get(response.headers["Location"])

    def wrong(self, on: str, action: str, fields: Mapping[str, Any]) -> str:
        """Send a form with something wrong in it."""
        response = self.send(on, action, fields)
        assert response.status_code == 422, response.text
        check_markup(response.text, self.language)
        return text_of(response)


def text_of(response: TestResponse) -> str:
    return html.unescape(response.text).replace("\u2060", "")


def reader(web: Web, who: str, language: str = "en") -> Reader:
    return Reader(web.signed_in(who), language)


def value_of(page: str, name: str) -> str:
    found = re.search(rf'<input [^>]*value="([^"]*)" id="f-{name}"', page)
    assert found, f"no field {name}"
    return found[1]


def error_at(page: str, name: str) -> str:
    """Return what is said at a field, which must be marked, and linked from the top."""
    found = re.search(rf'id="f-{name}-error"[^>]*>(.*?)</p>', page, re.DOTALL)
    assert found and f'href="#f-{name}"' in page
    if name != "layout":
        control = re.search(rf'<(?:input|select|textarea)[^>]* id="f-{name}"[^>]*>', page)
        assert control and 'aria-invalid="true"' in control[0]
        assert f"f-{name}-error" in control[0]
    return re.sub(r"<[^>]+>", "", found[1]).strip()
