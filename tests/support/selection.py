"""What a plain run leaves out, so that it is short enough to be run before every commit.

Whatever the product does is tried in a plain run, once. What `--all` adds is the same again: on the
other database, by the other ffmpeg, from more seeds of chance. The last lines say what was left out.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

# Marks of tests, or of whole files with `pytestmark`.
BOTH_DATABASES = pytest.mark.both_databases
BOTH_FFMPEGS = pytest.mark.both_ffmpegs


def rarely(*values: Any, why: str) -> Any:
    """Mark a case of `parametrize` that a plain run leaves out, and say what it would add."""
    return pytest.param(*values, marks=pytest.mark.rarely(why))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="leave nothing out: both databases, both ffmpegs, seeds"
    )


def pytest_configure(config: pytest.Config) -> None:
    for mark in (
        "both_databases: SQL is in question, so a plain run takes MariaDB as well as SQLite",
        "both_ffmpegs: the program is in question, so a plain run takes the system's as well",
        "rarely(why): left out by a plain run",
        "real_encoder: as the product encodes, however long that takes",
        "quick: of a whole file: so quick that script/test --quick takes it",
    ):
        config.addinivalue_line("markers", mark)


def _why_left_out(item: pytest.Item) -> str | None:
    """Return what a test would add to a plain run, or None where it belongs to one."""
    mark = item.get_closest_marker("rarely")
    if mark is not None:
        return str(mark.args[0])
    values = item.callspec.params if isinstance(item, pytest.Function) and _varies(item) else {}
    if values.get("database_url") == "mariadb" and not _asks_for(item, "database_url"):
        return None if item.get_closest_marker("both_databases") else "on MariaDB, as on SQLite"
    if values.get("tool") == "system" and not _asks_for(item, "tool"):
        marked = item.get_closest_marker("both_ffmpegs")
        return None if marked else "by the system's ffmpeg, as by the one that a package carries"
    return None


def _varies(item: pytest.Function) -> bool:
    return hasattr(item, "callspec")


def _asks_for(item: pytest.Item, fixture: str) -> bool:
    """Return whether a test chooses the values of a fixture itself: it has its reasons."""
    return any(mark.args[0] == fixture for mark in item.iter_markers("parametrize"))


_LEFT_OUT = pytest.StashKey[Counter[str]]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # What waits as long as life takes begins first: the others work meanwhile.
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
    grouped = items and items[0].get_closest_marker("xdist_group")
    if grouped and getattr(config.option, "loadgroup", False) and "@" not in items[0].nodeid:
        raise pytest.UsageError("pytest-xdist does not see its groups: pin a pytest that it knows")
    if config.option.all:
        return
    reasons = [_why_left_out(item) for item in items]
    left_out = [item for item, why in zip(items, reasons, strict=True) if why is not None]
    config.stash[_LEFT_OUT] = Counter(why for why in reasons if why is not None)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item, why in zip(items, reasons, strict=True) if why is None]


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # of a process of pytest-xdist
    if output is not None:
        output["left_out"] = dict(session.config.stash.get(_LEFT_OUT, {}))


def pytest_collection_finish() -> None:
    """What was imported is no garbage, now or ever: nobody need look at it each time.

    Nor at what a test makes as often as a service would have to, which runs for months.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """All processes collect the same."""
    found = getattr(node, "workeroutput", {}).get("left_out", {})
    node.config.stash[_LEFT_OUT] = Counter(found)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # so the last before pytest's own closing line
def pytest_terminal_summary(
    terminalreporter: Any, config: pytest.Config
) -> Generator[None, None, None]:
    yield
    left_out = config.stash.get(_LEFT_OUT, Counter())
    if left_out:
        terminalreporter.section("left out; script/test --all does it, too", sep="-")
        for why, count in left_out.most_common():
            terminalreporter.write_line(f"{count:5} tests {why}")
