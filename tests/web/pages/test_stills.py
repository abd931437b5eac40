"""What rooms show when nobody presents: asked on a page, and by the API."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from merger.db.engine import writing
from merger.web.api.schemas import examples
from models import Record, Still, StillSighting
from tests.support.databases import ON_SQLITE
from tests.web.api.test_examples import differences, shape
from tests.web.conftest import Web, problem, told
from tests.web.pages.reader import reader

pytestmark = ON_SQLITE


@pytest.fixture
def asked(web: Web) -> Web:
    """The screen of room 504 is asked about; it was seen in a recording that is delivered."""
    web.site.ask(users=("ann@example.org",))

    def add(session: Session) -> None:
        row = session.get_one(Record, 1)
        row.status, row.stage, row.delivered_version = "delivered", "deliver", 1
        row.delivered_at = web.site.clock
        still = Still(
            id=1, room_id=row.room_id, rough=b"", picture=b"\xff\xd8desktop", differed=b"",
            compared=3, last_at=row.start_at, asked_at=web.site.clock,
        )  # fmt: skip
        session.add(still)
        session.flush()
        sighting = StillSighting(
            still_id=1, record_id=1, seconds=840, at_start=True, at_end=False,
            decided="presentation",
        )  # fmt: skip
        session.add(sighting)

    writing(web.site.engine, add)
    return web


@pytest.mark.parametrize(
    ("language", "count", "question", "button", "again"),
    [
        ("en", "1 question about", "what room 504 shows when nobody presents?", "Empty desktop", "Make it again"),
        ("ru", "1 вопрос о том", "экран аудитории 504, когда никто не выступает?", "Пустой рабочий стол", "Сделать её заново"),
    ],
)  # fmt: skip
def test_an_editor_answers_has_recordings_remade_and_undoes(
    asked: Web, language: str, count: str, question: str, button: str, again: str
) -> None:
    eve = reader(asked, "eve", language)
    assert count in eve.get("/rooms")
    page = eve.get("/stills")
    assert question in page and button in page and again not in page
    assert 'src="/api/v1/stills/1/picture"' in page
    page = eve.done("/stills", "/stills/1", {"answer": "desktop"})
    assert again in page and "eve@example.org" in page
    assert count not in eve.get("/rooms")
    eve.done("/stills", "/stills/1/remake")
    assert asked.site.row(1).status == "queued" and asked.site.row(1).version == 2
    assert "remerged" in asked.site.events()
    page = eve.done("/stills", "/stills/1", {"answer": "undo"})
    assert question in page
    assert eve.send("/stills", "/stills/1", {"answer": "cat"}).status_code == 422


def test_others_see_nothing_of_it(asked: Web) -> None:
    ann = reader(asked, "ann")
    assert "/stills" not in ann.get("/rooms")
    ann.get("/stills", 403)


def test_by_the_api(asked: Web) -> None:
    (listed,) = told(asked.call("eve", "GET", "/api/v1/stills"))["stills"]
    assert differences(shape(examples.STILL), shape(listed)) == []
    where = "/api/v1/stills/1"
    picture = asked.call("eve", "GET", f"{where}/picture")
    assert picture.data == b"\xff\xd8desktop" and picture.mimetype == "image/jpeg"
    answered = told(asked.call("eve", "PUT", f"{where}/answer", json=examples.STILL_ANSWER))
    assert (answered["answer"], answered["to_remake"]) == ("desktop", 1)
    other = asked.call("eve", "PUT", f"{where}/answer", json={"answer": "lock"})
    assert problem(other, 409)["code"] == "answer"
    assert asked.call("eve", "PUT", f"{where}/answer", json={"answer": "cat"}).status_code == 422
    assert told(asked.call("eve", "POST", f"{where}/remake")) == {"records": [1], "refused": []}
    assert asked.call("eve", "DELETE", f"{where}/answer").status_code == 204
    assert told(asked.call("eve", "GET", where))["answer"] is None
    assert asked.call("eve", "GET", "/api/v1/stills/2").status_code == 404
    assert timedelta(seconds=listed["seconds"]) == timedelta(minutes=14)


def test_the_history_says_why_there_is_another_version(asked: Web) -> None:
    for method, path, body in (("PUT", "answer", {"answer": "lock"}), ("POST", "remake", None)):
        asked.call("eve", method, f"/api/v1/stills/1/{path}", json=body)
    with_event = reader(asked, "eve").get("/records/1")
    assert "eve@example.org had it made again" in with_event
