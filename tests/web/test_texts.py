"""The catalogues: complete, alike, and used; and what is made of them."""

from __future__ import annotations

import ast
import re
from fractions import Fraction
from pathlib import Path
from string import Formatter
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from merger import i18n
from merger.accounts.permissions import SCOPES
from merger.i18n import FORMS, LANGUAGES, Said, catalogue, choose_language, form, say, translated
from merger.records import requests
from merger.timeline.clock import Span
from merger.timeline.layout import LAYOUTS
from merger.timeline.plan import Chunk, Sources, Verdict, plan_edit
from merger.timeline.profiles import PROFILES
from merger.timeline.report import warnings_about
from models import ROLES, STAGES, STATUSES, USER_ROLES
from tests.conftest import START, seconds
from tests.site import Site
from tests.sweeps import for_each

ROOT = Path(i18n.__file__).parents[1]
WEB = ROOT / "merger" / "web"
SHIPPED = [name for name in PROFILES if not name.startswith("tiny")]
CATALOGUES = {language: catalogue(language) for language in LANGUAGES}
CODE = "\n".join(path.read_text() for path in (*WEB.glob("*.py"), *WEB.glob("templates/*.html")))
# t("status." ~ x), named("hint", x), and so on: any key below these.
BELOW = {found.rstrip(".") for found in re.findall(r'\bt\(\s*"([\w.]+\.)"\s*~', CODE)} | set(
    re.findall(r'\bnamed\(\s*"([\w.]+)"', CODE)
)
BELOW |= {
    "mail",
    "weekday",
    "month",
    "size",
    "said",
    "wrong",
    "people.roles",
    "role",
    "layout",
    "profile",
}
LITERAL = set(re.findall(r'\bt\(\s*"([\w.]+\w)"\s*[,)]', CODE))


def placeholders(text: i18n.Text) -> set[str]:
    forms = [text] if isinstance(text, str) else list(text.values())
    return {name for one in forms for _, name, _, _ in Formatter().parse(one) if name}


def test_every_language_has_the_same_keys() -> None:
    assert CATALOGUES["en"].keys() == CATALOGUES["ru"].keys()


@for_each("key", CATALOGUES["en"])
def test_a_text_says_the_same_in_every_language(key: str) -> None:
    english, russian = (CATALOGUES[language][key] for language in ("en", "ru"))
    assert placeholders(english) == placeholders(russian)
    assert isinstance(english, str) == isinstance(russian, str)
    for text in (english, russian):
        assert text and all(text.values() if not isinstance(text, str) else [text])


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_counts_has_all_forms_of_its_language(language: str) -> None:
    wanted = {form(language, n) for n in range(120)}
    for text in CATALOGUES[language].values():
        if not isinstance(text, str):
            assert wanted <= text.keys() <= set(FORMS)


def test_every_key_that_is_asked_for_exists() -> None:
    assert len(LITERAL) > 100
    assert CATALOGUES["en"].keys() >= LITERAL
    wrong = {f"wrong.{key}" for key in re.findall(r'(?<![.\w])wrong\(\s*"(\w+)"', CODE)}
    assert wrong and CATALOGUES["en"].keys() >= wrong


def test_every_key_is_used() -> None:
    quoted = set(re.findall(r'"([\w.]+)"', CODE))
    unused = [
        key
        for key in CATALOGUES["en"]
        if key not in quoted and not any(key.startswith(f"{below}.") for below in BELOW)
    ]
    assert unused == []
    used = {f"wrong.{word}" for word in quoted} | {"wrong.key_name", "wrong.key_scopes"}
    assert [key for key in CATALOGUES["en"] if key.startswith("wrong.") and key not in used] == []


@pytest.mark.parametrize(
    ("below", "words"),
    [
        ("status", STATUSES),
        ("state.running", STAGES),
        ("role", ROLES),
        ("people.roles", USER_ROLES),
        ("keys.scope", SCOPES),
        ("layout", LAYOUTS),
        ("profile", SHIPPED),
        ("verdict", get_args(Verdict)),
        ("weekday", map(str, range(1, 8))),
        ("month", map(str, range(1, 13))),
    ],
)
def test_every_word_of_the_core_has_a_text(below: str, words: list[str]) -> None:
    assert {f"{below}.{word}" for word in words} <= CATALOGUES["en"].keys()


@pytest.mark.parametrize(
    ("count", "english", "russian"),
    [
        (0, "0 warnings", "0 предупреждений"),
        (1, "1 warning", "1 предупреждение"),
        (2, "2 warnings", "2 предупреждения"),
        (5, "5 warnings", "5 предупреждений"),
        (11, "11 warnings", "11 предупреждений"),
        (12, "12 warnings", "12 предупреждений"),
        (21, "21 warnings", "21 предупреждение"),
        (111, "111 warnings", "111 предупреждений"),
        (122, "122 warnings", "122 предупреждения"),
    ],
)
def test_things_are_counted(count: int, english: str, russian: str) -> None:
    assert say("en", "record.warnings", count=count) == english
    assert say("ru", "record.warnings", count=count) == russian


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ([], "en"),
        ([("ru-RU", 1), ("en", 0.5)], "ru"),
        ([("de", 1), ("ru", 0.5)], "ru"),
        ([("de", 1)], "en"),
        ([("RU", 1)], "ru"),
        ([("ru", 0)], "en"),
        ([("*", 1)], "en"),
    ],
)
def test_a_reader_gets_their_language(wanted: list[tuple[str, float]], language: str) -> None:
    assert choose_language(wanted) == language


# --- what the core says ---------------------------------------------------------------------------


def test_what_the_core_says_is_recognised() -> None:
    moscow = ZoneInfo("Europe/Moscow")
    sources = Sources("camera", "slides")
    span = Span(START, START + seconds(60))
    chunk = Chunk(span, False, "missing", Fraction(0), 0)
    nothing = plan_edit(span, Fraction(25), "side_by_side", sources, [], [chunk])
    said = warnings_about(nothing, moscow, sources, "side_by_side")
    assert len(said) == 4
    for sentence in said:
        assert [piece.language for piece in translated("ru", sentence)] == ["ru"]
        assert translated("en", sentence) == (Said(sentence, "en"),)
    russian = Said("camera: нет картинки с 10:00:00 до 10:01:00", "ru")
    assert translated("ru", said[0]) == (russian,)


def test_what_is_not_known_is_said_as_it_is() -> None:
    assert translated("ru", "the moon is full; it is") == (Said("the moon is full; it is", "en"),)
    russian, english = Said("записи 3 нет", "ru"), Said("the moon is full", "en")
    assert translated("ru", "there is no record 3; the moon is full") == (russian, english)


def test_what_is_very_long_is_said_as_it_is() -> None:
    """Somebody typed it; nothing is looked for in there."""
    repeated = "x has no pictures from a to b" * 40
    assert translated("ru", repeated) == (Said(repeated, "en"),)
    known = Said("записи 3 нет", "ru")
    assert translated("ru", f"there is no record 3; {repeated}") == (known, Said(repeated, "en"))


def test_a_reason_is_said_in_the_same_language() -> None:
    outage = "camera: no media from 10:00:00 to 10:00:20 (20 s): it does not answer"
    (said,) = translated("ru", outage)
    assert said == Said("camera: нет материала с 10:00:00 до 10:00:20 (20 с): не отвечает", "ru")
    elsewhere = "it sends us elsewhere, to 10.0.5.4:554: correct its address"
    (said,) = translated("ru", outage.replace("it does not answer", elsewhere))
    assert said.text.endswith(
        "отправляет нас на другой адрес, 10.0.5.4:554: исправьте адрес источника"
    )
    clock = outage.replace("it does not answer", "this machine's own clock was set by -60 s")
    (said,) = translated("ru", clock)
    assert said.text.endswith("(20 с): часы этой машины перевели на -60 с")
    (said,) = translated("ru", "board is not recorded for now: the moon is full")
    assert said == Said("board пока не записывается: the moon is full", "ru")


@pytest.mark.parametrize("reason", ["a record lasts at most 24 hours", "its record was removed"])
def test_why_an_offer_has_no_record_is_said(reason: str) -> None:
    (said,) = translated("ru", reason)
    assert said.language == "ru"


def test_names_may_hold_the_words_of_a_text() -> None:
    sentence = "a has no pictures from b to c has no pictures from 10:00:00 to 10:01:00"
    (said,) = translated("ru", sentence)
    assert said.language == "ru" and said.text.startswith("a: нет картинки с b до c has")
    ending = "asked for again: a, b, c, d, 10:00-11:00"
    assert translated("ru", ending) == (Said("запрошено заново: a, b, c, d, 10:00-11:00", "ru"),)


def test_every_kind_of_event_has_a_text() -> None:
    """Whoever tells something of a record gives its kind; see what is told."""
    kinds = set()
    for path in (*ROOT.glob("merger/**/*.py"), *ROOT.glob("recorders/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _name(node.func) in ("tell", "_tell"):
                given = [one.value for one in node.args if isinstance(one, ast.Constant)]
                words = {one for one in given if isinstance(one, str) and one.isidentifier()}
                kinds |= {f"event.{word}" for word in words}
    assert {"event.asked", "event.offered", "event.silent"} <= kinds <= CATALOGUES["en"].keys()


def _name(called: ast.expr) -> str:
    return called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")


def test_the_history_of_a_failed_record_is_recognised(site: Site) -> None:
    site.add_room()
    site.ask(users=("ann@example.org",))
    assert site.work() == "deferred"
    site.clock += seconds(2 * 86400)
    assert site.work() == "failed"
    requests.retry(site.engine, 1, site.clock)
    requests.cancel(site.engine, 1, site.clock)
    for event in site.details()["events"]:
        for piece in translated("ru", event["text"]):
            assert piece.language == "ru", event["text"]
        assert i18n.has(f"event.{event['kind']}")
