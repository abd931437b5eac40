"""The slides of a recording: on its page, in the API, in searches, in the mail, and for whom."""

from __future__ import annotations

from datetime import timedelta

import pytest

from merger.db.engine import reading, writing
from merger.notifications.sender import _pictures_of
from merger.records import versions
from merger.records.processing.stage_results import save_renditions
from merger.timeline.clock import Span, utc
from merger.timeline.plan import Chapter
from models import Record, Slide, SlideWord
from tests.conftest import START, seconds
from tests.support.selection import BOTH_DATABASES
from tests.web.conftest import Web, problem, told
from tests.web.pages.reader import reader
from tests.web.pages.test_captions import change, put

pytestmark = BOTH_DATABASES


def chapter(at_s: float, until_s: float, title: str, words: str, picture: bytes = b"") -> Chapter:
    span = Span(utc(START + seconds(at_s)), utc(START + seconds(until_s)))
    return Chapter(span, title, f"{title} {words}", picture)


SLIDES = [
    chapter(0, 12.5, "Предел", "Ещё одно определение: x<y", b"\xff\xd8one"),
    chapter(12.5, 40, "Chain rule", "Let f & g be differentiable", b"\xff\xd8two"),
    chapter(40, 60, "", ""),
]


def make(web: Web, chapters: list[Chapter], version: int = 1) -> None:
    """A version of the first record has a video that shows some slides."""
    held = web.site.claim()
    assert held is not None
    save_renditions(web.site.lease(held), web.site.settings.data, [], {}, chapters)
    put(web, "merge", "a video", version)
    put(web, "chapters", "WEBVTT\n", version)
    change(web, Record, status="delivered", stage="deliver", delivered_version=version)


@pytest.fixture
def ann(web: Web) -> Web:
    """Ann has a record with three slides, and another one without any."""
    web.site.ask(users=("ann@example.org",))
    make(web, SLIDES)
    web.site.ask(from_s=600, until_s=660, users=("ann@example.org",))
    return web


@pytest.mark.parametrize(
    ("language", "heading", "untitled", "label"),
    [("en", "3 slides", "Slide 3", "Words on slides"), ("ru", "3 слайда", "Слайд 3", "Слова на слайдах")],
)  # fmt: skip
def test_the_page_lists_slides_that_lead_into_the_video(
    ann: Web, language: str, heading: str, untitled: str, label: str
) -> None:
    page = reader(ann, "ann", language).get("/records/1")
    where = "/api/v1/records/1"
    assert heading in page and untitled in page and label in page
    assert f'href="{where}/renditions/merge#t=12.5" data-t="12.5"' in page
    assert page.count(f'src="{where}/chapters/') == 2  # there is none of the last
    assert f'<track kind="chapters" src="{where}/renditions/chapters"' in page
    found = reader(ann, "ann", language).get("/records/1?words=DIFF+rule")
    assert "Chain rule" in found and "Предел" not in found
    assert f'src="{where}/chapters/1/picture"' in found


def test_the_api_tells_of_slides_to_those_who_see_the_record(ann: Web) -> None:
    chapters = told(ann.api("ann", "GET", "/records/1"))["chapters"]
    assert [(c["start_s"], c["title"], c["has_picture"]) for c in chapters] == [
        (0, "Предел", True), (12.5, "Chain rule", True), (40, "", False),
    ]  # fmt: skip
    assert chapters[1]["start"] == "2026-11-20T10:00:12.500000+03:00"
    assert chapters[1]["words"] == "Chain rule Let f & g be differentiable"
    got = ann.api("ann", "GET", "/records/1/chapters/1/picture")
    assert (got.data, got.mimetype) == (b"\xff\xd8two", "image/jpeg")
    problem(ann.api("ann", "GET", "/records/1/chapters/2/picture"), 404)
    problem(ann.api("bob", "GET", "/records/1/chapters/1/picture"), 404)
    assert ann.api(None, "GET", "/records/1/chapters/1/picture").status_code == 401


@pytest.mark.parametrize(
    ("who", "words", "is_found"),
    [
        ("ann", "rule", True),
        ("ann", "RULE differ", True),
        ("ann", "еще ПРЕДЕЛ", True),
        ("ann", "rule предел", False),  # not on one slide
        ("ann", "ule", False),  # no word begins so
        ("ann", "100%", False),
        ("ann", "& _", False),
        ("bob", "rule", False),
    ],
)
def test_words_on_slides_find_what_one_may_see(
    ann: Web, who: str, words: str, is_found: bool
) -> None:
    listed = told(ann.api(who, "GET", "/records", query_string={"words": words}))["records"]
    assert [record["id"] for record in listed] == [1] * is_found
    session = ann.signed_in(who)
    page = session.get("/records", query_string={"words": words}).text
    assert ('href="/records/1?words=' in page) == is_found


def test_slides_are_those_of_the_version_on_show(ann: Web) -> None:
    def begin(session):
        row = session.get_one(Record, 1)
        versions.begin_version(session, row)
        row.status, row.stage, row.run_after = "queued", "collect", web_clock
        row.watched_until = None

    web_clock = ann.site.clock - timedelta(days=1)
    writing(ann.site.engine, begin)
    held = ann.site.claim()
    assert held is not None and held.record == 1
    save_renditions(
        ann.site.lease(held), ann.site.settings.data, [], {}, [chapter(0, 60, "Other", "words")]
    )
    shown = told(ann.api("ann", "GET", "/records/1"))["chapters"]
    assert [c["title"] for c in shown] == ["Предел", "Chain rule", ""]
    assert told(ann.api("ann", "GET", "/records?words=other"))["records"] == []

    def delete_others(session):
        versions.delete_other_versions(session, session.get_one(Record, 1))

    writing(ann.site.engine, delete_others)
    with reading(ann.site.engine) as session:
        assert [slide.title for slide in session.query(Slide)] == ["Other"]
        assert {word.word for word in session.query(SlideWord)} == {"other", "words"}


def test_the_mail_shows_slides(ann: Web) -> None:
    assert _pictures_of(ann.site.engine, 1) == [b"\xff\xd8one", b"\xff\xd8two"]
    assert _pictures_of(ann.site.engine, 2) == []
