"""What is typed into the form of a room: what counts, what is kept, and sources that are tested."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from merger.errors import Refused
from merger.i18n import Message
from merger.live.source_status import SourceSign, write_sign
from merger.ports.recorder import Probe, SourceOfRoom
from merger.rooms import store
from merger.rooms.spec import RoomSpec
from merger.web.pages.room_form import Row
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web
from tests.web.pages.reader import Reader, error_at, reader, text_of
from tests.web.pages.test_rooms import LENGTHS, Contented, source

pytestmark = ON_SQLITE
JPEG = b"\xff\xd8 a picture"
CAMERA = {"name": "camera", "role": "speaker", "kind": "rtsp", "address": "rtsp://10.0.5.4/one"}
SECRET = "user:s3cret"


def room(*sources: Mapping[str, str], **changes: str) -> dict[str, str]:
    form = {"name": "Aula", "zone": "Europe/Berlin", **LENGTHS, **changes}
    for n, fields in enumerate(sources):
        form |= source(n, **{"kind": "", **fields})
    return form


def stored(web: Web, name: str = "Aula") -> RoomSpec:
    return next(spec for spec in store.stored_rooms(web.site.engine) if spec.name == name)


def sealed_in(page: str, n: int = 0) -> str:
    found = re.search(rf'name="sources-{n}-sealed" value="([^"]+)"', page)
    return html.unescape(found[1]) if found else ""


def contented(web: Web) -> Reader:
    """Return an editor of a service to which every source is right."""
    service = web.app.extensions["merger"]
    web.app.extensions["merger"] = replace(service, recorder_of=lambda kind: Contented())
    return reader(web, "eve")


# --- which rows count -----------------------------------------------------------------------------


ROWS = [
    (Row(), True),
    (Row(role="screen"), True),  # as the form proposes it
    (Row(role="screen", name="x"), False),
    (Row(role="screen", kind="folder"), False),
    (Row(address="/srv"), False),
    (Row(credentials="a:b"), False),
]


def test_a_room_with_one_source_is_added_in_the_form_as_it_is_shown(web: Web) -> None:
    assert [row.is_empty for row, _ in ROWS] == [is_empty for _, is_empty in ROWS]
    eve, folder = reader(web, "eve"), str(web.site.folder)
    page = eve.get("/rooms/new")
    roles = re.findall(r'id="f-sources-(\d)-role".*?value="(\w+)" selected', page, re.DOTALL)
    assert roles == [("0", "speaker"), ("1", "screen")]
    camera = {"name": "camera", "role": "speaker", "kind": "folder", "address": folder}
    page = eve.done("/rooms/new", "/rooms/new", room(camera, {"role": "screen"}))
    assert "Room Aula added." in page and "cannot be recorded" not in page
    assert [one.name for one in stored(web).sources] == ["camera"]
    page = eve.done("/rooms/new", "/rooms/new", room({"role": "speaker"}, name="Empty"))
    assert "Room Empty added." in page and "has no source with the role speaker" in page


def test_another_source_has_a_role_that_is_free(web: Web) -> None:
    sent = {**room(CAMERA, {"role": "screen"}), "another": "1"}
    page = text_of(reader(web, "eve").send("/rooms/new", "/rooms/new", sent))
    chosen = re.search(r'id="f-sources-2-role".*?</select>', page, re.DOTALL)
    assert chosen and '<option value="board" selected>' in chosen[0]


# --- kinds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", ("Camera (RTSP)", "without a password")), ("ru", ("Камера (RTSP)", "без пароля"))],
)
def test_kinds_are_a_list_with_examples(web: Web, language: str, words: tuple[str, ...]) -> None:
    eve = reader(web, "eve", language)
    page = eve.get("/rooms/new")
    kinds = ["", "drive", "folder", "rtsp", "testpattern", "zoom"]
    list_of_kinds = re.search(r'id="f-sources-0-kind".*?</select>', page, re.DOTALL)
    assert list_of_kinds
    assert re.findall(r'<option value="(\w*)"', list_of_kinds[0]) == kinds
    for example in ("/srv/recordings", "rtsp://10.0.5.4/stream1", "zoom:123 4567 8901"):
        assert f"<code>{example}</code>" in page  # to read without scripts
        assert f' {example}"' in list_of_kinds[0]  # for those with scripts
    assert all(word in page for word in words)
    wrong = eve.wrong("/rooms/new", "/rooms/new", room({**CAMERA, "kind": "folder"}))
    hint = re.search(r'id="f-sources-0-address-hint">(.*?)<', wrong)
    assert hint and hint[1].endswith("/srv/recordings")


# --- mistakes -------------------------------------------------------------------------------------


def test_all_mistakes_are_said_at_once_in_the_order_of_the_page(web: Web) -> None:
    sent = room(
        {"name": "a/b", "role": "speaker", "kind": "rtsp", "address": "http://x", "credentials": "x"},
        {"name": "slides", "role": "speaker", "kind": "floder", "address": ""},
        {"role": "board"},
        {"name": "mic", "role": "audio", "kind": "folder", "address": "/srv", "credentials": "x"},
        name="504", zone="Moscow", chunk="long", late="2h", sound_source="ear",
        calendar_id="x" * 256,
    )  # fmt: skip
    page = reader(web, "eve").wrong("/rooms/new", "/rooms/new", sent)
    summary = re.search(r'<div class="summary".*?</div>', page, re.DOTALL)
    assert summary
    lines = re.findall(r'<li><a href="#f-([\w-]+)">(.*?)</a></li>', summary[0])
    wrong = [name for name, _ in lines]
    assert wrong == [
        "name", "zone", "chunk", "sources-0-name", "sources-0-address", "sources-0-credentials",
        "sources-1-role", "sources-1-kind", "sources-1-address", "sources-3-credentials",
        "sound_source", "calendar_id", "late",
    ]  # fmt: skip
    for name in wrong:
        assert error_at(page, name)
    labels = {name: re.sub("<.*?>", "", text).partition(": ")[0] for name, text in lines}
    assert labels["chunk"] == "Presentation check interval"
    assert labels["sources-0-address"] == "a/b, Address"
    assert labels["sources-1-kind"] == "slides, Kind"
    assert "did you mean 'folder'?" in error_at(page, "sources-1-kind")
    nameless = room({"kind": "folder"})
    page = reader(web, "eve", "ru").wrong("/rooms/new", "/rooms/new", nameless)
    assert "Новый источник 1, Адрес: " in re.sub("<.*?>", "", page)


# --- credentials ----------------------------------------------------------------------------------


def test_what_was_typed_as_credentials_outlives_a_mistake(web: Web) -> None:
    eve = contented(web)
    sent = room({**CAMERA, "credentials": SECRET}, chunk="long")
    page = eve.wrong("/rooms/new", "/rooms/new", sent)
    sealed = sealed_in(page)
    assert sealed and "s3cret" not in page and "You have entered them" in page
    again = room({**CAMERA, "sealed": sealed}, chunk="")
    page = eve.wrong("/rooms/new", "/rooms/new", again)  # and the next one
    for button in ("another", "test"):
        kept = text_of(eve.send("/rooms/new", "/rooms/new", {**again, button: "0"}))
        assert sealed_in(kept) and "s3cret" not in kept
    right = room({**CAMERA, "sealed": sealed_in(page)})
    eve.done("/rooms/new", "/rooms/new", right)
    assert stored(web).sources[0].credentials == SECRET


@pytest.mark.parametrize(
    ("fields", "kept"),
    [({"credentials": "user:new"}, "user:new"), ({"forgets": "on"}, None), ({}, SECRET)],
)
def test_what_was_typed_can_be_replaced_and_removed(
    web: Web, fields: dict[str, str], kept: str | None
) -> None:
    eve = contented(web)
    wrong = eve.wrong(
        "/rooms/new", "/rooms/new", room({**CAMERA, "credentials": SECRET}, chunk="?")
    )
    sent = room({**CAMERA, "sealed": sealed_in(wrong), **fields})
    eve.done("/rooms/new", "/rooms/new", sent)
    assert stored(web).sources[0].credentials == kept


def later(web: Web) -> str:
    web.site.clock += timedelta(hours=1, seconds=1)
    return "eve"


@pytest.mark.parametrize(
    "then",
    [lambda web: "ada", later, lambda web: "eve changed"],
    ids=["somebody else", "later", "changed"],
)
def test_nobody_else_and_not_for_ever(web: Web, then: Callable[[Web], str]) -> None:
    eve = contented(web)
    wrong = eve.wrong(
        "/rooms/new", "/rooms/new", room({**CAMERA, "credentials": SECRET}, chunk="?")
    )
    sealed = sealed_in(wrong)
    who, _, change = then(web).partition(" ")
    sent = room({**CAMERA, "sealed": sealed[:-9] + "AAAAAAAA=" if change else sealed})
    page = reader(web, who).wrong("/rooms/new", "/rooms/new", sent)
    assert "Enter this again" in error_at(page, "sources-0-credentials")
    assert len(store.stored_rooms(web.site.engine)) == 1 and "s3cret" not in page


def test_two_forms_hold_nothing_alike(web: Web) -> None:
    sent = room({**CAMERA, "credentials": SECRET}, chunk="?")
    eve = contented(web)
    pages = [sealed_in(eve.wrong("/rooms/new", "/rooms/new", sent)) for _ in range(2)]
    assert pages[0] != pages[1]


# --- testing a connection -------------------------------------------------------------------------


class Camera(Contented):
    """A recorder that shows a picture to whoever has the password. seen: what it was asked for."""

    def __init__(self) -> None:
        self.seen: list[SourceOfRoom] = []

    def probe(self, source: SourceOfRoom, now: object, within: timedelta) -> Probe:
        self.seen.append(source)
        if source.credentials != SECRET:
            why = Message("recorders.rtsp.credentials")
            raise Refused("credentials", "error.of_source", source=source.name, why=why)
        return Probe(Message("recorders.rtsp.sends_pictures"), JPEG)


@pytest.fixture
def camera(web: Web) -> Camera:
    made = Camera()
    service = web.app.extensions["merger"]
    web.app.extensions["merger"] = replace(service, recorder_of=lambda kind: made)
    return made


def outcome(asker: Reader, path: str, form: Mapping[str, str], n: int = 0) -> str:
    """Press the button of a source; return what is said beside it."""
    answer = asker.send(path, path, {**form, "test": str(n)})
    assert answer.status_code == 200
    found = re.search(rf'<div id="test-{n}" role="status">(.*?)</div>', text_of(answer), re.DOTALL)
    assert found and "s3cret" not in answer.text
    return found[1]


def test_a_source_is_tested_before_it_is_saved(web: Web, camera: Camera) -> None:
    eve = reader(web, "eve")
    said = outcome(eve, "/rooms/new", room({}, {**CAMERA, "credentials": SECRET}), 1)
    assert "It works:" in said and "the camera sends pictures" in said
    assert 'src="data:image/jpeg;base64,/9gg' in said
    said = outcome(eve, "/rooms/new", room({**CAMERA, "credentials": "user:other"}, zone="?"))
    assert "No media:" in said and "it refuses the login; correct the user" in said
    russian = reader(web, "eve", "ru")
    assert "Материала нет:" in outcome(russian, "/rooms/new", room(CAMERA))
    assert [one.name for one in store.stored_rooms(web.site.engine)] == ["504"]
    asked = camera.seen[0]
    assert (asked.room, asked.name, asked.address) == ("Aula", "camera", CAMERA["address"])


@pytest.mark.parametrize("missing", ["room", "name", "kind", "address"])
def test_what_is_missing_is_asked_for_first(web: Web, camera: Camera, missing: str) -> None:
    form = room({**CAMERA, missing: ""}) if missing != "room" else room(CAMERA, name="")
    said = outcome(reader(web, "eve"), "/rooms/new", form)
    assert "enter the name of the room" in said and not camera.seen


def test_stored_credentials_are_used_where_they_belong(web: Web, camera: Camera) -> None:
    """Whoever tests a source could have its password sent to a host of their own."""
    eve = reader(web, "eve")
    eve.done("/rooms/new", "/rooms/new", room({**CAMERA, "credentials": SECRET}))
    known = {**CAMERA, "is_known": "1", "has_credentials": "1"}
    for changes, works in (
        ({}, True), ({"address": "rtsp://10.0.5.4/two"}, True), ({"forgets": "on"}, False),
        ({"address": "rtsp://evil.example/one"}, False), ({"kind": "zoom"}, False),
    ):  # fmt: skip
        said = outcome(eve, "/rooms/2/edit", room({**known, **changes}))
        assert ("It works:" in said) == works, changes
        assert (camera.seen[-1].credentials == SECRET) == works
    assert stored(web).sources[0].credentials == SECRET


def test_a_number_that_no_source_has_is_no_test(web: Web, camera: Camera) -> None:
    for number in ("7", "x", "-1"):
        sent = {**room(CAMERA, chunk="?"), "test": number}
        assert reader(web, "eve").send("/rooms/new", "/rooms/new", sent).status_code == 422
    assert not camera.seen


# --- why nothing comes ----------------------------------------------------------------------------


def test_why_a_source_is_silent_is_said_to_editors(web: Web) -> None:
    now = web.site.clock
    why = Message("recorders.rtsp.credentials")
    write_sign(web.site.settings, 1, SourceSign(now, now - timedelta(minutes=18), why))
    write_sign(web.site.settings, 2, SourceSign(now - timedelta(hours=1)))
    page = reader(web, "eve").get("/rooms")
    assert "it refuses the login; correct the user and the password" in page
    assert "the recorder has ended or hangs" in page
    russian = reader(web, "eve", "ru").get("/rooms")
    assert "служба записи завершилась или зависла" in russian
    page = reader(web, "ann").get("/rooms")
    assert "No media since 14:42" in page and "refuses the login" not in page


def test_the_sources_of_a_room_alone_are_what_the_page_shows(web: Web) -> None:
    write_sign(web.site.settings, 1, SourceSign(web.site.clock, web.site.clock))
    eve = reader(web, "eve")
    part = eve.get("/rooms/1/sources").strip()
    assert part.startswith("<div") and 'data-state="1:silent "' in part
    assert "504; speaker: no media" in part  # what is read out when that changes
    squeezed = re.sub(r"\s+", " ", eve.get("/rooms"))
    assert re.sub(r"\s+", " ", part) in squeezed
    eve.get("/rooms/17/sources", status=404)
