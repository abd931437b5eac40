"""A worker imports what its record needs: one is started for each try of each record."""

from __future__ import annotations

import os
import subprocess
import sys

from sqlalchemy import delete

from merger.db.engine import writing
from merger.lazy import LazyMapping
from models import Room
from tests.support.databases import ON_SQLITE
from tests.support.site import ROOT, Site

HEAVY = (
    "av",
    "cv2",
    "ffmpeg",
    "flask",
    "google.auth",
    "googleapiclient",
    "jinja2",
    "numpy",
    "requests",
)
PROGRAM = (
    "import sys, app\n"
    "assert app.main(['work', *sys.argv[1:]]) == 0\n"
    f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
)


def imported(site: Site) -> str:
    """Work on the next record in a process; return which heavy libraries it has imported."""
    claim = site.claim()
    assert claim is not None
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(claim.record), str(claim.attempt), claim.worker],
        cwd=ROOT, env={**os.environ, **site.variables}, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@ON_SQLITE
def test_a_record_that_is_refused_needs_no_library(site: Site) -> None:
    site.add_room()
    site.ask()
    writing(site.engine, lambda session: session.execute(delete(Room)))
    assert imported(site) == "[]"
    assert (site.row().status, site.row().error_code) == ("failed", "room")


def test_what_is_lazy_is_made_once_and_when_it_is_needed() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name.upper()

    values = LazyMapping({"a": lambda: make("a"), "b": lambda: make("b")})
    assert list(values) == ["a", "b"] and len(values) == 2 and "a" in values
    assert made == []
    assert (values["a"], values["a"], values.get("c")) == ("A", "A", None)
    assert made == ["a"]
