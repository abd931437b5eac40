"""Sheets become rows; each mistake is reported with its line and column."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.errors import Invalid
from merger.timeline.clock import Span
from merger.timetable.recurrence import DayOff, Recurrence, occurrences
from merger.timetable.sheet import (
    COLUMNS,
    Complaint,
    Row,
    Term,
    parse_days_off,
    parse_sheet,
    row_key,
    series_of_row,
    sheet_text,
    tab_names,
)
from merger.timetable.table import LARGEST, MOST_ROWS
from tests.texts.russian import in_russian

pytestmark = pytest.mark.quick

NOW = datetime(2026, 9, 1, tzinfo=UTC)
TERM = Term(date(2026, 9, 1), date(2026, 12, 20))

# As another service has it.
ZOOM = "https://example.zoom.us/j"
INDEX = "https://example.edu/index.html#"
SCHEDULE = f"""\
Course Code,Type,Day,Start,Meeting ID with Password,OC Series,Producer
BIOS E-18A,Section,T,20:10,{ZOOM}/0123456789,{INDEX}/2021/01/12345,Ann
BIOS E-18B,Lecture,M W,19:40,{ZOOM}/9876543210?pwd=s3cr3t,{INDEX}/2021/01/55555,Ann
CSCI E-61,Lecture,T,9:15,{ZOOM}/555555555,{INDEX}/2021/01/61616,Bob
CSCI E-61,Staff Meeting,W,12:00,{ZOOM}/555555555,{INDEX}/2021/01/61616,Bob
CSCI E-61,Section,R,20:00,{ZOOM}/555555555,{INDEX}/2021/01/61616,Bob
CSCI E-61,Lecture,F,13:15,{ZOOM}/555555555,{INDEX}/2021/01/61616,Bob
ECON E-10A,Lecture,"MT R",11:00,{ZOOM}/876876876,{INDEX}/2021/01/10101,Bob
ECON E-20A,Lecture,TRF,13:00,{ZOOM}/200200200,{INDEX}/2021/01/20202,Bob
MATH E-55,Lecture,"T,R",14:30,{ZOOM}/123123123,{INDEX}/2021/01/55555,Bob
STAT S-100,Section,"S, U",18:30,{ZOOM}/100100100,{INDEX}/2021/01/10010,Bob
"""


def only_row(line: str, headings: str = "course,title,days,start,room") -> Row:
    """Return the row of a file that has only one, and no mistakes."""
    sheet = parse_sheet(f"{headings}\n{line}\n")
    assert sheet.complaints == ()
    [row] = sheet.rows
    return row


def complaint(line: str, headings: str = "course,title,days,start,room") -> Complaint:
    """Return what is wrong with a row that has one mistake; the good one behind it is taken."""
    sheet = parse_sheet(f"{headings}\n{line}\nOK,Lecture,F,08:00,504\n")
    assert [row.course for row in sheet.rows] == ["OK"]
    [found] = sheet.complaints
    assert found.line == 2
    assert in_russian(found.sentence).startswith("строка 2: ")
    return found


def test_a_schedule_of_another_service() -> None:
    sheet = parse_sheet(SCHEDULE)
    assert sheet.complaints == ()
    assert sheet.unknown == ("Producer",)
    meetings: dict[str, list[tuple[tuple[int, ...], str, str]]] = {}
    for row in sheet.rows:
        event = (row.days, f"{row.start:%H:%M}", row.title)
        meetings.setdefault(str(row.meeting), []).append(event)
    assert meetings == {
        "0123456789": [((1,), "20:10", "Section")],
        "9876543210": [((0, 2), "19:40", "Lecture")],
        "555555555": [((1,), "09:15", "Lecture"), ((2,), "12:00", "Staff Meeting"),
                      ((3,), "20:00", "Section"), ((4,), "13:15", "Lecture")],
        "876876876": [((0, 1, 3), "11:00", "Lecture")],
        "200200200": [((1, 3, 4), "13:00", "Lecture")],
        "123123123": [((1, 3), "14:30", "Lecture")],
        "100100100": [((5, 6), "18:30", "Section")],
    }  # fmt: skip
    assert {(row.mode, row.room, row.length) for row in sheet.rows} == {
        ("names", None, timedelta(0))
    }
    assert sheet.rows[0].external == "20210112345"
    assert "s3cr3t" not in repr(sheet)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffRoom;COURSE;Days ;  start\r\n504;CS50;MW;9:15\r\n",
        "room\tcourse\tdays\tstart\r504\tCS50\tMW\t9:15\r",
        "Аудитория;Курс;Дни;Начало\n504;CS50;Пн, Ср;9:15\n",
        '\n\n"room","course","days","start"\n\n"504", "CS50", "Mon, Wed", "9:15am"\n,,,\n',
        "note,room,course,days,start\nx,504,CS50,monday/WED,09:15:00\nonly a note,,,,\n",
    ],
)
def test_files_are_written_in_many_ways(text: str) -> None:
    [row] = parse_sheet(text).rows
    assert replace(row, line=2) == Row(2, "CS50", "", (0, 2), time(9, 15), room="504")


def test_all_columns() -> None:
    row = only_row(
        'CS50,Lecture,F,14:00,15:30,90,123 4567 8901,504,2026-09-07,20.12.2026,'
        '"2026-11-06, 09.10.2026; 2026-10-16..2026-10-17 23.10.2026",'
        '"ann@example.edu; Bob@Example.edu",https://drive.google.com/drive/u/0/folders/1aB-cD_eF123?usp=sharing,Side by side,720P,names,-',
        "course,title,days,start,end,minutes,meeting,room,from,until,except,owners,folder,layout,profile,records,series",
    )  # fmt: skip
    assert row == Row(
        line=2, course="CS50", title="Lecture", days=(4,), start=time(14), length=timedelta(minutes=90),
        room="504", meeting="12345678901", first=date(2026, 9, 7), last=date(2026, 12, 20),
        exdates=(date(2026, 10, 9), date(2026, 10, 16), date(2026, 10, 17), date(2026, 10, 23), date(2026, 11, 6)),
        owners=("ann@example.edu", "bob@example.edu"), folder="1aB-cD_eF123", layout="side_by_side",
        profile="720p", external=None, mode="names",
    )  # fmt: skip


def test_columns_in_russian() -> None:
    headings = "Курс,Название,Дни,Начало,Конец,Минут,Аудитория,Встреча/Zoom,С,По,Кроме,Владельцы"
    line = 'Физика,Лекция,вт чт,10:00,11:30,90,504,123 456 789,2026-09-01,2026-12-20,04.11.2026,"a@b.ru"'
    row = only_row(line, headings)
    assert (row.course, row.title, row.days, row.length) == (
        "Физика",
        "Лекция",
        (1, 3),
        timedelta(minutes=90),
    )
    assert (row.meeting, row.first, row.exdates) == (
        "123456789",
        date(2026, 9, 1),
        (date(2026, 11, 4),),
    )


def test_no_name_means_two_columns() -> None:
    names = [name for column, others in COLUMNS.items() for name in (column, *others)]
    assert len(names) == len(set(names))
    assert all(name == name.casefold() for name in names)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("M", "M"), ("MW", "MW"), ("mwf", "MWF"), ("T,R", "TR"), ("MT R", "MTR"), ("S, U", "SU"), ("TU", "TU"),
        ("M/W", "MW"), ("M&W", "MW"), ("U S F", "FSU"), ("MM", "M"), ("Mon", "M"), ("tues, thurs", "TR"),
        ("Saturday Sunday", "SU"), ("MW Fri", "MWF"), ("пн,вс", "MU"), ("Четверг", "R"), ("MTWRFSU", "MTWRFSU"),
    ],
)  # fmt: skip
def test_days(text: str, days: str) -> None:
    row = only_row(f'CS50,,"{text}",9:15,504')
    assert "".join("MTWRFSU"[day] for day in row.days) == days


@pytest.mark.parametrize(
    ("text", "at"),
    [("9:15", "09:15"), ("09:15", "09:15"), ("9:15am", "09:15"), ("9:15 PM", "21:15"), ("12:00am", "00:00"),
     ("12:05 p.m.", "12:05"), ("0:00", "00:00"), ("23:59", "23:59"), ("9.15", "09:15"), ("19:40:00", "19:40")],
)  # fmt: skip
def test_times(text: str, at: str) -> None:
    assert f"{only_row(f'CS50,,M,{text},504').start:%H:%M}" == at


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0123456789", "0123456789"), ("123 4567 8901", "12345678901"), ("123-456-789", "123456789"),
        (f"{ZOOM}/0123456789", "0123456789"), (f"{ZOOM}/0123456789?pwd=123456#success", "0123456789"),
        (f"{ZOOM}/9876543210/", "9876543210"), ("HTTPS://zoom.us/wc/join/987654321", "987654321"),
        ("9876543210 (passcode: 123456)", "9876543210"), ("987 654 3210 Passcode 123456", "9876543210"),
        ("9876543210?pwd=abc", "9876543210"), ("9876543210, 123456", "9876543210"),
    ],
)  # fmt: skip
def test_meetings(text: str, number: str) -> None:
    row = only_row(f'CS50,,M,9:15,"{text}"', "course,title,days,start,meeting")
    assert (row.meeting, row.mode) == (number, "names")


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        (",Lecture,M,9:15,504", "course", "missing"),
        ("-,Lecture,M,9:15,504", "course", "missing"),
        (f"{'x' * 256},Lecture,M,9:15,504", "course", "255"),
        ("CS50,Lecture,,9:15,504", "days", "missing"),
        ("CS50,Lecture,Th,9:15,504", "days", "write R for Thursday"),
        ("CS50,Lecture,TTh,9:15,504", "days", "write R for Thursday"),
        ("CS50,Lecture,th,9:15,504", "days", "write R for Thursday"),
        ("CS50,Lecture,Tu,9:15,504", "days", "write T for one, T U for both"),
        ("CS50,Lecture,Su,9:15,504", "days", "write U for one, S U for both"),
        ("CS50,Lecture,X,9:15,504", "days", "'X' is not a day"),
        ("CS50,Lecture,M-F,9:15,504", "days", "'M-F' is not a day"),
        ('CS50,Lecture,",",9:15,504', "days", "',' is not a day"),
        ("CS50,Lecture,M,,504", "start", "missing"),
        ("CS50,Lecture,M,25:00,504", "start", "'25:00' is not a time"),
        ("CS50,Lecture,M,24:00,504", "start", "'24:00' is not a time"),
        ("CS50,Lecture,M,9:60,504", "start", "'9:60' is not a time"),
        ("CS50,Lecture,M,13:15pm,504", "start", "'13:15pm' is not a time"),
        ("CS50,Lecture,M,0:15am,504", "start", "'0:15am' is not a time"),
        ("CS50,Lecture,M,this-is-not-a-valid-time,504", "start", "is not a time"),
        ("CS50,Lecture,M,٩:١٥,504", "start", "is not a time"),
        ("CS50,Lecture,M,=NOW(),504", "start", "'=NOW()' is not a time"),
        ("CS50,Lecture,M,9:15,", "room", "write a room or a meeting"),
        ("CS50,Lecture,T,R,14:30,504", "", "quotation marks"),
    ],
)
def test_wrong_cells(line: str, field: str, words: str) -> None:
    found = complaint(line)
    assert found.field == field
    assert words in str(found.message)
    assert str(found.sentence).startswith(f"line 2: {field}: " if field else "line 2: ")


@pytest.mark.parametrize(
    ("column", "text", "words"),
    [
        ("end", "9:00", "before it starts"),
        ("end", "9:15", "before it starts"),
        ("end", "25:00", "not a time"),
        ("minutes", "=1+1", "'=1+1' is not a number of minutes"),
        ("minutes", "0", "1 to 1440"),
        ("minutes", "1441", "1 to 1440"),
        ("minutes", "-90", "1 to 1440"),
        ("minutes", "1e3", "1 to 1440"),
        ("meeting", '=HYPERLINK("https://zoom.us/j/123456789")', "neither a meeting number"),
        ("meeting", "www.example.zoom.us/j/123456789", "neither a meeting number"),
        ("meeting", "http://zoom.us/j/123456789", "neither a meeting number"),
        ("meeting", "https://zoom.us/my/ann", "neither a meeting number"),
        ("meeting", "https://", "neither a meeting number"),
        ("meeting", "https://[::1/123456789x", "neither a meeting number"),
        ("meeting", "9876543210 123456", "neither a meeting number"),
        ("meeting", "5.55555E+08", "neither a meeting number"),
        ("meeting", "12345", "neither a meeting number"),
        ("from", "9/7/2026", "'9/7/2026' is not a date"),
        ("from", "2026-02-30", "is not a date"),
        ("from", "0026-02-20", "is not a date"),
        ("from", "2026-09-01..2026-09-02", "is not a date"),
        ("from", "tomorrow", "is not a date"),
        ("except", "2026-05-10..2026-05-01", "is before"),
        ("except", "2026-05-01, Labour Day", "is not a date"),
        ("except", "2026-01-01..2028-01-01", "more than 500 dates"),
        ("except", "2026-01-01..2026-12-31,2027-01-01..2027-12-31", "more than 500 dates"),
        ("owners", "Ann", "Ann"),
        ("owners", " ".join(f"a{n}@example.edu" for n in range(51)), "more than 50"),
        ("layout", "upside down", "upside_down"),
        ("profile", "8k", "8k"),
        ("records", "perhaps", "'perhaps' is not possible"),
        ("folder", "x" * 256, "255"),
        ("folder", "x" * 10_001, "10000"),
        ("folder", "Physics", "write its link"),
        ("folder", "https://example.edu/folders/1aB-cD_eF123", "write its link"),
    ],
)
def test_wrong_cells_of_other_columns(column: str, text: str, words: str) -> None:
    quoted = text.replace('"', '""')
    found = complaint(f'CS50,,M,9:15,504,"{quoted}"', f"course,title,days,start,room,{column}")
    assert (found.field, words in str(found.message)) == (column, True), str(found.message)


def test_a_passcode_is_not_repeated() -> None:
    found = complaint(
        "CS50,,M,9:15,504,https://zoom.us/my/ann?pwd=s3cr3t", "course,title,days,start,room,zoom"
    )
    assert "s3cr3t" not in repr(found) + str(found.sentence)


def test_rows_that_contradict_themselves() -> None:
    found = complaint("CS50,,M,9:15,504,10:15,90", "course,title,days,start,room,end,minutes")
    assert "these are 90 minutes, but 60" in str(found.message)
    found = complaint(
        "CS50,,M,9:15,504,2026-12-01,2026-11-01", "course,title,days,start,room,from,until"
    )
    assert (found.field, "2026-11-01 is before 2026-12-01" in str(found.message)) == ("until", True)


def test_all_mistakes_of_a_line_are_reported() -> None:
    sheet = parse_sheet("course,days,start,meeting\n,Th,25:00,\nCS50,M,9:00,123456789\n")
    assert [c.field for c in sheet.complaints] == ["start", "meeting", "course", "days"]
    assert [row.course for row in sheet.rows] == ["CS50"]


def test_only_good_rows_of_another_service() -> None:
    head, good = SCHEDULE.splitlines()[:2]
    bad = [
        f"A,Lecture,T,20:10,,{INDEX}/2021/01/12345,Ann",
        f"B,Lecture,T,20:10,www.example.zoom.us/j/0123456789,{INDEX}/2021/01/12345,Ann",
        f"C,Lecture,T,20:10,{ZOOM}/0123456789,,Ann",
        f"D,Lecture,T,this-is-not-a-valid-time,{ZOOM}/0123456789,{INDEX}/2021/01/12345,Ann",
    ]
    sheet = parse_sheet("\n".join([head, *bad, good]))
    assert [row.course for row in sheet.rows] == ["BIOS E-18A"]
    assert [(c.line, c.field) for c in sheet.complaints] == [
        (2, "meeting"), (3, "meeting"), (4, "series"), (5, "start"),
    ]  # fmt: skip


def test_the_same_lecture_twice() -> None:
    text = (
        "course,days,start,room,until\nCS50,MW,9:15,504,2026-11-01\ncs50,W M,09:15,504,2026-12-01\n"
    )
    sheet = parse_sheet(text)
    assert [row.line for row in sheet.rows] == [2]
    [found] = sheet.complaints
    assert (found.line, str(found.message)) == (
        3,
        "this is the same lecture as in line 2; remove one of the lines",
    )
    in_russian(found.sentence)


def test_lines_are_counted_as_editors_count_them() -> None:
    sheet = parse_sheet('\ncourse,days,start,room\n"two\nlines",M,9:15,504\n\nCS50,X,9:15,504\n')
    assert [(row.line, row.course) for row in sheet.rows] == [(3, "two lines")]
    assert [c.line for c in sheet.complaints] == [6]


def test_what_a_spreadsheet_would_compute_is_text() -> None:
    row = only_row('"=HYPERLINK(""https://evil.example"")",=1+1,M,9:15,@504')
    assert (row.course, row.title, row.room) == (
        '=HYPERLINK("https://evil.example")',
        "=1+1",
        "@504",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no rows"),
        ("\ufeff \n\n", "no rows"),
        ("course,days,start,room\n", "no rows"),
        ("course,days,start,room\n,,,\n", "no rows"),
        ("Course Code\n", "lacks the columns days, start, meeting/room"),
        ("Course Code\nCS50\n", "lacks the columns days, start, meeting/room"),
        ("course,days,start\nCS50,M,9:15\n", "lacks the columns meeting/room"),
        ("a hundred lectures", "lacks the columns course, days, start, meeting/room"),
        ("<html><body>Sign in</body></html>", "lacks the columns"),
        ("course,day,days,start,room\nCS50,M,M,9:15,504\n", "two columns mean days: day, days"),
        ('course,days,start,room\nCS50,"M,9:15,504\nCS51,T,9:15,504\n', "line 2 isn't CSV"),
        ('course,days,start,room\nCS50,"M"x,9:15,504\n', "line 2 isn't CSV"),
        pytest.param(
            f"course,days,start,room\n{'x' * 140_000},M,9:15,504\n", "line 2 isn't CSV", id="long"
        ),
        pytest.param(
            "course,days,start,room\n" + "CS50,M,9:15,504\n" * (MOST_ROWS + 1),
            "more than 5000 rows",
            id="many",
        ),
        pytest.param(
            "course,days,start,room\n" + "ж" * (LARGEST // 2), "larger than 1 MB", id="large"
        ),
    ],
)
def test_files_that_are_refused_as_a_whole(text: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_sheet(text)
    assert words in str(caught.value)
    in_russian(caught.value.message)


def test_the_longest_file() -> None:
    lines = [f"CS{n},M,9:15,504" for n in range(MOST_ROWS)]
    assert len(parse_sheet("\n".join(["course,days,start,room", *lines])).rows) == MOST_ROWS


def test_bytes_become_text() -> None:
    assert sheet_text("\ufeffкурс".encode()) == "курс"
    for content in ("курс".encode("cp1251"), "course".encode("utf-16"), b"x" * (LARGEST + 1)):
        with pytest.raises(Invalid) as caught:
            sheet_text(content)
        in_russian(caught.value.message)


def test_tabs() -> None:
    assert tab_names("foo , bar,, baz") == ("foo", "bar", "baz")
    assert tab_names(" ") == ()


# --- a row as a series ----------------------------------------------------------------------------


def test_a_row_is_a_series_of_the_term() -> None:
    row = only_row(
        "CS50,Lecture,W M,9:15,504,10:45,2026-11-04", "course,title,days,start,room,end,except"
    )
    series = series_of_row(row, "Fall", "Europe/Berlin", TERM, NOW)
    assert series.recurrence == Recurrence(
        "Europe/Berlin", datetime(2026, 9, 2, 9, 15), timedelta(minutes=90), "FREQ=WEEKLY;BYDAY=MO,WE",
        date(2026, 12, 20), (date(2026, 11, 4),),
    )  # fmt: skip
    assert (series.name, series.key, series.mode) == ("CS50: Lecture", row_key(row, "Fall"), "asks")
    assert not series.has_open_start
    window = Span(datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 11, 10, tzinfo=UTC))
    starts = [f"{o.span.start:%m-%d %H:%M}" for o in occurrences(series.recurrence, window)]
    assert starts == ["10-21 07:15", "10-26 08:15", "10-28 08:15", "11-02 08:15", "11-09 08:15"]


def test_a_row_may_have_days_of_its_own() -> None:
    row = only_row(
        "CS50,,M,9:15,504,2026-10-01,2026-10-31", "course,title,days,start,room,from,until"
    )
    recurrence = series_of_row(row, "", "UTC", TERM, NOW).recurrence
    assert (recurrence.starts_local, recurrence.until_day) == (
        datetime(2026, 10, 5, 9, 15),
        date(2026, 10, 31),
    )
    today = Term(date(2026, 9, 1), has_open_start=True)
    assert not series_of_row(row, "", "UTC", today, NOW).has_open_start
    open_row = replace(row, first=None, last=None)
    series = series_of_row(open_row, "", "UTC", today, NOW)
    assert series.has_open_start
    assert series.recurrence.until_day is None
    assert series_of_row(open_row, "", "UTC", TERM, NOW).name == "CS50"


@pytest.mark.parametrize(
    ("change", "zone", "column", "words"),
    [
        (
            {"first": date(2026, 9, 1), "last": date(2026, 9, 6)},
            "UTC",
            "until",
            "no such day from 2026-09-01",
        ),
        ({"first": date(2029, 9, 3)}, "UTC", "until", "no such day"),
        ({"first": date(2020, 9, 7)}, "UTC", "from", "two years"),
        ({}, "Mars/Phobos", "room", "Europe/Moscow"),
    ],
)
def test_rows_without_a_series(change: dict[str, date], zone: str, column: str, words: str) -> None:
    row = replace(only_row("CS50,,M,9:15,504"), **change)  # type: ignore[arg-type]
    with pytest.raises(Invalid) as caught:
        series_of_row(row, "", zone, TERM, NOW)
    assert (caught.value.code, words in str(caught.value)) == (column, True)
    in_russian(caught.value.message)


def test_keys() -> None:
    row = only_row("CS50,Lecture,MW,9:15,504")
    key = row_key(row, "Fall")
    assert len(key) == 40
    same = (replace(row, line=9), replace(row, course="cs50"), replace(row, last=date(2026, 12, 1)))
    assert {row_key(other, "Fall") for other in same} == {key}
    changes = (
        {"course": "CS51"},
        {"title": ""},
        {"days": (0,)},
        {"start": time(9, 30)},
        {"room": "505"},
        {"meeting": "123456789"},
    )
    others = {row_key(replace(row, **change), "Fall") for change in changes}  # type: ignore[arg-type]
    assert len({key, row_key(row, "Spring"), *others}) == 8


# --- days off -------------------------------------------------------------------------------------


def test_days_off() -> None:
    sheet = parse_days_off(
        "First;Last;Name;Room\n2026-05-01;;Labour Day;\n2026-12-24;2027-01-02;Christmas;-\n"
        "01.06.2026..05.06.2026;;;504\n2026-05-02;2026-05-01;Wrong;\n;;Nothing;\n"
    )
    assert sheet.days_off == (
        DayOff(date(2026, 5, 1), date(2026, 5, 1), "Labour Day"),
        DayOff(date(2026, 12, 24), date(2027, 1, 2), "Christmas"),
        DayOff(date(2026, 6, 1), date(2026, 6, 5), "", "504"),
    )
    assert [(c.line, c.field) for c in sheet.complaints] == [(5, "last"), (6, "first")]
    assert all(in_russian(c.sentence) for c in sheet.complaints)
    [russian] = parse_days_off("С,По,Праздник\n04.11.2026,,День единства\n").days_off
    assert russian == DayOff(date(2026, 11, 4), date(2026, 11, 4), "День единства")
    with pytest.raises(Invalid, match="lacks the columns first"):
        parse_days_off("name\nLabour Day\n")


# --- anything at all ------------------------------------------------------------------------------

CELL = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["M", "Th", "MW", "9:15", "25:00", "9:15am", "90", "504", "123456789", f"{ZOOM}/123456789?pwd=x",
                     "2026-09-07", "01.05.2026..02.05.2026", "=1+1", "a@example.edu", "-", "asks", '"', "'", "\x00"]),
)  # fmt: skip
HEADING = st.one_of(st.sampled_from([*COLUMNS, "Курс", "Type", ""]), st.text(max_size=5))


@st.composite
def tables(draw: st.DrawFn) -> str:
    delimiter = draw(st.sampled_from(",;\t"))
    headings = ["course", "days", "start", "room", *draw(st.lists(HEADING, max_size=6))]
    rows = [headings, *draw(st.lists(st.lists(CELL, min_size=3, max_size=11), max_size=4))]
    quote = draw(st.booleans())
    cells = [['"' + c.replace('"', '""') + '"' if quote else c for c in row] for row in rows]
    return draw(st.sampled_from(["\n", "\r\n", "\r"])).join(delimiter.join(row) for row in cells)


@settings(max_examples=150, deadline=None)
@given(st.one_of(tables(), st.text(), st.text(alphabet='course,days;"\n\tMTWRF0:-')))
def test_no_file_breaks_the_parser(text: str) -> None:
    for parse in (parse_sheet, parse_days_off):
        try:
            sheet = parse(text)
        except Invalid as error:
            in_russian(error.message)
            continue
        for found in sheet.complaints:
            in_russian(found.sentence)
    try:
        rows = parse_sheet(text).rows
    except Invalid:
        return
    for row in rows:
        assert len(row_key(row, text)) == 40
        try:
            series_of_row(row, "", "Europe/Berlin", TERM, NOW)
        except Invalid as error:
            in_russian(error.message)
