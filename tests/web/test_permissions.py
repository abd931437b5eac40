"""Every route as everybody, on what is theirs and what is another's.

The routes come from the application: one without an entry here fails. An act that is not allowed
must change nothing and show nothing; one that is must do what it is for, so that no entry is empty.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from merger.ports.discovery import KINDS_OF_PEOPLE
from tests.fakes.zoom import zoom_served
from tests.support.site import Site
from tests.web.world import (
    HOUR,
    NOBODY,
    OF_API,
    OF_PAGES,
    SECRET,
    Asker,
    Thing,
    World,
    address,
    local,
)

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Act:
    """A request of a route.

    scope: that it needs, or several; None: nobody has to sign in.
    of: what its address names, as `World` makes it.
    least: what somebody has to be to it who does not see all.
    shows: what is asked for holds the secret; None: for its users.
    changes: what is asked for changes something; None: for some.
    refused: statuses for those who are less.
    send: the body, or the query, from what the address names.
    """

    scope: str | None = "read"
    of: Callable[[World], Thing] = World.nothing
    least: str = "anybody"  # user, owner: of it; editor; self: and nobody else; people
    shows: bool | None = False
    changes: bool | None = False
    refused: tuple[int, ...] = (404,)
    send: Callable[[Thing], Options] = lambda _: {}


# --- what is sent ---------------------------------------------------------------------------------


def asked(thing: Thing, later: timedelta = timedelta()) -> dict[str, Any]:
    start, end = local(thing.start + later), local(thing.start + HOUR)
    return {"room": thing.room, "start": start, "end": end, "profile": "720p"}


def by_api(thing: Thing) -> Options:
    return {"json": asked(thing)}


def by_api_later(thing: Thing) -> Options:
    return {"json": asked(thing, timedelta(minutes=7))}


def by_uuid(thing: Thing) -> Options:
    return {"json": {"zoom": thing.uuid}}


def by_date(thing: Thing) -> Options:
    clock = "%H:%M"
    return {
        "json": {
            "date": f"{thing.start:%Y-%m-%d}", "start_time": f"{thing.start:{clock}}",
            "end_time": f"{thing.start + HOUR:{clock}}",
        }
    }  # fmt: skip


def by_page(thing: Thing) -> Options:
    start, end = f"{thing.start:%H:%M}", f"{thing.start + HOUR:%H:%M}"
    return {
        "data": {
            "room": thing.room, "date": f"{thing.start:%Y-%m-%d}", "start": start, "end": end,
            "name": "x", "layout": "side_by_side", "profile": "720p",
        }
    }  # fmt: skip


def by_page_later(thing: Thing) -> Options:
    options = by_page(thing)["data"]
    return {"data": {**options, "start": f"{thing.start + timedelta(minutes=7):%H:%M}"}}


def remerged(thing: Thing) -> Options:
    times = {"start": local(thing.start), "end": local(thing.start + HOUR)}
    return {"data": {"layout": "speaker_only", "profile": "720p", **times}}


def overruled(thing: Thing) -> Options:
    start, end = thing.start.isoformat(), (thing.start + HOUR).isoformat()
    return {"data": {"start-0": start, "end-0": end, "right-0": "board"}}


def new_room(thing: Thing) -> Options:
    return {"json": {"name": f"new {thing.room}", "zone": "UTC"}}


def room_form(thing: Thing) -> Options:
    return {
        "data": {
            "name": thing.room, "zone": "UTC", "chunk": "20m", "both_after": "60s", "early": "1m", "late": "2m", "mails": "on",
            "sources-0-name": "speaker", "sources-0-role": "speaker", "sources-0-kind": "folder",
            "sources-0-address": "/tmp",
        }
    }  # fmt: skip


def room_test(thing: Thing) -> Options:
    """Have a source tested, which saves nothing."""
    return {"data": {**room_form(thing)["data"], "test": "0"}}


def timetable(thing: Thing) -> Options:
    sheet = f"course,days,start,end,room\nC-1,M,10:00,11:00,{thing.room}\n"
    return {"data": sheet, "content_type": "text/csv"}


def timetable_form(thing: Thing) -> Options:
    return {"data": {"text": timetable(thing)["data"], "source": thing.room, "apply": "yes"}}


def series_form(thing: Thing) -> Options:
    """Return what saves a series of Ann's from its form, with another name."""
    data = {
        "name": "from the form", "room": thing.room, "date": "2027-11-20", "start": "10:00",
        "end": "11:00", "users": address("ann"), "act": "save",
    }  # fmt: skip
    return {"data": data}


def new_series(thing: Thing) -> Options:
    return {"json": {"room": thing.room, "start": "2027-11-20T10:00", "length": "1h"}}


def tomorrow(thing: Thing) -> Options:
    return {"query_string": {"room": thing.args["room"]}}


def json_of(**values: Any) -> Callable[[Thing], Options]:
    return lambda _: {"json": values}


def form_of(**values: Any) -> Callable[[Thing], Options]:
    return lambda _: {"data": values}


def chosen(where: str) -> Callable[[Thing], Options]:
    return lambda thing: {where: {"act": "cancel", "record": thing.args["record"]}}


def of_day(thing: Thing) -> Options:
    return {"query_string": {"day": f"{thing.start:%Y-%m-%d}"}}


def of_ann(thing: Thing) -> Options:
    return {"query_string": {**of_day(thing)["query_string"], "user": address("ann")}}


def found_by_day(thing: Thing) -> Options:
    return {"query_string": {"q": f"{thing.start:%Y-%m-%d}"}}


def all_of_day(thing: Thing) -> Options:
    return {"query_string": {"day": f"{thing.start:%Y-%m-%d}", "whose": "all"}}


# --- the table ------------------------------------------------------------------------------------

NOT_OWNER = (404, 403)
WITHOUT_LEAVE = (403, 422)


def lecture(world: World) -> Thing:
    return world.lecture


def shown(world: World) -> Thing:
    return world.meeting_shown


def picture(world: World) -> Thing:
    return world.picture


def watched(world: World) -> Thing:
    return world.watched_lecture


def closed_picture(world: World) -> Thing:
    return world.closed_picture


def everything(world: World) -> Thing:
    """What lists show of: several things of Ann's, and shared with Rea."""
    return world.coming


OPEN = [Act(scope=None)]
OF_USERS = [
    Act(of=lecture, least="user", shows=True), Act(of=shown, least="user", shows=True),
    Act(of=watched, least="watcher", shows=True),
]  # fmt: skip
ROOMS, PEOPLE = "rooms", "people"
TABLE: dict[str, dict[str, list[Act]]] = {
    "/api/v1/records": {
        "GET": [Act(of=everything, least="listed", shows=True, send=send) for send in (of_day, of_ann)],
        "POST": [
            Act("write", World.meeting, "user", shows=True, changes=None, refused=WITHOUT_LEAVE, send=by_api),
            Act("write", World.meeting, "user", changes=True, refused=WITHOUT_LEAVE, send=by_api_later),
            Act("write", World.meeting, "owner", shows=True, changes=None, refused=WITHOUT_LEAVE, send=by_uuid),
            Act("write", World.open_lecture, changes=None, send=by_api),
        ],
    },
    "/api/v1/records/<int:record>": {
        "GET": OF_USERS,
        "PATCH": [Act("write", World.record, "owner", shows=True, changes=True, refused=NOT_OWNER, send=json_of(description="x"))],
        "DELETE": [Act("write", made, "user", changes=True) for made in (World.record, World.watched)],
    },
    "/api/v1/access": {"GET": [Act(of=World.asked, least="listed", shows=True)]},
    "/api/v1/access/<int:access>": {
        "GET": [Act(of=World.asked, least="owner", shows=True)],
        "POST": [Act("write", World.asked, "owner", changes=True, send=json_of(allow=allow)) for allow in (True, False)],
        "DELETE": [Act("write", World.asked_by_bob, "self", changes=True)],
    },
    "/api/v1/records/<int:record>/cancel": {"POST": [Act("write", World.upcoming, "owner", shows=True, changes=True, refused=NOT_OWNER)]},
    "/api/v1/records/<int:record>/retry": {"POST": [Act("write", World.failed, "user", shows=True, changes=True)]},
    "/api/v1/records/<int:record>/remerge": {"POST": [Act("write", World.record, "owner", shows=True, changes=True, refused=NOT_OWNER, send=json_of(layout="speaker_only"))]},
    "/api/v1/records/<int:record>/renditions/<kind>": {"GET": OF_USERS},
    "/api/v1/records/<int:record>/papers/<name>": {"GET": OF_USERS},
    "/api/v1/records/<int:record>/chunks/<int:chunk>/pictures/<int:number>": {"GET": OF_USERS},
    "/api/v1/records/<int:record>/chapters/<int:number>/picture": {"GET": OF_USERS},
    "/api/v1/records/<int:record>/picture": {"GET": OF_USERS},
    # Of one that has ended: else it would be followed for minutes.
    "/api/v1/records/<int:record>/events": {"GET": [Act(of=lecture, least="user")]},
    "/api/v1/rooms": {"GET": [Act()], "POST": [Act(ROOMS, World.room, changes=True, send=new_room)]},
    "/api/v1/rooms/<int:room>": {
        "GET": [Act(of=World.room)],
        "PATCH": [Act(ROOMS, World.room, changes=True, send=json_of(chunk="20m"))],
        "DELETE": [Act(ROOMS, World.room, changes=True)],
    },
    "/api/v1/rooms/<int:room>/sources": {
        "GET": [Act(of=World.room)],
        "POST": [Act(ROOMS, World.room, changes=True, send=json_of(name="b", role="board", kind="folder", address="/tmp"))],
    },
    "/api/v1/rooms/<int:room>/sources/<int:source>": {
        "GET": [Act(of=World.source)],
        "PATCH": [Act(ROOMS, World.source, changes=True, send=json_of(role="board"))],
        "DELETE": [Act(ROOMS, World.source, changes=True)],
    },
    "/api/v1/rooms/<int:room>/sources/<int:source>/picture": {"GET": [Act(of=one, least="editor", shows=True) for one in (picture, closed_picture)]},
    "/api/v1/series": {
        "GET": [Act(of=World.series, least="listed", shows=True)],
        "POST": [Act("write", World.room, changes=True, send=new_series)],
    },
    "/api/v1/series/<int:series>": {
        "GET": [Act(of=World.series, least="user", shows=True)],
        "PATCH": [Act("write", World.series, "owner", shows=True, changes=True, refused=NOT_OWNER, send=json_of(course_code="x"))],
        "DELETE": [Act("write", World.series, "owner", changes=True, refused=NOT_OWNER)],
    },
    "/api/v1/occurrences": {"GET": [Act(of=World.series, least="listed", shows=True)]},
    "/api/v1/occurrences/<int:occurrence>": {
        "GET": [Act(of=World.occurrence, least="user", shows=True)],
        "PATCH": [Act("write", World.occurrence, "owner", shows=True, changes=True, refused=NOT_OWNER, send=json_of(is_off=True))],
    },
    "/api/v1/days-off": {
        "GET": [Act()],
        "POST": [Act(ROOMS, World.room, changes=True, send=lambda thing: {"json": {"first": "2025-01-01", "room": thing.room}})],
    },
    "/api/v1/days-off/<int:day_off>": {"DELETE": [Act(ROOMS, World.day_off, changes=True)]},
    "/api/v1/stills": {"GET": [Act(ROOMS, World.still)]},
    "/api/v1/stills/<int:still>": {"GET": [Act(ROOMS, World.still)]},
    "/api/v1/stills/<int:still>/answer": {
        "PUT": [Act(ROOMS, World.still, changes=True, send=json_of(answer="desktop"))],
        "DELETE": [Act(ROOMS, World.answered_still, changes=True)],
    },
    "/api/v1/stills/<int:still>/picture": {"GET": [Act(ROOMS, World.still, shows=True)]},
    "/api/v1/stills/<int:still>/remake": {"POST": [Act(ROOMS, World.answered_still)]},
    "/api/v1/offers": {"GET": [Act(ROOMS, everything, shows=True)]},
    "/api/v1/records/retry": {"POST": [Act(ROOMS, send=json_of(dry_run=True))]},
    "/api/v1/where": {"GET": [Act(of=everything, least="listed", shows=True, send=found_by_day)]},
    "/api/v1/timetable": {"POST": [Act(ROOMS, World.room, changes=None, send=timetable)]},
    "/api/v1/timetable/refresh": {"POST": [Act(ROOMS)]},
    "/api/v1/users": {"GET": [Act(PEOPLE, shows=True)], "POST": [Act(PEOPLE, World.user, changes=True, send=lambda thing: {"json": {"email": f"new{thing.args['user']}@example.org"}})]},
    "/api/v1/users/<int:user>": {
        "GET": [Act(PEOPLE, World.user)],
        "PATCH": [Act(PEOPLE, World.user, changes=True, send=json_of(role="editor"))],
        "DELETE": [Act(PEOPLE, World.user, changes=True)],
    },
    "/api/v1/users/<int:user>/password-link": {"POST": [Act(PEOPLE, World.user, changes=True)]},
    "/api/v1/api-keys": {
        "GET": [Act(of=World.key, least="keys", shows=True)],
        "POST": [Act("write", changes=True, send=json_of(name="new", scopes=["write"]))],
    },
    "/api/v1/api-keys/<int:key>": {"DELETE": [Act("write", World.key, "people", changes=True)]},
    "/api/montage-event/<room>": {
        "POST": [
            Act("write", World.meeting, "user", changes=None, refused=WITHOUT_LEAVE, send=by_date),
            Act("write", World.open_lecture, changes=None, send=by_date),
        ]
    },
    "/api/records/<email>": {"GET": [Act(of=everything, least="listed", shows=True)]},
    "/api/openapi.json": {"GET": OPEN},
    "/api/docs": {"GET": OPEN},
    "/": {"GET": OPEN},
    "/login": {"GET": OPEN, "POST": OPEN},
    "/login/oidc": {"GET": OPEN},
    "/login/oidc/callback": {"GET": OPEN},
    "/login/forgotten": {"GET": OPEN, "POST": [Act(scope=None, send=form_of(email=address("ann")))]},
    "/login/password": {"GET": OPEN, "POST": OPEN},
    "/logout": {"POST": OPEN},
    "/confirm": {"GET": OPEN, "POST": OPEN},
    "/access/<int:access>": {
        "GET": [Act(of=World.asked, least="owner", shows=True)],
        "POST": [Act("write", World.asked, "owner", changes=True, send=form_of(allow=allow)) for allow in ("yes", "no")],
    },
    "/access/<int:access>/withdraw": {"POST": [Act("write", World.asked_by_bob, "self", changes=True)]},
    "/records": {"GET": [Act(of=everything, least="listed", shows=True, send=all_of_day)]},
    "/records/<int:record>": {"GET": OF_USERS},
    "/records/selected": {
        "GET": [Act("read write", lecture, "editor", shows=True, refused=(403,), send=chosen("query_string"))],
        "POST": [Act("read write", World.upcoming, "editor", changes=True, refused=(403,), send=chosen("data"))],
    },
    "/records/<int:record>/row": {"GET": OF_USERS},
    "/records/<int:record>/status": {"GET": OF_USERS},
    "/records/<int:record>/cancel": {"GET": [Act("read write", lecture, "user", shows=True)], "POST": [Act("write", World.upcoming, "owner", changes=True, refused=NOT_OWNER)]},
    "/records/<int:record>/retry": {"POST": [Act("write", World.failed, "user", changes=True)]},
    "/records/<int:record>/remerge": {"POST": [Act("write", World.record, "owner", changes=True, refused=NOT_OWNER, send=remerged)]},
    "/records/<int:record>/overrule": {"POST": [Act("write", World.record, "owner", changes=True, refused=NOT_OWNER, send=overruled)]},
    "/records/<int:record>/edit": {"POST": [Act("write", World.record, "owner", changes=True, refused=NOT_OWNER, send=form_of(name="x", description="x"))]},
    "/records/<int:record>/delete": {"POST": [Act("write", World.record, "user", changes=True)]},
    "/request": {
        "GET": [Act("write")],
        "POST": [
            Act("write", World.meeting, "user", changes=None, refused=WITHOUT_LEAVE, send=by_page),
            Act("write", World.meeting, "user", changes=True, refused=WITHOUT_LEAVE, send=by_page_later),
            Act("write", World.open_lecture, changes=None, send=by_page),
        ],
    },
    "/request/check": {"POST": [Act("write")]},
    "/timetable": {"GET": [Act(of=World.series, least="listed", shows=True, send=tomorrow)]},
    "/timetable/<int:occurrence>": {
        "GET": [Act(of=World.occurrence, least="user", shows=True)],
        "POST": [Act("write", World.occurrence, "owner", changes=True, refused=NOT_OWNER, send=form_of(act="skip"))],
    },
    "/timetable/days-off": {
        "GET": [Act(ROOMS)],
        "POST": [Act(ROOMS, World.room, changes=True, send=lambda thing: {"data": {"first": "2025-01-01", "room": thing.room}})],
    },
    "/timetable/days-off/<int:day>/delete": {"POST": [Act(ROOMS, World.day_off, changes=True)]},
    "/series/<int:series>": {
        "GET": [Act(of=World.series, least="user", shows=True)],
        "POST": [Act("write", World.series, "owner", changes=True, refused=NOT_OWNER, send=form_of(act="end"))],
    },
    "/series/<int:series>/edit": {
        "GET": [Act(of=World.series, least="owner", shows=True, refused=NOT_OWNER)],
        "POST": [Act("write", World.series, "owner", changes=True, refused=NOT_OWNER, send=series_form)],
    },
    "/calendars/<token>.ics": {"GET": OPEN},
    "/account/calendar": {"POST": [Act("write")]},
    "/rooms/<int:room>/calendar": {"POST": [Act(ROOMS, World.room)]},
    "/rooms": {"GET": [Act(of=everything, least="listed", shows=True)]},
    "/rooms/new": {"GET": [Act(ROOMS)], "POST": [Act(ROOMS, World.room, changes=True, send=lambda thing: {"data": {**room_form(thing)["data"], "name": f"form {thing.room}"}})]},
    "/rooms/<int:room>/sources": {"GET": [Act(of=World.room)]},
    "/rooms/<int:room>/edit": {"GET": [Act(ROOMS, World.room)], "POST": [Act(ROOMS, World.room, changes=True, send=room_form), Act(ROOMS, World.room, send=room_test)]},
    "/rooms/<int:room>/delete": {"POST": [Act(ROOMS, World.room, changes=True)]},
    "/stills": {"GET": [Act(ROOMS, World.still)]},
    "/stills/<int:still>": {"POST": [Act(ROOMS, World.still, changes=True, send=form_of(answer="lock")), Act(ROOMS, World.answered_still, changes=True, send=form_of(answer="undo"))]},
    "/stills/<int:still>/remake": {"POST": [Act(ROOMS, World.answered_still)]},
    "/offers": {"GET": [Act(ROOMS, everything, shows=True)]},
    "/where": {"GET": [Act(of=everything, least="listed", shows=True, send=found_by_day)]},
    "/timetable/import": {"GET": [Act(ROOMS)], "POST": [Act(ROOMS, World.room, changes=None, send=timetable_form)]},
    "/timetable/refresh": {"POST": [Act(ROOMS)]},
    "/operations": {"GET": [Act(of=everything, least="editor", shows=None, refused=(403,))]},
    "/operations/state": {"GET": [Act(of=everything, least="editor", shows=None, refused=(403,))]},
    "/people": {"GET": [Act(PEOPLE, shows=True)], "POST": [Act(PEOPLE, World.user, shows=True, changes=True, send=lambda thing: {"data": {"email": f"form{thing.args['user']}@example.org", "role": "user"}})]},
    "/people/<int:user>": {"POST": [Act(PEOPLE, World.user, changes=True, send=form_of(role="editor"))]},
    "/people/<int:user>/password-link": {"POST": [Act(PEOPLE, World.user, shows=True, changes=True)]},
    "/people/<int:user>/release": {"POST": [Act(PEOPLE, World.user, changes=None)]},
    "/people/<int:user>/delete": {"POST": [Act(PEOPLE, World.user, changes=True)]},
    "/keys": {"GET": [Act()]},
    "/account": {
        "GET": [Act(of=World.key, least="self", shows=True)],
        "POST": [Act("write", send=form_of(language="en"))],
    },
    "/account/keys": {"POST": [Act("write", World.key, shows=None, changes=True, send=form_of(name="new", scopes="write"))]},
    "/account/keys/<int:key>/revoke": {"POST": [Act("write", World.key, "self", changes=True)]},
    "/account/password": {"POST": [Act(of=World.key, shows=None)]},
    "/language": {"POST": [Act(scope=None, send=form_of(language="en"))]},
    "/healthz": {"GET": OPEN},
    "/readyz": {"GET": OPEN},
    "/metrics": {"GET": [Act(least="editor", refused=(403,))]},
    "/static/<path:filename>": {"GET": OPEN},
    # Whoever calls them signs what it says.
    "/hooks/zoom": {"POST": OPEN},
    "/hooks/google/calendar": {"POST": OPEN},
}  # fmt: skip
# Lists, and forms with a mistake in them: everybody is answered.
ANSWERED = ("listed", "keys")
MISTAKEN = {"/account/password": 422, "/timetable/refresh": 422, "/api/v1/timetable/refresh": 422}


def is_more_than_less(act: Act, asker: Asker, thing: Thing) -> bool:
    """Return whether somebody is enough to a thing."""
    if act.least == "watcher":
        return True
    if act.least in ("anybody", "self", "people", "keys"):
        is_theirs = asker.person == thing.owner
        sees_keys = act.least in ("people", "keys") and PEOPLE in asker.scopes
        return act.least == "anybody" or is_theirs or sees_keys
    if asker.sees_all or act.least == "editor":
        return asker.sees_all
    return asker.person == thing.owner if act.least == "owner" else asker.person in thing.users


# --- the tests ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(upgraded_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    shutil.copyfile(upgraded_sqlite, folder / "database.sqlite")
    site = Site(folder, f"sqlite:///{folder / 'database.sqlite'}")
    with zoom_served() as zoom:
        yield World(site, zoom)
    site.engine.dispose()


def rules(world: World) -> list[Rule]:
    return list(world.app.url_map.iter_rules())


def methods_of(rule: Rule) -> set[str]:
    return (rule.methods or set()) - {"HEAD", "OPTIONS"}


def test_every_route_has_an_entry(world: World) -> None:
    there = {(rule.rule, method) for rule in rules(world) for method in methods_of(rule)}
    assert there == {(rule, method) for rule, methods in TABLE.items() for method in methods}


def test_what_names_something_of_somebody_asks_whose_it_is(world: World) -> None:
    for rule in rules(world):
        for method in methods_of(rule):
            for act in TABLE[rule.rule][method]:
                if rule.arguments & {"record", "key", "access", "series", "occurrence"}:
                    some = ("user", "owner", "self", "people", "watcher")
                    assert act.least in some, rule.rule


def test_the_kinds_whose_recordings_are_of_people_are_those_that_are_discovered(
    world: World,
) -> None:
    assert set(world.service.offering) == set(KINDS_OF_PEOPLE)


@pytest.mark.parametrize(
    ("rule", "method"), [(rule, method) for rule, methods in TABLE.items() for method in methods]
)
def test_as_everybody(world: World, rule: str, method: str) -> None:
    for act in TABLE[rule][method]:
        thing: Thing | None = None
        askers = OF_API if rule.startswith("/api/") else OF_PAGES
        for asker in askers if act.scope is not None else askers[:3]:
            thing = thing or act.of(world)
            if check(world, rule, method, act, asker, thing):
                thing = None  # it is not what it was


def check(world: World, rule: str, method: str, act: Act, asker: Asker, thing: Thing) -> bool:
    """Check what somebody is answered; return whether that has changed anything."""
    before = world.state(thing) if method != "GET" else None
    got = ask(world, rule, method, act, asker, thing)
    has_changed = method != "GET" and world.state(thing) != before
    case = f"{method} {rule} as {asker.name}, {act.least} of {act.of.__name__}: {got.status_code} {got.text[:300]}"
    holds_secret = SECRET in got.text
    allowed = act.scope is None or asker.scopes.issuperset(act.scope.split())
    is_api = rule.startswith("/api/")
    if is_api and method != "GET" and not asker.by_key and asker is not NOBODY:
        allowed = False  # another site could send it
    if act.scope is None:
        assert got.status_code < 500 or rule == "/readyz", case
        assert not holds_secret and not has_changed, case
    elif asker is NOBODY:
        is_sent_away = got.status_code == 303 and got.headers["Location"].startswith("/login?")
        assert got.status_code == 401 if is_api or rule == "/metrics" else is_sent_away, case
        assert not holds_secret and not has_changed, case
    elif not allowed:
        assert got.status_code == 403 and not holds_secret and not has_changed, case
    elif is_more_than_less(act, asker, thing):
        assert got.status_code in (200, 201, 204, 303, MISTAKEN.get(rule)), case
        shows = asker.person in thing.users if act.shows is None else act.shows
        if act.shows and act.scope == "write" and "read" not in asker.scopes:
            shows = False  # of what was not requested with this key, no more than its id
        assert holds_secret == shows, case
        assert act.changes is None or has_changed == act.changes, case
    else:
        is_answered = act.least in ANSWERED or (rule, method) == ("/account", "GET")
        assert got.status_code in ((200,) if is_answered else act.refused), case
        assert not holds_secret and not has_changed, case
        is_stranger = asker.person not in thing.users
        if act.refused == NOT_OWNER:
            assert got.status_code == (404 if is_stranger else 403), case
    return has_changed


def ask(world: World, rule: str, method: str, act: Act, asker: Asker, thing: Thing) -> TestResponse:
    client, headers = world.client(asker)
    found = next(one for one in rules(world) if one.rule == rule and method in methods_of(one))
    args = {**thing.args, **({"room": thing.room} if rule == "/api/montage-event/<room>" else {})}
    built = found.build({name: args.get(name, "x") for name in found.arguments})
    assert built is not None
    options = dict(act.send(thing))
    headers |= options.pop("headers", {})
    if (
        rule.startswith("/api/")
        and method in ("POST", "PATCH")
        and not options.keys() & {"json", "data"}
    ):
        options["json"] = {}
    return client.open(built[1], method=method, headers=headers, buffered=True, **options)
