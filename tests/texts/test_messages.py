"""Messages: every key in the code has a text with its placeholders, and every text has a use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

import pytest

from merger import i18n
from merger.errors import Broken, Refused, did_you_mean
from merger.i18n import (
    Message,
    catalogue,
    document,
    from_json,
    render,
    sentences,
    to_json,
    verbatim,
)

pytestmark = pytest.mark.quick

ROOT = Path(i18n.__file__).parents[1]
PACKAGES = ("merger", "recorders", "google_apis", "commands")
FILES = [
    *ROOT.glob("*.py"),
    *(path for package in PACKAGES for path in ROOT.glob(f"{package}/**/*.py")),
]
TREES = {path: ast.parse(path.read_text("utf-8")) for path in FILES}
KEY = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
TEXTS = {
    key.removeprefix("messages."): text
    for key, text in catalogue("en").items()
    if key.startswith("messages.")
}


def test_a_message_is_put_into_words() -> None:
    message = Message("rooms.role_taken", source="camera", role="speaker")
    assert str(message) == (
        "'camera' already has the role speaker; a room has one source for each role"
    )
    assert render("ru", message).startswith("роль «Лектор» уже у источника «camera»; ")


def test_no_message_holds_a_password() -> None:
    """Whoever makes one of an address may not have thought of it: it is logged, shown and kept."""
    address = "rtsp://ann:s3cr3t@192.0.2.10/1"
    for message in (
        verbatim(f"cannot open {address}"),
        Message("error.of_source", source="camera", why=verbatim(address)),
        Message("history.waits", sources=(address, "slides"), until="10:00"),
        from_json({"key": "verbatim", "params": {"text": address}}),
        Refused("address", f"{address} is no address").message,
    ):
        assert "s3cr3t" not in str(to_json(message)) + str(message) + repr(message)
        assert "rtsp://ann:***@192.0.2.10/1" in str(message)


def test_messages_within_a_message_are_put_into_the_same_language() -> None:
    inner = Message("error.too_long", longest=255)
    outer = Message("error.of_source", source="camera", why=inner)
    assert str(outer) == "source 'camera': it is longer than 255 characters"
    assert render("ru", outer) == "источник «camera»: длиннее 255 знаков"
    both = sentences([inner, verbatim("the moon is full")])
    assert render("ru", both) == "длиннее 255 знаков; the moon is full"
    assert sentences([inner]) == inner
    listed = Message("accounts.scope_missing", scopes=("read", "write"))
    assert str(listed) == "a key needs at least one of the scopes read, write"


def test_parameters_are_not_read_as_placeholders() -> None:
    message = Message("rooms.exists", room="{name} {0.__class__} %s")
    assert str(message) == "there is already a room '{name} {0.__class__} %s'"


def test_a_message_of_another_version_shows_its_parts() -> None:
    message = Message("rooms.on_the_moon", room="504", count=3)
    assert str(message) == render("ru", message) == "rooms.on_the_moon room=504 count=3"


def test_a_message_as_json_is_the_same_again() -> None:
    why = Message("error.too_long", longest=255)
    message = Message("error.of_source", source="camera", why=sentences([why, verbatim("x")]))
    assert from_json(to_json(message)) == message
    assert from_json("an old sentence") == verbatim("an old sentence")
    assert document(why, "message") == {
        "message": "it is longer than 255 characters",
        "key": "error.too_long",
        "params": {"longest": 255},
    }


def test_an_error_takes_a_key_or_a_message() -> None:
    by_key = Refused("name", "rooms.exists", room="504")
    assert by_key.message == Message("rooms.exists", room="504")
    assert str(by_key) == "there is already a room '504'" and by_key.code == "name"
    assert Broken("x", by_key.message).message is by_key.message
    assert Refused("x", "the moon is full").message == verbatim("the moon is full")


@pytest.mark.parametrize(
    ("word", "words", "message"),
    [
        ("camra", ["slides", "camera"], Message("error.did_you_mean", word="camera")),
        ("x", ["camera"], Message("error.only_choice", word="camera")),
        ("x", ["camera", "slides"], Message("error.choices", words=("camera", "slides"))),
        ("x", [], Message("nothing")),
        ("x", [f"source {n}" for n in range(13)], Message("nothing")),
    ],
)
def test_the_likeliest_word(word: str, words: list[str], message: Message) -> None:
    assert did_you_mean(word, words) == message


# --- the code and the catalogue -------------------------------------------------------------------


@dataclass(frozen=True)
class Use:
    """A place in the code that makes a message. params: None where it does not name them all."""

    where: str
    key: str
    params: frozenset[str] | None


def error_classes() -> set[str]:
    """Return the names of the classes below MergerError that are made as it is."""
    bases: dict[str, list[str]] = {}
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not _has_init(node):
                bases[node.name] = [name_of(base) for base in node.bases]
    found = {"MergerError"}
    while more := {name for name, of in bases.items() if found & set(of)} - found:
        found |= more
    return found


def _has_init(node: ast.ClassDef) -> bool:
    return any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body)


def name_of(called: ast.expr) -> str:
    return called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")


def uses() -> Iterator[Use]:
    """Yield every place that makes a message, or raises an error with one, by a literal key."""
    errors = error_classes()
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = name_of(node.func)
            place = 0 if name == "Message" else 1 if name in errors else None
            if place is None or len(node.args) <= place:
                continue
            for key in literals(node.args[place]):
                if KEY.fullmatch(key) or name == "Message":
                    names = [keyword.arg for keyword in node.keywords]
                    params = None if None in names else frozenset(filter(None, names))
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    yield Use(where, key, params)


def literals(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an argument may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


def params_of(text: i18n.Text) -> set[str]:
    forms = [text] if isinstance(text, str) else list(text.values())
    names = {name for form in forms for _, name, _, _ in Formatter().parse(form) if name}
    return names if isinstance(text, str) else names | {"count"}


USES = list(uses())


def test_every_key_in_the_code_has_a_text() -> None:
    assert len(USES) > 100
    # A text of the pages can be used in a message, too, by its whole key.
    assert [
        use for use in USES if not {use.key, f"messages.{use.key}"} & catalogue("en").keys()
    ] == []


def test_every_message_has_the_parameters_of_its_text() -> None:
    wrong = []
    for use in USES:
        text = TEXTS.get(use.key, catalogue("en").get(use.key))
        if use.params is not None and text is not None and use.params != params_of(text):
            wrong.append(f"{use.where}: {use.key}: {sorted(use.params ^ params_of(text))}")
    assert wrong == []


def test_no_error_has_a_sentence_for_a_key() -> None:
    errors, sentences_found = error_classes(), []
    for path, tree in TREES.items():
        place = path.relative_to(ROOT).as_posix()
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or name_of(node.func) not in errors:
                continue
            message = node.args[1] if len(node.args) > 1 else None
            is_key = message is None or all(map(KEY.fullmatch, literals(message)))
            if isinstance(message, ast.JoinedStr) or not is_key:
                sentences_found.append(f"{place}:{node.lineno}")
    assert sentences_found == []


def test_every_text_is_used() -> None:
    quoted, begun = set(), set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                quoted.add(node.value)
            elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
                begun.add(str(node.values[0].value))  # f"notifications.kind.{kind}"
    begun = {start for start in begun if re.match(r"[a-z_]+\.", start)}
    unused = [
        key for key in TEXTS if key not in quoted and not key.startswith(tuple(sorted(begun)))
    ]
    assert unused == []


def test_every_kind_of_event_has_a_text() -> None:
    kinds = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name_of(node.func).endswith("add_history"):
                words = {word for argument in node.args for word in literals(argument)}
                kinds |= {f"event.{word}" for word in words if word.isidentifier()}
    assert {"event.asked", "event.note", "event.sent"} <= kinds
    assert sorted(kinds - catalogue("en").keys()) == []
