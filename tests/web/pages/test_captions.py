"""The chat and the transcript beside the player: tracks, files to download, and for whom they are."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from sqlalchemy import update

from merger.db.engine import writing
from merger.timeline.captions import Transcript, chat_captions
from merger.timeline.clock import Span, utc
from models import Record, Rendition
from tests.conftest import START, seconds
from tests.support.databases import ON_SQLITE
from tests.web.conftest import Web, problem, told
from tests.web.pages.reader import reader

pytestmark = ON_SQLITE

HOSTILE = b"00:00:05\tAnn:\t<script>alert(1)</script> --> </track>\n"


def chat() -> str:
    span = Span(utc(START), utc(START + seconds(60)))
    text = chat_captions([(Transcript("chat.txt", "chat", span.start), HOSTILE)], span)
    assert text is not None
    return text


def put(web: Web, kind: str, content: str, version: int = 1) -> None:
    """A file of a version of the first record is ready."""
    data = web.site.settings.data
    path = data / f"records/1/attempt-{version}/{kind}.{'mp4' if kind == 'merge' else 'vtt'}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    row = Rendition(
        record_id=1, version=version, kind=kind, path=str(path.relative_to(data)), frames=0,
        size_bytes=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        width=0, height=0, made_at=web.site.clock,
    )  # fmt: skip
    writing(web.site.engine, lambda session: session.add(row))


def change(web: Web, table: Any, **values: Any) -> None:
    writing(web.site.engine, lambda session: session.execute(update(table).values(**values)))


@pytest.fixture
def ann(web: Web) -> Web:
    """Ann has a record with a chat and a transcript."""
    web.site.ask(users=("ann@example.org",))
    put(web, "merge", "a video")
    put(web, "transcript", "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nGood morning\n")
    put(web, "chat", chat())
    change(web, Record, status="delivered", stage="deliver", delivered_version=1)
    return web


@pytest.mark.parametrize(
    ("language", "transcript", "chat", "link"),
    [
        ("en", "Transcript", "Chat", "Download the chat (WebVTT, "),
        ("ru", "Расшифровка", "Чат", "Скачать чат (WebVTT, "),
    ],
)
def test_the_player_has_tracks(
    ann: Web, language: str, transcript: str, chat: str, link: str
) -> None:
    page = reader(ann, "ann", language).get("/records/1")
    where = "/api/v1/records/1/renditions"
    track = f'<track kind="captions" src="{where}/transcript" srclang="und" label="{transcript}">'
    assert track in page
    assert f'<track kind="subtitles" src="{where}/chat" srclang="und" label="{chat}">' in page
    assert page.index(track) < page.index("</video>")
    assert page.count("<track") == 2 and link in page
    assert f'href="{where}/chat?download=true"' in page


def test_captions_are_text_for_those_who_see_the_record(ann: Web) -> None:
    where = "/records/1/renditions/chat"
    got = ann.api("ann", "GET", where)
    assert got.text == chat() and "<script" not in got.text
    assert got.content_type == "text/vtt; charset=utf-8"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert "script-src 'self'" in got.headers["Content-Security-Policy"]
    saved = ann.api("ann", "GET", f"{where}?download=true")
    assert saved.headers["Content-Disposition"].startswith("attachment")
    assert "_chat.vtt" in saved.headers["Content-Disposition"]
    assert ann.api("bob", "GET", where).status_code == 404
    assert ann.api(None, "GET", where).status_code == 401
    problem(ann.api("ann", "GET", "/records/1/renditions/subtitles"), 422)


def test_captions_are_those_of_the_version_on_show(ann: Web) -> None:
    """While another version waits to be delivered, people watch the last one, with its times."""
    put(ann, "chat", "WEBVTT\n", 2)
    change(ann, Record, version=2, status="queued")
    assert ann.api("ann", "GET", "/records/1/renditions/chat").text == chat()
    listed = told(ann.api("ann", "GET", "/records/1"))["captions"]
    assert [(one["kind"], one["version"]) for one in listed] == [
        ("transcript", 1), ("chat", 1), ("chat", 2),
    ]  # fmt: skip
    assert reader(ann, "ann").get("/records/1").count("<track") == 2


def test_what_is_no_longer_kept_is_no_track(ann: Web) -> None:
    change(ann, Rendition, path=None)
    assert "<track" not in reader(ann, "ann").get("/records/1")
    problem(ann.api("ann", "GET", "/records/1/renditions/chat"), 404)
