"""The pages of rooms, and the form that changes one."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from merger.db.engine import writing
from merger.i18n import Message, to_json, verbatim
from merger.intake import meetings
from merger.live.source_status import SourceSign, write_sign
from merger.ports.meetings import MeetingEvent
from merger.rooms import store
from models import Calendar, Record, Room
from recorders.zoom.api import Account
from recorders.zoom.discovery import ZoomDiscovery
from tests.support.databases import ON_SQLITE
from tests.support.filmed import source as change
from tests.web.conftest import Web
from tests.web.markup import check_markup
from tests.web.pages.reader import error_at, reader, text_of, value_of

pytestmark = ON_SQLITE
LENGTHS = {"chunk": "30m", "both_after": "60s", "early": "1m", "late": "2m"}


def source(n: int, **fields: str) -> dict[str, str]:
    values = {"name": "", "role": "", "kind": "folder", "address": "", "credentials": "", **fields}
    return {f"sources-{n}-{name}": value for name, value in values.items()}


def is_checked(page: str, name: str) -> bool:
    found = re.search(rf'<input type="checkbox" name="{name}"[^>]*>', page)
    assert found, f"no checkbox {name}"
    return " checked" in found[0]


class Contented:
    """A recorder to which every source is right."""

    settle = timedelta(0)

    def check(self, source: object) -> None:
        pass


def test_rooms_are_shown_with_what_is_made_in_them(web: Web) -> None:
    web.site.ask(users=("ann@example.org",), name="Of Ann")
    page = reader(web, "ann").get("/rooms")
    assert "504" in page and "Europe/Moscow" in page and "Of Ann" in page
    assert page.count("No picture yet") == 2
    assert "Of Ann" not in reader(web, "bob").get("/rooms")


def test_what_the_last_recording_says_of_a_source_is_for_those_who_look_after_it(web: Web) -> None:
    web.site.ask(users=("ann@example.org",))
    frozen = Message("timeline.frozen_camera", source="speaker", start="10:00", end="10:20")
    report = json.dumps({"warning_messages": [to_json(frozen)]})
    statement = update(Record).values(status="delivered", report=report)
    writing(web.site.engine, lambda session: session.execute(statement))
    page = reader(web, "eve").get("/rooms")
    assert 'href="/records/1">In the recording of' in page and "camera may have hung" in page
    assert "may have hung" not in reader(web, "ann").get("/rooms")


def test_the_next_records_of_each_room_are_shown(web: Web) -> None:
    web.site.add_room("505")
    web.site.ask(6 + 30 * 60, 30 * 60, room="505", name="In 505")
    for n in range(250):
        web.site.ask(6 + 60 * n, 60 * n, name=f"Lecture <{n}>", users=("ann@example.org",))
    page = reader(web, "eve").get("/rooms")
    assert page.count('class="record"') == 6 and "In 505" in page
    shown = re.findall(r"Lecture <(\d+)></a></h2>", page)
    assert shown == ["0", "1", "2", "3", "4"]
    assert reader(web, "ann").get("/rooms").count('class="record"') == 5
    assert reader(web, "bob").get("/rooms").count('class="record"') == 0


def test_the_page_of_rooms_is_one_of_several(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("merger.web.pages.rooms.PAGE", 2)
    ann = reader(web, "ann")
    assert '<nav class="pages"' not in ann.get("/rooms")
    for name in ("505", "Aula & Co", "B"):
        web.site.add_room(name)
    web.site.ask(room="B", name="In B", users=("ann@example.org",))
    headings = r'<h2 id="room-\d+">(.*?)</h2>'
    first = ann.get("/rooms")
    assert re.findall(headings, first) == ["504", "505"]
    assert "More rooms" in first and "Back to" not in first and "In B" not in first
    [following] = re.findall(r'rel="next" href="(.*?)"', first)
    second = ann.get(following)
    assert re.findall(headings, second) == ["Aula & Co", "B"]
    assert "More rooms" not in second and "Back to the first rooms" in second and "In B" in second


def test_whether_media_comes_is_shown(web: Web) -> None:
    now = web.site.clock
    assert 'class="badge flow' not in reader(web, "ann").get("/rooms")
    write_sign(web.site.settings, 1, SourceSign(now))
    write_sign(web.site.settings, 2, SourceSign(now, now - timedelta(minutes=18)))
    page = reader(web, "ann").get("/rooms")
    shown = re.findall(r'<span class="badge flow (\w+)">.*?</span> (.*?)</span>', page)
    # It is 15:00 in the room.
    assert shown == [("coming", "Receiving media"), ("silent", "No media since 14:42")]
    web.site.clock = now + timedelta(days=1)
    page = reader(web, "ann", "ru").get("/rooms")
    assert page.count("не отвечает с") == 2 and "20 ноября 2026, 14:42" in page
    write_sign(web.site.settings, 1, None)
    write_sign(web.site.settings, 2, None)
    assert 'class="badge flow' not in reader(web, "ann").get("/rooms")


def zoom_reports(web: Web, *events: tuple[str, float]) -> None:
    """Give room 504 a Zoom meeting of which something was reported some minutes ago."""
    known = {"zoom": ZoomDiscovery(Account())}
    web.app.extensions["merger"] = replace(web.app.extensions["merger"], offering=known)
    change(web.site, "504", kind="zoom", address="zoom:123 4567 8901", credentials="a:b:c")
    for kind, minutes_ago in events:
        at = web.site.clock - timedelta(minutes=minutes_ago)
        event = MeetingEvent("uuid==", "12345678901", kind, at)
        meetings.save_event(web.site.engine, event)


MEETINGS = [
    ("recording.started", "recording", "Zoom is recording", "Zoom записывает"),
    ("recording.paused", "paused", "Paused since 14:50", "На паузе с 14:50"),
    ("meeting.ended", "processing", "Zoom is processing the recording", "Zoom обрабатывает запись"),
]


@pytest.mark.parametrize(("kind", "how", "english", "russian"), MEETINGS)
def test_what_happens_to_a_meeting_is_shown(
    web: Web, kind: str, how: str, english: str, russian: str
) -> None:
    zoom_reports(web, ("recording.started", 30), (kind, 10))
    for language, text in (("en", english), ("ru", russian)):
        for path in ("/rooms", "/rooms/1/sources"):
            page = reader(web, "ann", language).get(path)
            shown = re.findall(r'<span class="badge flow (\w+)">.*?</span> (.*?)</span>', page)
            assert shown == [(how, text)], path


def test_a_meeting_of_which_nothing_is_recorded_is_not_shown(web: Web) -> None:
    zoom_reports(web, ("meeting.started", 30))
    assert 'class="badge flow' not in reader(web, "ann").get("/rooms")


def test_a_room_is_added_changed_and_removed(web: Web) -> None:
    service = web.app.extensions["merger"]
    web.app.extensions["merger"] = replace(service, recorder_of=lambda kind: Contented())
    eve, folder = reader(web, "eve"), str(web.site.folder)
    room = {
        "name": "Aula", "zone": "Europe/Berlin", **LENGTHS, "sound_source": "",
        "drive_folder": "", "calendar_id": "", "uploads_raw": "on", "papers": "on",
        "default_course": "MISC", "unmatched": "ignore", "shortest": "90s", "decide": "chunk",
        "shows_both": "on",
        **source(0, name="camera", role="speaker", address=folder, credentials="s3cret"),
        **source(1, name="slides", role="screen", address=folder), **source(2, kind=""),
    }  # fmt: skip
    page = eve.done("/rooms/new", "/rooms/new", room)
    assert "Room Aula added." in page
    page = eve.get("/rooms/2/edit")
    assert value_of(page, "chunk") == "30m" and "s3cret" not in page
    assert (value_of(page, "early"), value_of(page, "late")) == ("1m", "2m")
    assert (value_of(page, "default_course"), value_of(page, "shortest")) == ("MISC", "90s")
    assert not is_checked(page, "mails") and is_checked(page, "uploads_raw")
    assert is_checked(page, "papers")
    assert "Leave this empty to keep them. If you change the kind" in page

    known = {"sources-0-is_known": "1", "sources-1-is_known": "1", "sources-0-has_credentials": "1"}
    assert is_checked(page, "shows_both") and value_of(page, "both_after") == "1m"
    assert re.search(r'<option value="chunk" selected>', page)
    changed = {**room, **known, "chunk": "10m", "late": "0s", "mails": "on", "both_after": "90s"}
    changed |= {"decide": "instant", "shows_both": ""}
    changed |= {"sources-0-credentials": "", "uploads_raw": "", "papers": "", "shortest": ""}
    changed |= {"sources-1-is_removed": "on"}
    changed |= source(2, name="board", role="board", address=folder)
    assert "Room Aula saved." in eve.done("/rooms/2/edit", "/rooms/2/edit", changed)
    spec = next(spec for spec in store.stored_rooms(web.site.engine) if spec.name == "Aula")
    assert (spec.chunk_s, spec.early_s, spec.late_s) == (600, 60, 0)
    assert (spec.decide, spec.shows_both, spec.both_after_s) == ("instant", False, 90)
    assert (spec.mails, spec.uploads_raw, spec.papers) == (True, False, False)
    assert (spec.default_course, spec.unmatched, spec.shortest_s) == ("MISC", "ignore", None)
    assert [one.name for one in spec.sources] == ["camera", "board"]
    assert spec.sources[0].credentials == "s3cret"

    forgets = {**room, **known, "sources-0-credentials": "", "sources-0-forgets": "on"}
    del forgets["sources-1-name"]
    eve.done("/rooms/2/edit", "/rooms/2/edit", forgets)
    spec = next(spec for spec in store.stored_rooms(web.site.engine) if spec.name == "Aula")
    assert spec.sources[0].credentials is None
    assert [one.name for one in spec.sources] == ["camera", "board"]  # not in the form: it stays
    assert "Room deleted." in eve.done("/rooms/2/edit", "/rooms/2/delete")
    assert [spec.name for spec in store.stored_rooms(web.site.engine)] == ["504"]


def test_credentials_do_not_go_elsewhere(web: Web) -> None:
    """Who changes a room may not know them, and could have them sent to a host of their own."""
    service = web.app.extensions["merger"]
    web.app.extensions["merger"] = replace(service, recorder_of=lambda kind: Contented())
    eve = reader(web, "eve")
    here = "rtsp://10.0.5.4:554/one"

    def fields(**changes: str) -> dict[str, str]:
        values = {"name": "camera", "role": "speaker", "kind": "rtsp", "address": here, **changes}
        return {"name": "Aula", "zone": "Europe/Berlin", **LENGTHS, **source(0, **values)}

    def kept() -> str | None:
        spec = next(spec for spec in store.stored_rooms(web.site.engine) if spec.name == "Aula")
        return spec.sources[0].credentials

    eve.done("/rooms/new", "/rooms/new", fields(credentials="user:s3cret"))
    known = {"is_known": "1", "has_credentials": "1"}
    for same in (here, "rtsp://10.0.5.4:554/two#always"):
        page = eve.done("/rooms/2/edit", "/rooms/2/edit", fields(address=same, **known))
        assert "its credentials were removed" not in page and kept() == "user:s3cret"
    for changes in (
        {"address": "rtsp://evil.example/one"}, {"address": "rtsp://10.0.5.4:8554/one"},
        {"address": "rtsps://10.0.5.4:554/one"}, {"kind": "folder"},
    ):  # fmt: skip
        eve.done("/rooms/2/edit", "/rooms/2/edit", fields(credentials="user:s3cret", **known))
        assert kept() == "user:s3cret"
        page = eve.done("/rooms/2/edit", "/rooms/2/edit", fields(**known, **changes))
        assert "host or port of source camera changed" in page and kept() is None, changes
        page = eve.done("/rooms/2/edit", "/rooms/2/edit", fields(**known, **changes))
        assert "its credentials were removed" not in page  # there are none any more
    moved = fields(address="rtsp://10.0.5.5/one", credentials="user:new", **known)
    eve.done("/rooms/2/edit", "/rooms/2/edit", moved)
    assert kept() == "user:new"
    removed = fields(**known, forgets="on")
    assert "were removed" not in eve.done("/rooms/2/edit", "/rooms/2/edit", removed)


def test_a_password_in_an_address_is_neither_shown_nor_lost(web: Web) -> None:
    hidden = store.stored_rooms(web.site.engine)[0]
    assert hidden.sources[0].address
    eve = reader(web, "eve")
    page = eve.get("/rooms/1/edit")
    address = html.unescape(hidden.sources[0].address)
    assert address in page
    same = {
        "name": "504", "zone": "Europe/Moscow", **LENGTHS, "sound_source": "speaker",
        **source(0, name="speaker", role="speaker", address=address, is_known="1"),
        **source(1, name="screen", role="screen", address=hidden.sources[1].address, is_known="1"),
    }  # fmt: skip
    eve.done("/rooms/1/edit", "/rooms/1/edit", same)
    after = store.stored_rooms(web.site.engine)[0]
    assert after.sources == hidden.sources and after.sound_source == "speaker"


def test_a_form_of_a_room_has_room_for_another_source(web: Web) -> None:
    answer = reader(web, "eve").send("/rooms/1/edit", "/rooms/1/edit", {
        "name": "505", "zone": "?", "chunk": "10s", "another": "1",
        **source(0, name="speaker", role="speaker", address="/x", is_known="1"),
    })  # fmt: skip
    assert answer.status_code == 200
    check_markup(answer.text, "en")
    assert 'name="sources-1-name"' in answer.text and value_of(answer.text, "name") == "505"
    assert store.stored_rooms(web.site.engine)[0].name == "504"


WRONG_ROOMS: list[tuple[dict[str, str], str, str, str]] = [
    ({"name": ""}, "name", "This field is required", "Заполните это поле"),
    ({"name": "504"}, "name", "there is already a room '504'", "аудитория «504» уже есть"),
    ({"name": "a/b"}, "name", "cannot be part of a file name", "не может быть частью имени файла"),
    ({"name": "a\u0306"}, "name", "the Unicode form NFC", "форме NFC"),
    ({"name": "x" * 201}, "name", "too long for a file name", "слишком длинно"),
    ({"zone": "Moscow"}, "zone", "'Moscow' isn't a time zone", "«Moscow» — не часовой пояс"),
    ({"chunk": "long"}, "chunk", "from 1 second to 24 hours", "от 1 секунды до 24 часов"),
    ({"both_after": "4s"}, "both_after", "from 5 seconds to 1 hour", "от 5 секунд до 1 часа"),
    ({"decide": "never"}, "decide", "'never' is not possible here", "«never»"),
    ({"early": "61m"}, "early", "from 0 seconds to 1 hour", "от 0 секунд до 1 часа"),
    ({"late": ""}, "late", "from 0 seconds to 1 hour", "от 0 секунд до 1 часа"),
    ({"drive_folder": "x" * 256}, "drive_folder", "longer than 255 characters", "длиннее 255"),
    ({"calendar_id": "x" * 256}, "calendar_id", "longer than 255 characters", "длиннее 255"),
    ({"sources-1-address": "/" + "x" * 16_000}, "sources-1-address", "longer than 16000", "длиннее 16000"),
    ({"sound_source": "ear"}, "sound_source", "there is no source 'ear' in", "источника «ear» в этой аудитории нет"),
    ({"sound_source": "camers"}, "sound_source", "did you mean 'camera'?", "может быть, «camera»?"),
    ({"sources-1-role": "speaker"}, "sources-1-role", "one source for each role", "роль «Лектор» уже у источника «camera»"),
    ({"sources-1-role": ""}, "sources-1-role", "This field is required", "Заполните это поле"),
    ({"sources-1-name": ""}, "sources-1-name", "This field is required", "Заполните это поле"),
    ({"sources-1-name": "a/b"}, "sources-1-name", "cannot be part of a", "не может быть частью"),
    ({"sources-1-name": "camera"}, "sources-1-name", "listed twice", "указано дважды"),
    ({"sources-1-kind": ""}, "sources-1-kind", "This field is required", "Заполните это поле"),
    ({"sources-1-address": ""}, "sources-1-address", "This field is required", "Заполните это поле"),
]  # fmt: skip
REFUSED_BY_RECORDERS: list[tuple[dict[str, str], str, str, str]] = [
    ({"sources-1-kind": "carrier"}, "sources-1-kind", "there is no kind of source 'carrier'", "вида источников «carrier»"),
    ({"sources-1-kind": "foldr"}, "sources-1-kind", "did you mean 'folder'?", "может быть, «folder»?"),
    ({"sources-1-address": "here"}, "sources-1-address", "'here' is not an absolute path", "«here» — не полный путь"),
    ({"sources-1-address": "/srv#504"}, "sources-1-address", "must end with the room and source", "должен кончаться"),
    ({"sources-1-address": "/srv#a/b_c"}, "sources-1-address", "results in a/b_c", "получается a/b_c"),
    ({"sources-0-credentials": "s3cret"}, "sources-0-credentials", "no credentials; remove", "пароль не нужны; уберите"),
    *(
        ({"sources-1-kind": kind, f"sources-1-{name}": text, **more}, f"sources-1-{name}", english, russian)
        for kind, name, text, more, english, russian in [
            ("drive", "address", "drive", {}, "is not a folder in Drive", "не папка на Диске"),
            ("drive", "address", "drive:1AbC-dEfGhIjKlMn#504", {}, "must end with the room and", "должен кончаться"),
            ("rtsp", "address", "http://10.0.5.4", {}, "is not the address of a camera", "это не адрес камеры"),
            ("rtsp", "address", "rtsp://a:b@10.0.5.4/1", {}, "user name or a password", "в адресе есть логин"),
            ("rtsp", "address", "rtsp://127.0.0.1/1", {}, "leads to 127.0.0.1", "ведёт на 127.0.0.1"),
            ("rtsp", "address", "rtsp://10.0.5.4/1#early=2m", {}, "a setting of the room", "настройка аудитории"),
            ("rtsp", "address", "rtsp://10.0.5.4/1#alway", {}, "unknown setting 'alway'", "настройки «alway»"),
            ("rtsp", "address", "rtsp://10.0.5.4/1#always&always", {}, "says always twice", "дважды указано"),
            ("rtsp", "address", "rtsp://10.0.5.4/1#always=1", {}, "takes no value", "у настройки always"),
            ("rtsp", "credentials", "s3cret", {"sources-1-address": "rtsp://10.0.5.4/1"}, "user:password", "логин:пароль"),
            ("zoom", "address", "zoom:lecture", {}, "is not a meeting", "не встреча"),
            ("zoom", "credentials", "s3cret", {"sources-1-address": "zoom:123 4567 8901"}, "account_id", "так: account_id"),
            ("zoom", "credentials", "", {"sources-1-address": "zoom:123 4567 8901"}, "no credentials", "нет доступа к Zoom"),
            ("testpattern", "address", "testpattern:?size=1x1", {}, "both even", "оба числа чётные"),
            ("testpattern", "address", "testpattern:?rate=0", {}, "a whole number from 1", "целое число от 1"),
            ("testpattern", "address", "testpattern:?x=1", {}, "no setting 'x'", "настройки «x» нет"),
        ]
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    "mistakes", [WRONG_ROOMS, REFUSED_BY_RECORDERS], ids=["rooms", "recorders"]
)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_what_is_wrong_with_a_room_is_said_at_the_field(
    web: Web, language: str, mistakes: list[tuple[dict[str, str], str, str, str]]
) -> None:
    room = {
        "name": "Aula", "zone": "Europe/Berlin", **LENGTHS,
        **source(0, name="camera", role="speaker", address="/srv"),
        **source(1, name="slides", role="screen", address="/srv"),
    }  # fmt: skip
    eve = reader(web, "eve", language)
    for changes, name, english, russian in mistakes:
        page = eve.wrong("/rooms/new", "/rooms/new", {**room, **changes})
        assert {"en": english, "ru": russian}[language] in error_at(page, name), changes
        assert "source 'slides'" not in page  # it is said at the source
        assert language == "en" or '<span lang="en">' not in page, changes
        assert "s3cret" not in page
    assert len(store.stored_rooms(web.site.engine)) == 1


def test_a_room_that_records_wait_for_stays(web: Web) -> None:
    web.site.ask()
    refused = reader(web, "eve", "ru").send("/rooms/1/edit", "/rooms/1/delete")
    assert refused.status_code == 409 and "Сейчас это невозможно" in refused.text
    assert "не закончена 1 запись, сначала отмените её" in refused.text
    eve = reader(web, "eve")
    refused = eve.send("/rooms/1/edit", "/rooms/1/delete")
    assert "1 recording of room '504' is not finished; cancel it first" in text_of(refused)
    web.site.ask(12, 6)
    refused = eve.send("/rooms/1/edit", "/rooms/1/delete")
    assert "2 recordings of room '504' are not finished; cancel them first" in text_of(refused)
    refused = reader(web, "eve", "ru").send("/rooms/1/edit", "/rooms/1/delete")
    assert "в аудитории «504» не закончены 2 записи, сначала отмените их" in refused.text


def test_a_calendar_that_cannot_be_read_is_told_to_editors(web: Web) -> None:
    web.site.add_room("z", calendar_id="room@group.calendar.google.com")

    def fail(session: Session) -> None:
        room = session.scalars(select(Room).where(Room.name == "z")).one()
        session.add(
            Calendar(
                room_id=room.id, calendar_id="room@group.calendar.google.com",
                due_at=web.site.clock, error_message=verbatim("there is no such calendar"),
            )
        )  # fmt: skip

    writing(web.site.engine, fail)
    page = reader(web, "eve").get("/rooms")
    assert "The calendar of this room can't be read:" in page
    assert "there is no such calendar" in page
    assert "there is no such calendar" not in reader(web, "ann").get("/rooms")
