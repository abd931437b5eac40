"""Timetables as calendars: whoever knows the signed address subscribes, without signing in."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from flask import Response, current_app, flash, redirect, request
from itsdangerous import BadData, URLSafeSerializer
from werkzeug.exceptions import NotFound

from merger.series import documents, feeds
from merger.series.week import read_room
from merger.web.auth import require_principal, service
from merger.web.language import language, t
from merger.web.pages.base import Answer, blueprint

_KEPT_FOR = timedelta(minutes=15)


@blueprint.get("/calendars/<token>.ics")
def calendar_feed(token: str) -> Response:
    """Send the lectures of a person, or of a room, as a calendar."""
    here = service()
    kind, of = _feed_of(token)
    name = feeds.name_of(here.engine, kind, of, here.settings.oidc_domains)
    if name is None:
        raise NotFound
    only_of, rooms = (of, None) if kind == "person" else (None, [of])
    lectures = documents.list_occurrences(
        here.engine, feeds.span_of(here.now()), only_of=only_of, rooms=rooms
    )
    title = t("feeds.name", name=name)
    text = feeds.calendar_of(title, lectures, language(), _address_of_service())
    response = Response(text, content_type="text/calendar; charset=utf-8")
    response.cache_control.private = True
    response.cache_control.max_age = int(_KEPT_FOR.total_seconds())
    response.vary.add("Accept-Language")
    response.add_etag()
    return cast(Response, response.make_conditional(request))


@blueprint.post("/account/calendar")
def change_own_feed() -> Answer:
    """Give one's own calendar an address, another one, or none."""
    who = require_principal("write")
    _change("person", who.user)
    return redirect("/account#calendar", 303)


@blueprint.post("/rooms/<int:room>/calendar")
def change_feed_of_room(room: int) -> Answer:
    """Give the calendar of a room an address, another one, or none."""
    require_principal("rooms")
    read_room(service().engine, room)
    _change("room", room)
    return redirect(f"/timetable?room={room}#calendar", 303)


def _change(kind: feeds.Kind, of: int) -> None:
    if request.form.get("act") == "revoke":
        feeds.revoke(service().engine, kind, of)
        flash(t("feeds.revoked"))
    else:
        feeds.renew(service().engine, kind, of)
        flash(t("feeds.renewed"))


def address_of_person(user: int) -> str | None:
    """Return the address of a person's calendar, if it has one."""
    return _address("person", user)


def address_of_room(room: int) -> str | None:
    """Return the address of a room's calendar, if it has one."""
    return _address("room", room)


def _address(kind: feeds.Kind, of: int) -> str | None:
    number = feeds.number_of(service().engine, kind, of)
    if number is None:
        return None
    token = _signer().dumps([kind, of, number])
    return f"{_address_of_service()}/calendars/{token}.ics"


def _address_of_service() -> str:
    return service().settings.web_address or request.url_root.rstrip("/")


def _feed_of(token: str) -> tuple[feeds.Kind, int]:
    """Return which feed an address leads to. Raises werkzeug's NotFound."""
    try:
        kind, of, number = _signer().loads(token)
    except (BadData, ValueError) as error:
        raise NotFound from error
    if feeds.number_of(service().engine, kind, of) != number:
        raise NotFound
    return kind, of


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(str(current_app.secret_key), salt="calendars of timetables")
