"""What every page must be, read from its HTML: labelled, consistent, and nothing that CSP forbids."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

CONTROLS = {"input", "select", "textarea"}
POINTERS = ("for", "aria-describedby", "aria-labelledby", "list")
EMPTY = {"meta", "link", "input", "img", "br", "hr", "track", "rect", "line", "circle", "path"}
LANDMARKS = {"header", "main", "footer"}


class Markup(HTMLParser):
    """Reads a page, and notes what is wrong with it."""

    def __init__(self) -> None:
        super().__init__()
        self.language: str | None = None
        self.ids: Counter[str] = Counter()
        self.pointed: set[str] = set()
        self.labelled: set[str] = set()
        self.controls: list[dict[str, str | None]] = []
        self.tags: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._open: list[str] = []
        self._has_button = False  # the form that is open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags[tag] += 1
        if len(values) != len(attrs):
            self.wrong.append(f"<{tag}> has an attribute twice")
        if tag == "html":
            self.language = values.get("lang")
        if "id" in values:
            self.ids[values["id"] or ""] += 1
        for name in POINTERS:
            self.pointed |= set((values.get(name) or "").split())
        if tag == "label":
            self.labelled.add(values.get("for") or "")
        if tag in CONTROLS and values.get("type") != "hidden":
            is_named = "aria-label" in values or "label" in self._open or "aria-hidden" in values
            if not is_named:
                self.controls.append(values)
        if tag == "img" and "alt" not in values:
            self.wrong.append(f"a picture without a text: {values}")
        if tag == "form":
            self._has_button = False
        if tag == "button" and values.get("type", "submit") == "submit":
            self._check_button(values)
        self._check_policy(tag, values)
        if tag not in EMPTY:
            self._open.append(tag)

    def _check_button(self, values: dict[str, str | None]) -> None:
        """Enter presses the first button of a form: one that does something else comes later."""
        if not self._has_button and "formnovalidate" in values:
            self.wrong.append(f"Enter presses another button than the main one: {values}")
        self._has_button = True

    def _check_policy(self, tag: str, values: dict[str, str | None]) -> None:
        for name, value in values.items():
            if name == "style" or name.startswith("on"):
                self.wrong.append(f"<{tag}> has {name}")
            if name in ("href", "src", "action") and tag not in ("a",) and "//" in (value or ""):
                self.wrong.append(f"<{tag}> is from another host: {value}")
            if name == "href" and (value or "").startswith("#"):
                self.pointed.add((value or "")[1:])
        if tag == "style" or (tag == "script" and "src" not in values):
            self.wrong.append(f"<{tag}> stands in the page")

    def handle_endtag(self, tag: str) -> None:
        if tag in EMPTY:
            return
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}> closes something else")


def check_markup(page: str, language: str) -> None:
    """Fail unless a page is what it must be."""
    markup = Markup()
    markup.feed(page)
    markup.close()
    assert markup.wrong == []
    assert markup.language == language
    assert [name for name, count in markup.ids.items() if count > 1] == []
    assert markup.pointed - markup.ids.keys() - {""} == set()
    unlabelled = [values for values in markup.controls if values.get("id") not in markup.labelled]
    assert unlabelled == []
    assert {tag: markup.tags[tag] for tag in LANDMARKS} == dict.fromkeys(LANDMARKS, 1)
    assert markup.tags["h1"] == 1 and markup.tags["title"] >= 1
