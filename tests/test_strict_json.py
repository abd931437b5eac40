"""JSON that strangers send: what is read, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from merger.strict_json import UnusableJson, loads

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    "value", [None, 0, -1.5, 1e308, 10**30, "", "ä😀", [1, ["x"]], {"a": {"b": True}}]
)
def test_what_is_read(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        assert loads(text) == loads(text.encode()) == value


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("around", ["{}", "[1, {}]", '{{"a": {{"b": {}}}}}'])
def test_numbers_that_are_none(text: str, around: str) -> None:
    with pytest.raises(UnusableJson, match=f"the JSON holds {text}, which"):
        loads(around.format(text))


@pytest.mark.parametrize("text", [r"\ud800", r"x\udfffy", r"\udc00\ud800"])
@pytest.mark.parametrize("around", ['"{}"', '["{}"]', '{{"a": "{}"}}', '{{"{}": 1}}'])
def test_halves_of_characters(text: str, around: str) -> None:
    with pytest.raises(UnusableJson, match="half of a character"):
        loads(around.format(text))


@pytest.mark.parametrize("text", ["", "{", "nan", "[1,]", "'x'", b"\xff", "[" * 100_000])
def test_what_is_no_json(text: str | bytes) -> None:
    with pytest.raises(ValueError) as caught:
        loads(text)
    assert not isinstance(caught.value, UnusableJson)
