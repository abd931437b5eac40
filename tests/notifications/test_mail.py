"""A message as a mail: its words, its headers, its pictures; and how calls are signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from merger.i18n import Message, document, say, to_json
from merger.notifications.mail import Letter, compose, message_id, one_line, spread_evenly
from merger.notifications.smtp import Server, server_of
from merger.notifications.webhook import body_of, headers_of
from merger.records.outbox import what_changed

pytestmark = pytest.mark.quick

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
FACTS: dict[str, Any] = {
    "record": 7, "version": 1, "name": "Алгебра & logic", "room": "504", "zone": "Europe/Moscow",
    "start": "2026-11-20T07:00:00+00:00", "end": "2026-11-20T08:20:00+00:00", "course_code": None,
    "links": [
        {"destination": "drive", "kind": "merge", "link": "https://drive.google.com/file/d/1/view"},
        {"destination": "folder", "kind": "merge", "link": "/srv/merged/a.mp4"},
        {"destination": "calendar", "kind": "news", "link": "https://calendar.google.com/x"},
    ],
    "warnings": ["speaker has no pictures from 10:00:30 to 10:01:00"],
    "warning_messages": [
        {
            "key": "timeline.gap",
            "params": {"source": "speaker", "start": "10:00:30", "end": "10:01:00"},
        }
    ],
    "error": None,
}  # fmt: skip
LETTER = Letter(
    "abc123" * 10, "ready", "lecturer@example.edu", FACTS, "en", "lectures@example.edu",
    web="https://lectures.example.edu",
)  # fmt: skip


def read(letter: Letter) -> EmailMessage:
    """Return a letter as it arrives."""
    mail = message_from_bytes(compose(letter, NOW).as_bytes(), policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def words(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def test_a_video_is_ready() -> None:
    mail = read(LETTER)
    assert mail["Subject"] == "Your recording is ready: Алгебра & logic, 2026-11-20 10:00"
    assert mail["To"] == "lecturer@example.edu"
    assert mail["From"].addresses[0].addr_spec == "lectures@example.edu"
    assert mail["Message-ID"] == message_id(LETTER.identity, LETTER.sender)
    assert mail["Auto-Submitted"] == "auto-generated"
    text, page = words(mail, "plain"), words(mail, "html")
    for part in (text, page):
        assert "2026-11-20, 10:00" in part and "Europe/Moscow" in part
        assert "https://drive.google.com/file/d/1/view" in part and "merged" not in part
        assert "https://lectures.example.edu/records/7" in part and "calendar.google" not in part
        assert "no pictures from 10:00:30" in part
    assert "Алгебра & logic" in text and "Алгебра &amp; logic" in page


@pytest.mark.parametrize("language", ["en", "ru"])
def test_folders_of_the_server_are_in_no_mail(language: str) -> None:
    """Where nobody could follow a link, the mail says whom to ask."""
    links = [link for link in FACTS["links"] if link["destination"] == "folder"]
    for kind, changes, web, asks in (
        ("ready", {}, "", True),
        ("ready", {}, LETTER.web, False),
        ("ready", {"links": FACTS["links"]}, "", False),
        ("ready", {"warning_messages": [], "warnings": ["/srv/lectures/a.mp4: damaged"]}, "", True),
        ("failed", {"error": {"code": "x", "message": "there is no folder /mnt/a/b"}}, "", False),
        ("silent", {"text": "camera: /srv/x/y is full"}, "", False),
    ):
        facts = {**FACTS, "links": links, **changes}
        mail = read(replace(LETTER, kind=kind, facts=facts, language=language, web=web))
        for part in ("plain", "html"):
            text = words(mail, part)
            assert not re.search(r"/(srv|mnt)/|/merged", text), text
            assert (say(language, "mail.ask_administrator") in text) == asks, (kind, changes)


@pytest.mark.parametrize(
    ("changes", "language", "subject", "said"),
    [
        ({"version": 2}, "en", "New version of your recording", "A new version of your recording is ready."),
        ({}, "ru", "Ваша запись готова", "нет картинки с 10:00:30"),
        # The sentence of a row that is older than keys.
        ({"warning_messages": []}, "ru", "Ваша запись готова", "no pictures from 10:00:30"),
        ({"kind": "failed", "error": {"code": "event_off", **document(Message("calendar.gone"), "message")}},
         "ru", "Не удалось", "мероприятия больше нет"),
        ({"error": {"code": "speaker", "message": "room '504' has no source with the role speaker;"
           " add one to the room"}, "kind": "failed"}, "en", "Your recording failed", "Ask an editor"),
        ({"error": {"code": "no_such", "message": "odd"}, "kind": "failed"}, "ru",
         "Не удалось", "администратор"),
        ({"kind": "silent", "text": "camera is silent"}, "en", "No media before", "camera is silent"),
    ],
)  # fmt: skip
def test_the_other_kinds_and_languages(
    changes: dict[str, Any], language: str, subject: str, said: str
) -> None:
    facts = {**FACTS, **changes}
    kind = str(facts.pop("kind", "ready"))
    mail = read(replace(LETTER, kind=kind, facts=facts, language=language))
    assert mail["Subject"].startswith(subject) or subject in mail["Subject"]
    assert mail["Content-Language"] == language
    for part in ("plain", "html"):
        assert said in words(mail, part)


@pytest.mark.parametrize(
    ("kind", "language", "subject", "said", "page"),
    [
        ("password", "en", "Set a new password", "Your password stays as it is", "/login/password"),
        ("password", "ru", "Задайте новый пароль", "Пароль останется прежним", "/login/password"),
        ("invited", "en", "Set your password", "within three days", "/login/password"),
        ("invited", "ru", "Задайте пароль", "в течение трёх дней", "/login/password"),
        ("confirm", "en", "Confirm your email address", "You won't get another", "/confirm"),
        ("confirm", "ru", "Подтвердите адрес", "Других писем не будет", "/confirm"),
    ],
)
def test_a_link_for_its_reader_alone(
    kind: str, language: str, subject: str, said: str, page: str
) -> None:
    mail = read(replace(LETTER, kind=kind, facts={}, language=language, token="a-b_c"))
    assert mail["Subject"].startswith(subject) and mail["Content-Language"] == language
    for part in ("plain", "html"):
        text = html.unescape(words(mail, part))
        assert said in text and f"https://lectures.example.edu{page}?token=a-b_c" in text
        assert kind == "confirm" or "lecturer@example.edu" in text


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("kind", ["ready", "failed", "silent"])
def test_each_mail_says_where_to_change_which_come(kind: str, language: str) -> None:
    """To those who may: who is asked for by others, and has no account, cannot sign in there."""
    error = {"code": "event_off", **document(Message("calendar.gone"), "message")}
    facts = {**FACTS, "error": error if kind == "failed" else None, "text": "x"}
    letter = replace(LETTER, kind=kind, facts=facts, language=language)
    for has_account, web in ((True, LETTER.web), (False, LETTER.web), (True, "")):
        mail = read(replace(letter, has_account=has_account, web=web))
        for part in ("plain", "html"):
            is_said = "https://lectures.example.edu/account" in words(mail, part)
            assert is_said == (has_account and bool(web))


@pytest.mark.parametrize(
    "name",
    ["a\r\nBcc: everybody@example.edu", "a\nX: y", "a\x00b", "a\u2028Bcc: x", "\u202egnp", "x" * 900,
     "=?utf-8?q?Bcc?=", "name, with; <odd@signs>", "🎓 " * 200],
)  # fmt: skip
def test_a_name_cannot_become_a_header(name: str) -> None:
    facts = {**FACTS, "name": name, "room": name}
    for kind in ("ready", "silent"):
        raw = compose(replace(LETTER, facts={**facts, "text": name}, kind=kind), NOW).as_bytes()
        mail = message_from_bytes(raw, policy=policy.default)
        assert sorted(mail.keys()) == sorted(read(LETTER).keys())
        assert mail["To"] == "lecturer@example.edu" and mail["Bcc"] is None
        assert "\n" not in mail["Subject"] and len(mail["Subject"]) < 200
        assert max(map(len, raw.splitlines())) <= 998


def test_all_mails_may_go_to_one_address() -> None:
    mail = read(replace(LETTER, redirect="me@example.edu"))
    assert mail["To"] == "me@example.edu"
    assert mail["Subject"].startswith("[lecturer@example.edu] ")
    assert "(lecturer@example.edu)" in words(mail, "plain")


def test_pictures_are_inside() -> None:
    mail = read(replace(LETTER, pictures=[bytes([0xFF, 0xD8, n]) for n in range(9)]))
    page = words(mail, "html")
    images = [part for part in mail.walk() if part.get_content_type() == "image/jpeg"]
    assert len(images) == 6 == page.count("<img")
    for image in images:
        assert f"cid:{image['Content-ID'][1:-1]}" in page
        assert image.get_content_disposition() == "inline"


@pytest.mark.parametrize(
    ("sender", "domain"),
    [
        ("lectures@lectures.cs.some-university.edu.ru", "lectures.cs.some-university.edu.ru"),
        (f"lectures@{'a' * 60}.{'b' * 60}.edu", f"{'a' * 60}.{'b' * 60}.edu"),
        ("lectures@университет.рф", "xn--b1agajc0ayikbb.xn--p1ai"),
    ],
)
def test_a_senders_domain_that_is_long_or_not_ascii(sender: str, domain: str) -> None:
    letter = replace(LETTER, sender=sender, pictures=[b"\xff\xd8", b"\xff\xd9"])
    sent = compose(letter, NOW).as_bytes()
    ids = re.findall(rb"^Content-ID: <(\S+)>\r$", sent, re.MULTILINE)
    page = words(read(letter), "html")
    assert len(ids) == 2 and [one.decode() for one in ids] == re.findall('"cid:([^"]+)"', page)
    [known] = re.findall(rb"^Message-ID:\s+(<\S+>)\r$", sent, re.MULTILINE)
    assert known.decode() == f"<{letter.identity[:40]}@{domain}>"
    assert read(letter)["From"].addresses[0].addr_spec == f"lectures@{domain}"


def test_pictures_are_of_the_whole_record() -> None:
    assert spread_evenly([bytes([n]) for n in range(3)]) == [b"\0", b"\1", b"\2"]
    assert [p[0] for p in spread_evenly([bytes([n]) for n in range(50)])] == [0, 9, 19, 29, 39, 49]


def test_a_message_id_is_the_same_each_time() -> None:
    assert compose(LETTER, NOW)["Message-ID"] == compose(LETTER, NOW)["Message-ID"]
    assert message_id("x" * 64, "a@example.edu") == f"<{'x' * 40}@example.edu>"


def test_one_line() -> None:
    assert one_line(" a \r\n b\tc ") == "a b c"
    assert len(one_line("x" * 500)) == 150


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("smtp://mail.example.edu", Server("mail.example.edu", 587, False)),
        ("smtps://u%40x@mail.example.edu", Server("mail.example.edu", 465, True, "u@x", "hush")),
        ("smtp://u@127.0.0.1:25", Server("127.0.0.1", 25, False, "u", "hush")),
    ],
)
def test_the_address_of_a_server(address: str, server: Server) -> None:
    assert server_of(address, server.password) == server
    assert "hush" not in repr(server)


def test_a_call_has_the_standard_form_and_that_of_before() -> None:
    web = "https://lectures.example.edu"
    body = json.loads(body_of("event", "ready", FACTS, NOW, web, old=False))
    data = {**FACTS, "page": "https://lectures.example.edu/records/7"}
    standard = {"type": "record.ready", "timestamp": "2026-11-20T09:00:00+00:00", "data": data}
    assert body == standard
    body = json.loads(body_of("event", "ready", FACTS, NOW, "", old=True))
    assert body["data"]["page"] is None and body["data"] == body["record"]
    assert body.keys() == {"id", "type", "timestamp", "data", "record"} and body["id"] == "event"


def test_programs_find_sentences_where_they_were() -> None:
    message = Message("notifications.too_old")
    body = json.loads(
        body_of("e", "silent", {**FACTS, "text": document(message)}, NOW, "", old=True)
    )
    assert body["record"]["text"] == str(message)
    assert body["record"]["text_message"] == {"key": "notifications.too_old", "params": {}}
    # A row that is older than keys holds a sentence.
    body = json.loads(body_of("e", "silent", {**FACTS, "text": "silent"}, NOW, "", old=True))
    assert body["record"]["text"] == "silent"


@pytest.mark.parametrize(
    ("secret", "key"),
    [("hush", b"hush"), ("секрет", "секрет".encode()), ("whsec_aHVzaA==", b"hush")],
)
def test_how_a_call_is_signed(secret: str, key: bytes) -> None:
    body = body_of("event", "ready", FACTS, NOW, "", old=True)
    headers = headers_of("event", secret, body, NOW, old=True)
    assert (
        headers["webhook-id"] == "event"
        and headers["webhook-timestamp"] == f"{NOW.timestamp():.0f}"
    )
    signed = f"event.{NOW.timestamp():.0f}.".encode() + body
    code = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{code}"
    # As before: of the time and the body, with the secret as it is written.
    stamp, old = (part.partition("=")[2] for part in headers["X-Merger-Signature"].split(","))
    assert old == hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert int(stamp) == NOW.timestamp()
    new = headers_of("event", secret, body, NOW, old=False)
    assert {**headers, **new} == headers and headers.keys() - new.keys() == {
        "X-Merger-Event", "X-Merger-Signature",
    }  # fmt: skip


# --- what a new version changes ------------------------------------------------------------------

OF_FIRST = {
    "name": "Algebra", "layout": "side_by_side", "profile": "720p", "zone": "Europe/Moscow",
    "start": "2026-11-20T07:00:00+00:00", "end": "2026-11-20T08:00:00+00:00",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        ({}, []),
        ({"end": "2026-11-20T07:00:30+00:00"}, ["shorter: 10:00:00–10:00:30"]),
        ({"end": "2026-11-20T09:00:00+00:00"}, ["longer: 10:00:00–12:00:00"]),
        ({"start": "2026-11-20T06:00:00+00:00", "end": "2026-11-20T07:00:00+00:00"},
         ["at another time: 09:00:00–10:00:00"]),
        ({"layout": "speaker_only", "name": "B"},
         ["now with the layout “Speaker only”", "renamed: B"]),
        ({"profile": "540p"}, ["now in the quality “540p, for slow connections”"]),
    ],
)  # fmt: skip
def test_what_a_new_version_changes(change: dict[str, str], texts: list[str]) -> None:
    assert [str(m) for m in what_changed(OF_FIRST, {**OF_FIRST, **change})] == texts


def test_what_old_mails_did_not_hold_has_not_changed() -> None:
    before = {key: value for key, value in OF_FIRST.items() if key not in ("layout", "profile")}
    assert what_changed(before, {**OF_FIRST, "layout": "speaker_only"}) == []


def test_a_mail_of_a_new_version_says_what_is_new() -> None:
    changes = what_changed(OF_FIRST, {**OF_FIRST, "end": "2026-11-20T07:00:30+00:00"})
    facts = {**FACTS, "version": 2, "changes": [to_json(change) for change in changes]}
    mail = read(replace(LETTER, facts=facts))
    for kind in ("plain", "html"):
        assert "What is new:" in words(mail, kind)
        assert "shorter: 10:00:00–10:00:30" in words(mail, kind)
    assert "запись стала короче" in words(
        read(replace(LETTER, facts=facts, language="ru")), "plain"
    )
