"""The whole way from a sheet of lectures to their videos, by the service's own commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_google import film_two_files
from tests.fakes.timetable_trial import Trial, show, trial
from tests.support.site import SMALL_CANVAS


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Trial]:
    said: list[str] = []
    with trial(tmp_path, film_two_files, said.append, SMALL_CANVAS) as found:
        yield found


def test_a_sheet_comes_back_as_videos(one: Trial) -> None:
    show(one)
    records = {
        (record["room"], record["status"]): record
        for record in json.loads(one.app("records", "--json"))["records"]
    }
    filmed = records["504", "delivered"]
    assert filmed["name"] == "SQL-1: Lecture"
    assert records["504", "cancelled"]["name"] == "BIO-2: Lecture"
    assert records["Zoom 123 4567 8901", "delivered"]
    merged = one.folder / "data" / "merged"
    assert [path.name for path in merged.glob("SQL-1*[0-9].mp4")]
    again = json.loads(one.app("timetable", "import", "term.csv", "--remove", "--json"))
    assert again["unchanged"] == 4 and not again["added"]
