"""Lines of the log, for people and for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[1]
PROGRAM = """
import logging
from merger import logs
logs.start_logging({form!r})
log = logging.getLogger("somewhere")
log.debug("unheard")
log.info("one %s", "Лекция")
logs.set_context(record=7)
logs.set_context(stage="encode")
log.warning("two\\nlines", extra=logs.fields(ms=3, path=logging))
try:
    raise ValueError("why")
except ValueError:
    log.exception("three")
logging.getLogger("alembic").info("unheard")
"""


def said(form: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form)], cwd=ROOT, text=True, check=True,
        capture_output=True, env={"TZ": "Asia/Tokyo", "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_text() -> None:
    first, second, *_ = said("text")
    at, level, *words = first.split(" ")
    assert (level, words) == ("INFO", ["one", "Лекция"])
    assert at.endswith("Z") and "T" in at
    assert second.endswith(" WARNING [record 7, stage encode] two")


def test_objects() -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in said("json")]
    first, second, third = lines
    assert first.pop("at").endswith("+00:00")
    assert first == {"level": "INFO", "logger": "somewhere", "message": "one Лекция"}
    assert second["message"] == "two\nlines"
    assert (second["record"], second["stage"], second["ms"]) == (7, "encode", 3)
    assert third["trace"].endswith("ValueError: why") and third["level"] == "ERROR"
    assert (third["record"], third["stage"]) == (7, "encode") and "ms" not in third
