"""The pins: of everything that is needed, each with its hashes, and from no index in particular."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]
SETS = ("requirements", "requirements-dev")
NAME = re.compile(r"[A-Za-z0-9._-]+")
PIN = re.compile(
    r"([A-Za-z0-9._-]+)==([^ ;\\]+)( ; [^\\]+)? \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)"
)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def pins(name: str) -> dict[str, str]:
    """Return the pinned versions; all that a file holds beside pins is comments."""
    text = (ROOT / f"{name}.txt").read_text()
    found = {canonical(pin[1]): pin[2] for pin in PIN.finditer(text)}
    rest = [line for line in PIN.sub("", text).splitlines() if not re.match(r" *#|$", line)]
    assert rest == []
    return found


def named(name: str) -> set[str]:
    """Return what a file for script/lock names, by itself and through others."""
    found: set[str] = set()
    for line in (ROOT / f"{name}.in").read_text().splitlines():
        if line.startswith("-r "):
            found |= named(line.removeprefix("-r ").removesuffix(".in"))
        elif line and not line.startswith("#") and (match := NAME.match(line)):
            found.add(canonical(match[0]))
    return found


@pytest.mark.parametrize("name", SETS)
def test_all_that_is_named_is_pinned_with_hashes(name: str) -> None:
    assert named(name) <= pins(name).keys()


def test_the_tests_run_on_what_the_service_runs_on() -> None:
    assert pins("requirements").items() <= pins("requirements-dev").items()


@pytest.mark.parametrize("name", SETS)
def test_where_it_was_found_is_not_told(name: str) -> None:
    """Another place may have another index; and nobody has to know ours."""
    text = (ROOT / f"{name}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^ *--(?!hash=)", text, re.MULTILINE)  # such as --index-url


def test_only_what_was_pinned_is_installed() -> None:
    script = (ROOT / "script/bootstrap").read_text().replace("\\\n", "")
    [command] = [line for line in script.splitlines() if "pip install" in line]
    assert "--require-hashes -r" in command


def imported(folders: tuple[str, ...]) -> set[str]:
    """Return the distributions that modules of ours import."""
    files = [path for folder in folders for path in ROOT.glob(folder)]
    modules = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    # Several distributions are in the namespace `google`; the one that is meant is google-auth.
    known = {**packages_distributions(), "google": ["google-auth"]}
    third = modules - sys.stdlib_module_names
    return {canonical(name) for module in third for name in known.get(module, ())}


def test_what_the_service_imports_is_named_and_not_only_needed_by_something_else() -> None:
    used = imported(
        (
            "*.py",
            "merger/**/*.py",
            "recorders/**/*.py",
            "google_apis/**/*.py",
            "commands/**/*.py",
            "migrations/**/*.py",
        )
    )
    assert {"flask", "sqlalchemy", "numpy"} <= used
    assert used - named("requirements") == set()
