"""The catalogues: complete, alike in every language, and used; a language is one file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
from babel.core import Locale

from merger import i18n
from merger.accounts.permissions import SCOPES
from merger.config import load
from merger.errors import Refused
from merger.i18n import FORMS, SOURCE, Message, catalogue, choose_language, languages, render, say
from merger.timeline.layout import LAYOUTS
from merger.timeline.plan import Verdict
from merger.timeline.profiles import PROFILES
from models import ROLES, STAGES, STATUSES, USER_ROLES
from tests.texts.polish import polish_added

pytestmark = pytest.mark.quick

ROOT = Path(i18n.__file__).parents[1]
WEB = ROOT / "merger" / "web"
SHIPPED = [name for name in PROFILES if not name.startswith("tiny")]
OTHERS = [language for language in languages() if language != SOURCE]
CODE = "\n".join(
    path.read_text() for path in (*WEB.glob("**/*.py"), *WEB.glob("templates/**/*.html"))
)


def placeholders(text: i18n.Text) -> set[str]:
    forms = [text] if isinstance(text, str) else list(text.values())
    return {name for form in forms for _, name, _, _ in Formatter().parse(form) if name}


def counted(language: str) -> Iterator[tuple[str, i18n.Text]]:
    return ((key, text) for key, text in catalogue(language).items() if not isinstance(text, str))


# --- what a language needs ------------------------------------------------------------------------


@pytest.mark.parametrize("language", OTHERS)
def test_what_a_language_lacks(language: str) -> None:
    lacking = sorted(catalogue(SOURCE).keys() - catalogue(language).keys())
    assert lacking == [], f"{language}.yaml lacks {len(lacking)} texts of {SOURCE}.yaml"


@pytest.mark.parametrize("language", OTHERS)
def test_what_a_language_has_for_nothing(language: str) -> None:
    assert sorted(catalogue(language).keys() - catalogue(SOURCE).keys()) == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_text_has_the_placeholders_of_the_english_one(language: str) -> None:
    wrong = []
    for key, text in catalogue(language).items():
        english = catalogue(SOURCE).get(key, text)
        if placeholders(text) != placeholders(english):
            wrong.append(f"{key}: {placeholders(text) ^ placeholders(english)}")
        if isinstance(text, str) != isinstance(english, str):
            wrong.append(f"{key} counts in one of the languages only")
    assert wrong == []


@pytest.mark.parametrize("language", languages())
def test_no_text_is_empty(language: str) -> None:
    for key, text in catalogue(language).items():
        forms = [text] if isinstance(text, str) else text.values()
        assert all(forms) or key == "messages.nothing", key


@pytest.mark.parametrize("language", languages())
def test_what_counts_has_all_plural_forms_of_its_language(language: str) -> None:
    needed = {*Locale.parse(language).plural_form.tags, "other"}
    assert needed <= set(FORMS)
    assert {key: set(text) for key, text in counted(language) if set(text) != needed} == {}


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


# --- the pages use what there is ------------------------------------------------------------------

LITERAL = set(re.findall(r'\bt\(\s*"([\w.]+\w)"\s*[,)]', CODE))
# t("status." ~ x), word("hint", x): any key below these.
BELOW = {found.rstrip(".") for found in re.findall(r'\bt\(\s*"([\w.]+\.)"\s*~', CODE)}
BELOW |= {found.rstrip(".") for found in re.findall(r'\bt\(\s*f"([\w.]+\.)\{', CODE)}
BELOW |= set(re.findall(r'\b(?:word|options)\([^()]*?"([a-z_.]+)"', CODE))
# Used by mails, in messages, and by their numbers.
BELOW |= {"mail", "word", "messages", "weekday", "month"}
BELOW |= {"slate", "chapters"}  # drawn and written into the video


def test_every_key_that_a_page_uses_exists() -> None:
    assert len(LITERAL) > 100
    assert sorted(LITERAL - catalogue(SOURCE).keys()) == []
    wrong = {f"wrong.{key}" for key in re.findall(r'\bfield_problem\(\s*"(\w+)"', CODE)}
    assert wrong
    assert sorted(wrong - catalogue(SOURCE).keys()) == []


def test_every_text_of_the_pages_is_used() -> None:
    quoted = set(re.findall(r'"([\w.]+)"', CODE))
    quoted |= {f"wrong.{word}" for word in quoted} | {"wrong.key_name", "wrong.key_scopes"}
    unused = [
        key
        for key in catalogue(SOURCE)
        if key not in quoted and not any(key.startswith(f"{below}.") for below in BELOW)
    ]
    assert unused == []


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
        ("word.role", (*ROLES, *USER_ROLES)),
        ("word.status", STATUSES),
    ],
)
def test_every_word_of_the_core_has_a_text(below: str, words: Iterable[str]) -> None:
    assert {f"{below}.{word}" for word in words} <= catalogue(SOURCE).keys()


# --- which language -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "language"),
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
def test_a_reader_gets_their_language(accepted: list[tuple[str, float]], language: str) -> None:
    assert choose_language(accepted) == language


@pytest.fixture
def polish(tmp_path: Path) -> Iterator[None]:
    with polish_added(tmp_path):
        yield


@pytest.mark.usefixtures("polish")
def test_a_third_language_is_one_file() -> None:
    assert languages() == ("en", "pl", "ru")
    assert choose_language([("pl-PL", 1), ("en", 0.5)]) == "pl"
    assert say("pl", "site.name") == "Nagrania wykładów"
    assert [say("pl", "record.warnings", count=n) for n in (1, 2, 5, 22)] == [
        "1 ostrzeżenie", "2 ostrzeżenia", "5 ostrzeżeń", "22 ostrzeżenia",
    ]  # fmt: skip
    assert render("pl", Message("rooms.exists", room="504")) == "sala „504” już istnieje"


@pytest.mark.usefixtures("polish")
def test_what_a_language_lacks_is_said_in_english() -> None:
    assert say("pl", "login.password") == say("en", "login.password")
    message = Message("rooms.in_use", room="504", count=5)
    assert render("pl", message) == render("en", message)
    outer = Message("error.of_field", field="name", why=Message("rooms.exists", room="504"))
    assert render("pl", outer) == "name: sala „504” już istnieje"


@pytest.mark.usefixtures("polish")
def test_a_language_that_has_a_catalogue_can_be_set() -> None:
    assert load({"MERGER_LANGUAGE": "pl"}).language == "pl"
    with pytest.raises(Refused, match=r"MERGER_LANGUAGE=.de.: write one of en"):
        load({"MERGER_LANGUAGE": "de"})
