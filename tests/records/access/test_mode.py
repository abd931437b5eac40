"""New installations ask; upgraded ones go on as before, until somebody chooses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import Engine

from merger.db.engine import connect
from merger.records.access.mode import mode_of
from tests.support.databases import ON_SQLITE
from tests.support.site import Site


def test_a_new_database_asks(tmp_path: Path) -> None:
    site = Site(tmp_path, f"sqlite:///{tmp_path / 'new.sqlite'}", {"MERGER_ACCESS": ""})
    assert site.run("init-db").returncode == 0
    assert mode_of(site.settings, site.engine) == "ask"
    assert re.search(r"ok +access +somebody else's recordings", site.run("check").stdout)
    assert site.run("init-db").returncode == 0
    site.engine.dispose()
    engine = connect(site.url)
    assert mode_of(site.settings, engine) == "ask"
    engine.dispose()


@ON_SQLITE
def test_one_that_was_there_before_is_open_as_it_was(site: Site, engine: Engine) -> None:
    site.environ["MERGER_ACCESS"] = ""
    assert site.run("init-db").returncode == 0
    assert mode_of(site.settings, engine) == "open"


@pytest.mark.parametrize(("chosen", "level"), [("ask", "ok"), ("open", "ok"), ("", "warning")])
@ON_SQLITE
def test_what_was_chosen_is_so(site: Site, engine: Engine, chosen: str, level: str) -> None:
    site.environ["MERGER_ACCESS"] = chosen
    assert mode_of(site.settings, engine) == (chosen or "open")
    assert re.search(rf"^{level} +access ", site.run("check").stdout, re.M)
