"""Every route as everybody: nobody, a user, an editor, an administrator, and a key that only reads."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from werkzeug.routing import Rule

import app
from merger.accounts import users
from merger.db.engine import writing
from models import Calendar
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, problem

# The scope that a route asks for; None: it is open to everybody. A route that is not listed fails.
API = {
    "/api/v1/records": {"GET": "read", "POST": "write"},
    "/api/v1/records/<int:record>": {"GET": "read", "PATCH": "write", "DELETE": "write"},
    "/api/v1/records/<int:record>/events": {"GET": "read"},
    "/api/v1/records/<int:record>/picture": {"GET": "read"},
    "/api/v1/records/<int:record>/cancel": {"POST": "write"},
    "/api/v1/records/retry": {"POST": "rooms"},
    "/api/v1/timetable": {"POST": "rooms"},
    "/api/v1/timetable/refresh": {"POST": "rooms"},
    "/api/v1/records/<int:record>/retry": {"POST": "write"},
    "/api/v1/records/<int:record>/remerge": {"POST": "write"},
    "/api/v1/records/<int:record>/renditions/<kind>": {"GET": "read"},
    "/api/v1/records/<int:record>/papers/<name>": {"GET": "read"},
    "/api/v1/records/<int:record>/chunks/<int:chunk>/pictures/<int:number>": {"GET": "read"},
    "/api/v1/records/<int:record>/chapters/<int:number>/picture": {"GET": "read"},
    "/api/v1/rooms": {"GET": "read", "POST": "rooms"},
    "/api/v1/rooms/<int:room>": {"GET": "read", "PATCH": "rooms", "DELETE": "rooms"},
    "/api/v1/rooms/<int:room>/sources": {"GET": "read", "POST": "rooms"},
    "/api/v1/rooms/<int:room>/sources/<int:source>": {"GET": "read", "PATCH": "rooms", "DELETE": "rooms"},
    "/api/v1/rooms/<int:room>/sources/<int:source>/picture": {"GET": "read"},
    "/api/v1/stills": {"GET": "rooms"},
    "/api/v1/stills/<int:still>": {"GET": "rooms"},
    "/api/v1/stills/<int:still>/answer": {"PUT": "rooms", "DELETE": "rooms"},
    "/api/v1/stills/<int:still>/picture": {"GET": "rooms"},
    "/api/v1/stills/<int:still>/remake": {"POST": "rooms"},
    "/api/v1/offers": {"GET": "rooms"},
    "/api/v1/where": {"GET": "read"},
    "/api/v1/users": {"GET": "people", "POST": "people"},
    "/api/v1/users/<int:user>": {"GET": "people", "PATCH": "people", "DELETE": "people"},
    "/api/v1/users/<int:user>/password-link": {"POST": "people"},
    "/api/v1/api-keys": {"GET": "read", "POST": "write"},
    "/api/v1/api-keys/<int:key>": {"DELETE": "write"},
    "/api/montage-event/<room>": {"POST": "write"},
    "/api/v1/access": {"GET": "read"},
    "/api/v1/series": {"GET": "read", "POST": "write"},
    "/api/v1/series/<int:series>": {"GET": "read", "PATCH": "write", "DELETE": "write"},
    "/api/v1/occurrences": {"GET": "read"},
    "/api/v1/occurrences/<int:occurrence>": {"GET": "read", "PATCH": "write"},
    "/api/v1/days-off": {"GET": "read", "POST": "rooms"},
    "/api/v1/days-off/<int:day_off>": {"DELETE": "rooms"},
    "/api/v1/access/<int:access>": {"GET": "read", "POST": "write", "DELETE": "write"},
    "/api/records/<email>": {"GET": "read"},
    "/api/openapi.json": {"GET": None},
    "/api/docs": {"GET": None},
}  # fmt: skip
PAGES = {
    "/": {"GET": None},  # a redirect to the records
    "/login": {"GET": None, "POST": None},
    "/login/oidc": {"GET": None},
    "/login/oidc/callback": {"GET": None},
    "/login/forgotten": {"GET": None, "POST": None},
    "/login/password": {"GET": None, "POST": None},
    "/logout": {"POST": None},
    "/confirm": {"GET": None, "POST": None},
    "/access/<int:access>": {"GET": "read", "POST": "write"},  # or by the link of a mail
    "/access/<int:access>/withdraw": {"POST": "write"},
    "/records": {"GET": "read"},
    "/records/<int:record>": {"GET": "read"},
    "/records/<int:record>/row": {"GET": "read"},
    "/records/<int:record>/status": {"GET": "read"},
    "/records/selected": {"GET": "rooms", "POST": "rooms"},
    "/records/<int:record>/cancel": {"GET": "write", "POST": "write"},
    "/records/<int:record>/edit": {"POST": "write"},
    "/records/<int:record>/retry": {"POST": "write"},
    "/records/<int:record>/overrule": {"POST": "write"},
    "/records/<int:record>/remerge": {"POST": "write"},
    "/records/<int:record>/delete": {"POST": "write"},
    "/request": {"GET": "write", "POST": "write"},
    "/request/check": {"POST": "write"},
    "/timetable": {"GET": "read"},
    "/timetable/<int:occurrence>": {"GET": "read", "POST": "write"},
    "/timetable/import": {"GET": "rooms", "POST": "rooms"},
    "/timetable/refresh": {"POST": "rooms"},
    "/timetable/days-off": {"GET": "rooms", "POST": "rooms"},
    "/timetable/days-off/<int:day>/delete": {"POST": "rooms"},
    "/series/<int:series>": {"GET": "read", "POST": "write"},
    "/series/<int:series>/edit": {"GET": "read", "POST": "write"},
    "/calendars/<token>.ics": {"GET": None},  # the address is the secret
    "/account/calendar": {"POST": "write"},
    "/rooms/<int:room>/calendar": {"POST": "rooms"},
    "/rooms": {"GET": "read"},
    "/rooms/new": {"GET": "rooms", "POST": "rooms"},
    "/rooms/<int:room>/sources": {"GET": "read"},
    "/rooms/<int:room>/edit": {"GET": "rooms", "POST": "rooms"},
    "/rooms/<int:room>/delete": {"POST": "rooms"},
    "/stills": {"GET": "rooms"},
    "/stills/<int:still>": {"POST": "rooms"},
    "/stills/<int:still>/remake": {"POST": "rooms"},
    "/offers": {"GET": "rooms"},
    "/where": {"GET": "read"},
    "/operations": {"GET": "all"},
    "/operations/state": {"GET": "all"},
    "/people": {"GET": "people", "POST": "people"},
    "/people/<int:user>": {"POST": "people"},
    "/people/<int:user>/delete": {"POST": "people"},
    "/people/<int:user>/release": {"POST": "people"},
    "/people/<int:user>/password-link": {"POST": "people"},
    "/keys": {"GET": "read"},
    "/account": {"GET": "read", "POST": "write"},
    "/account/keys": {"POST": "write"},
    "/account/keys/<int:key>/revoke": {"POST": "write"},
    "/account/password": {"POST": "read"},
    "/language": {"POST": None},
}  # fmt: skip
OPERATIONS = {
    "/healthz": {"GET": None},
    "/readyz": {"GET": None},
    "/metrics": {"GET": "all"},  # for those who see all records
    "/static/<path:filename>": {"GET": None},
}
# Whoever calls them signs what it says, and has no key: the answer to whoever does not.
HOOKS = {"/hooks/zoom": {"POST": 401}, "/hooks/google/calendar": {"POST": 404}}
LECTURE = {"room": "nowhere", "start": "2026-11-20T10:00", "end": "2026-11-20T11:00"}
# Requests that can be read, and change nothing.
BODIES = {
    "/api/v1/records": LECTURE,
    "/api/v1/records/retry": {"dry_run": True},
    "/api/v1/rooms": {"name": "506", "zone": "Mars/Olympus"},
    "/api/v1/rooms/<int:room>/sources": {"name": "a", "role": "board", "kind": "folder", "address": "/"},
    "/api/v1/access/<int:access>": {"allow": True},
    "/api/v1/stills/<int:still>/answer": {"answer": "desktop"},
    "/api/v1/series": {"room": "nowhere"},
    "/api/v1/days-off": {"first": "soon"},
    "/api/v1/users": {"email": "nobody"},
    "/api/v1/api-keys": {"name": " "},
    "/api/montage-event/<room>": {"date": "2026-11-20", "start_time": "10:00", "end_time": "11:00"},
}  # fmt: skip
PROBLEM = "application/problem+json"
WHO = (None, "ann", "eve", "ada", "reader")


def path_of(rule: str) -> str:
    """Return an address below a rule at which nothing is, so that nothing happens to anything."""
    return re.sub(r"<(int:)?(\w+)>", lambda found: "77" if found[1] else f"no-{found[2]}", rule)


def may(web: Web, who: str | None, scope: str | None) -> bool:
    if scope is None:
        return True
    if who is None:
        return False
    asker = users.user_of_key(web.site.engine, web.keys[who], web.site.clock)
    assert asker is not None
    return asker.sees_all if scope == "all" else asker.may(scope)


@pytest.fixture
def everybody(web: Web) -> Web:
    web.add("reader", "admin", ("read",))
    web.app = app.create_web(web.site.service)  # with all routes that there are
    return web


def rules(web: Web) -> list[Rule]:
    return list(web.app.url_map.iter_rules())


@ON_SQLITE
def test_every_route_is_listed(everybody: Web) -> None:
    there = {(rule.rule, method) for rule in rules(everybody) for method in rule.methods or ()}
    there = {(rule, method) for rule, method in there if method not in ("HEAD", "OPTIONS")}
    listed = {
        (rule, method) for table in (API, PAGES, OPERATIONS, HOOKS) for rule, methods in table.items() for method in methods
    }  # fmt: skip
    assert there == listed


@ON_SQLITE
def test_the_api_as_everybody(everybody: Web) -> None:
    for rule, methods in {**API, **OPERATIONS}.items():
        for method, scope in methods.items():
            for who in WHO:
                body = BODIES.get(rule, {}) if method != "GET" else None
                got = everybody.call(who, method, path_of(rule), json=body)
                case = (rule, method, who, got.status_code)
                if may(everybody, who, scope):
                    assert got.status_code not in (401, 403), case
                else:
                    assert got.status_code == (401 if who is None else 403), case
                    assert rule in OPERATIONS or got.content_type == PROBLEM, case


@ON_SQLITE
def test_the_pages_as_everybody(everybody: Web) -> None:
    everybody.app.config["WTF_CSRF_ENABLED"] = False
    for rule, methods in PAGES.items():
        for method, scope in methods.items():
            for who in WHO:
                got = everybody.call(who, method, path_of(rule))
                case = (rule, method, who, got.status_code)
                is_sent_away = got.status_code == 303 and "/login?" in got.headers["Location"]
                if scope is None:
                    assert got.status_code < 500 and not is_sent_away, case
                elif who is None:
                    assert is_sent_away, case
                elif may(everybody, who, scope):
                    assert got.status_code != 403 and not is_sent_away, case
                else:
                    assert got.status_code == 403, case


@ON_SQLITE
def test_what_calls_hooks_is_believed_by_its_signature_alone(everybody: Web) -> None:
    for path, methods in HOOKS.items():
        for method, status in methods.items():
            for who in WHO:
                got = everybody.call(who, method, path, json={"event": "recording.completed"})
                assert got.status_code == status, (path, who)


@ON_SQLITE
def test_nobody_has_anything_written_or_locked(everybody: Web) -> None:
    """One writes to SQLite at a time: what strangers could make us lock, all others wait for."""
    everybody.app.config["WTF_CSRF_ENABLED"] = False
    statements: list[str] = []

    @event.listens_for(everybody.site.engine, "before_cursor_execute")
    def listen(*arguments: Any) -> None:
        statements.append(str(arguments[2]))

    def add_calendar(session: Any) -> None:
        soon = everybody.site.clock + timedelta(hours=1)
        row = Calendar(room_id=1, calendar_id="c", due_at=soon, channel_id="channel")
        row.channel_token = "another"
        session.add(row)

    writing(everybody.site.engine, add_calendar)
    channel = {"X-Goog-Channel-ID": "channel", "X-Goog-Channel-Token": "token"}
    for table in (API, PAGES, OPERATIONS, HOOKS):
        for rule, methods in table.items():
            for method in methods:
                statements.clear()
                path, body = path_of(rule), BODIES.get(rule, {}) if method != "GET" else None
                everybody.call(None, method, path, json=body, headers=channel)
                writes = [said for said in statements if not said.startswith(("SELECT", "PRAGMA"))]
                assert set(writes) <= {"BEGIN"}, (rule, method)


@ON_SQLITE
def test_no_route_of_the_api_takes_what_it_does_not_know(everybody: Web) -> None:
    for rule, methods in API.items():
        for method, scope in methods.items():
            if scope is not None:
                path = f"{path_of(rule)}?nonsense=1"
                path = path.replace("/no-kind", "/merge")
                got = everybody.call("ada", method, path, json=BODIES.get(rule, {}))
                problem(got, 422, "nonsense")
                assert everybody.call(None, method, path).status_code == 401, rule


@ON_SQLITE
def test_every_answer_tells_browsers_what_not_to_do(everybody: Web) -> None:
    client = everybody.signed_in("ada")
    for path in (
        "/records",
        "/nowhere",
        "/api/v1/records",
        "/api/v1/records/77",
        "/static/live.js",
    ):
        said = client.get(path, buffered=True).headers
        policy = said["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"), path
        assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
        assert "unsafe" not in policy and "base-uri 'none'" in policy
        assert said["X-Content-Type-Options"] == "nosniff" and said["X-Frame-Options"] == "DENY"
        assert said["Referrer-Policy"] == "same-origin"
        assert "Strict-Transport-Security" not in said  # without TLS it means nothing
        is_kept = path.startswith("/static/")
        assert ("no-store" in said["Cache-Control"]) != is_kept, path
    everybody.site.environ["MERGER_WEB_ADDRESS"] = "https://lectures.example.edu"
    secure = app.create_web(everybody.site.service).test_client()
    for path in ("/login", "/api/v1/records", "/static/live.js"):
        said = secure.get(path, base_url="https://lectures.example.edu", buffered=True).headers
        assert said["Strict-Transport-Security"] == "max-age=31536000", path


@ON_SQLITE
def test_no_page_takes_a_form_without_its_token(everybody: Web) -> None:
    client = everybody.signed_in("ada")
    for rule, methods in PAGES.items():
        if "POST" in methods:
            assert client.post(path_of(rule)).status_code == 400, rule
