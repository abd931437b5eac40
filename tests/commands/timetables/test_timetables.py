"""Timetables, series and days off on the command line, as registrars and programs use them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.site import Site

HEADINGS = "course,title,days,start,end,room"
TODAY = datetime.now(UTC).date()  # of the command itself


@pytest.fixture
def term(site: Site) -> Site:
    site.add_room()
    return site


def written(site: Site, text: str, name: str = "Autumn.csv") -> str:
    file = site.folder / name
    file.write_text(text)
    return str(file)


def sheet(*rows: str) -> str:
    return "\n".join((HEADINGS, *rows))


def test_a_file_is_previewed_imported_and_ended(term: Site) -> None:
    both = written(term, sheet("A-1,Lecture,MW,10:00,11:30,504", "B-2,,F,9:00,10:00,504"))
    preview = term.run("timetable", "import", both, "--dry-run")
    assert "added" in preview.stdout and "MO,WE 10:00" in preview.stdout
    assert "Nothing was changed" in preview.stdout
    assert term.said("series") == {"series": []}
    found = term.said("timetable", "import", both)
    assert [one["name"] for one in found["added"]] == ["A-1: Lecture", "B-2"]
    assert found["source"] == "Autumn" and found["applied"]
    assert "2 unchanged" in term.run("timetable", "import", both).stdout
    written(term, sheet("B-2,,F,9:00,10:00,504"))
    kept = term.run("timetable", "import", both)
    assert "missing" in kept.stdout and "goes on" in kept.stdout
    ended = term.said("timetable", "import", both, "--remove")
    assert [one["name"] for one in ended["ended"]] == ["A-1: Lecture"]
    assert [one["state"] for one in term.said("series")["series"]] == ["active", "over"]
    assert "B-2" in term.run("timetable", "show", "--days", "8").stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Course Code\nA\n", "lacks the columns"),
        ("", "no rows"),
        (sheet(*(f"A-{n},,M,10:00,11:00,504" for n in range(5001))), "more than 5000 rows"),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR\n", "no events"),
    ],
)
def test_a_file_of_no_use_is_refused(term: Site, text: str, says: str) -> None:
    done = term.run("timetable", "import", written(term, text), "--remove")
    assert done.returncode == 2 and says in done.stderr
    assert term.said("series") == {"series": []}


def test_a_wrong_line_is_said_and_the_others_are_taken(term: Site) -> None:
    text = sheet("A-1,,Th,10:00,11:00,504", "B-2,,F,25:00,,504", "C-3,,F,9:00,10:00,504")
    file = written(term, text)
    done = term.run("timetable", "import", file)
    assert done.returncode == 0
    assert "line 2: days: write R for Thursday" in done.stdout
    assert "line 3: start: '25:00' is not a time" in done.stdout
    assert len(term.said("series")["series"]) == 1
    found = term.said("timetable", "import", file)
    assert [(one["line"], one["field"]) for one in found["complaints"]] == [
        (2, "days"),
        (3, "start"),
    ]


def test_mistakes_are_sentences(term: Site, tmp_path: Path) -> None:
    file = written(term, sheet("A-1,,M,10:00,11:00,504"))
    for arguments, says in (
        ((), "write a FILE, or --sheet"),
        ((str(tmp_path / "none.csv"),), "No such file"),
        ((file, "--until", "soon"), "'soon' is not a date"),
        ((file, "--zone", "Moscow"), "Moscow"),
        ((file, "--source", "people"), "choose another name"),
        (("--sheet", "abc"), "MERGER_GOOGLE_CREDENTIALS"),
    ):
        done = term.run("timetable", "import", *arguments)
        assert done.returncode == 2 and says in done.stderr, done
    assert "MERGER_TIMETABLE_SHEET" in term.run("timetable", "refresh").stderr


def test_days_off(term: Site) -> None:
    day = TODAY + timedelta(days=3)
    start = f"{TODAY + timedelta(days=1)}T10:00"
    term.said("series", "add", "--room", "504", "--start", start, "--length", "90m",
              "--rule", "FREQ=DAILY", "--course", "A-1")  # fmt: skip
    planned = len(term.said("timetable", "show")["lectures"])
    found = term.said("days-off", f"{day}..{day + timedelta(days=1)}", "Labour Day")["days_off"]
    assert found[0]["name"] == "Labour Day" and found[0]["room"] is None
    assert term.said("days-off", f"{day}..{day + timedelta(days=1)}", "Again")["days_off"] == found
    lectures = term.said("timetable", "show")["lectures"]
    assert len(lectures) == planned and sum(one["is_off"] for one in lectures) == 2
    assert "it is a day off" in term.run("timetable", "show").stdout
    assert "Labour Day" in term.run("days-off").stdout
    assert term.said("days-off", "--remove", str(found[0]["id"])) == {"days_off": []}
    assert not any(one["is_off"] for one in term.said("timetable", "show")["lectures"])
    for arguments in (("soon", "x"), (str(day),), (str(day), "x", "--room", "505")):
        assert term.run("days-off", *arguments).returncode == 2


def test_series(term: Site) -> None:
    start = f"{TODAY + timedelta(days=1)}T09:59:60.0000000"  # as programs may write it
    added = term.said(
        "series", "add", "--room", "504", "--start", start, "--length", "90m", "--rule",
        "FREQ=DAILY", "--until", str(TODAY + timedelta(days=5)), "--title", "Chess",
        "--user", "ada@example.org",
    )["series"]  # fmt: skip
    assert (added["name"], added["length_s"], added["state"]) == ("Chess", 5400, "active")
    assert added["start"].endswith("T10:00:00")
    number = str(added["id"])
    assert len(term.said("records")["records"]) == 5
    off = term.said("series", "disable", number, "--why", "no camera")["series"]
    assert (off["state"], off["reason"]) == ("disabled", "no camera")
    assert {one["status"] for one in term.said("records")["records"]} == {"cancelled"}
    term.said("series", "enable", number)
    assert {one["status"] for one in term.said("records")["records"]} == {"queued"}
    assert term.said("series", "end", number)["series"]["state"] == "over"
    assert "Chess" in term.run("series").stdout
    for arguments in (
        ("end", "99"),
        ("add", "--room", "505", "--start", start, "--length", "90m"),
        ("add", "--room", "504", "--start", "soon", "--length", "90m"),
        ("add", "--room", "504", "--start", start, "--length", "90m", "--rule", "FREQ=SECONDLY"),
        ("add", "--room", "504", "--start", start, "--length", "9 parsecs"),
    ):
        assert term.run("series", *arguments).returncode == 2, arguments
