"""`python -m bench.timetable`: a term is imported, unrolled, shown and searched."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import requests
from sqlalchemy import Engine, delete, event, func, select

from bench.run import PAGE, WORK, machine
from bench.service import ROOMS, databases, fill_database
from bench.table import between_marks
from bench.web import deliver_all, serve
from merger.accounts import users
from merger.accounts.permissions import SCOPES
from merger.db.engine import reading, writing
from merger.render import ffmpeg
from merger.series import unroll
from merger.series.timetables.importing import import_timetable
from merger.series.timetables.texts import Tab, TimetableText
from models import Occurrence, Series

MARKS = ("<!-- timetable: begin -->", "<!-- timetable: end -->")
SERIES, WEEKS = 200, 15
_LOOKS = 50
_HEADINGS = "course,title,days,start,end,room,meeting,from,until,owners"
_WROTE = ("INSERT", "UPDATE", "DELETE")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.timetable", description=__doc__)
    parser.add_argument("--records", type=int, default=10_000, help="recordings beside it (10000)")
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    result: dict[str, Any] = {"machine": machine(ffmpeg.find_tool(None)), "runs": []}
    with databases() as urls:
        for name, make in urls.items():
            run = {"database": name, **measure(make(), options.records)}
            result["runs"].append(run)
            print(run, file=sys.stderr)
    result["records"] = options.records
    (WORK / "timetable.json").write_text(json.dumps(result, indent=1))
    text = table(result)
    print(text)
    if options.write_docs:
        PAGE.write_text(between_marks(PAGE.read_text(), text, MARKS))


def measure(url: str, records: int) -> dict[str, float]:
    """Measure all that a term asks of one database."""
    engine = fill_database(url, records)
    deliver_all(engine)
    now = datetime.now(UTC)
    term = write_term(now.date())
    statements: list[str] = []
    run = {"import_s": seconds(lambda: import_timetable(engine, term, "never", now))}
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    run["again_s"] = seconds(lambda: import_timetable(engine, term, "never", now))
    run["again_writes"] = sum(text.lstrip().startswith(_WROTE) for text in statements)
    run["occurrences"] = count(engine, Occurrence)
    run |= measure_unrolling(engine, now)
    user, _ = users.invite_user(engine, "bench@example.org", None, "admin")
    _, key = users.create_key(engine, user["id"], "bench", SCOPES, now)
    with serve(url) as address, requests.Session() as client:
        client.headers["key"] = key
        week = f"{address}/timetable?week={(now + timedelta(weeks=1)).date().isoformat()}"
        run["week_ms"] = median_ms(lambda: client.get(week, timeout=60).raise_for_status())
        where = f"{address}/api/v1/where"
        asked = {"q": f"lecture {records // 2}"}
        run["where_ms"] = median_ms(
            lambda: client.get(where, params=asked, timeout=60).raise_for_status()
        )
    engine.dispose()
    return run


def write_term(today: date) -> TimetableText:
    """Return a sheet of 200 weekly lectures in 50 rooms, for 15 weeks."""
    rows = [
        (
            f"COURSE-{n},Lecture {n},{'MTWRF'[n % 5]},{8 + n // ROOMS * 2:02}:00,"
            f"{9 + n // ROOMS * 2:02}:30,room {n % ROOMS},",
            f"lecturer{n}@example.org",
        )
        for n in range(SERIES)
    ]
    return _sheet("term.csv", rows, today)


def write_meetings(today: date) -> TimetableText:
    """Return a sheet of 200 meetings, three times a week: nothing is requested for them."""
    rows = [
        (
            f"ONLINE-{n},Section {n},MWF,{8 + n % 10:02}:00,{9 + n % 10:02}:30,,"
            f"{80_000_000_000 + n}",
            "",
        )
        for n in range(SERIES)
    ]
    return _sheet("meetings.csv", rows, today)


def _sheet(name: str, rows: list[tuple[str, str]], today: date) -> TimetableText:
    """Return a sheet of rows, each with its owner, from today until the end of the term."""
    until = today + timedelta(weeks=WEEKS)
    lines = [f"{row},{today},{until},{owner}" for row, owner in rows]
    return TimetableText(name, (Tab("\n".join((_HEADINGS, *lines))),))


def measure_unrolling(engine: Engine, now: datetime) -> dict[str, float]:
    """Time how the occurrences of the coming weeks are written, and then that all are there."""
    import_timetable(engine, write_meetings(now.date()), "never", now)
    before = count(engine, Occurrence)
    is_online = Occurrence.series_id.in_(select(Series.id).where(Series.source == "meetings.csv"))
    writing(engine, lambda session: session.execute(delete(Occurrence).where(is_online)))
    unrolled = before - count(engine, Occurrence)
    return {
        "unroll_s": seconds(lambda: unroll.unroll(engine, now)),
        "unrolled": unrolled,
        "unroll_again_s": seconds(lambda: unroll.unroll(engine, now)),
    }


def count(engine: Engine, table: type) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def seconds(act: Callable[[], object]) -> float:
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def median_ms(ask: Callable[[], object]) -> float:
    return 1000 * statistics.median(seconds(ask) for _ in range(_LOOKS))


def table(result: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    where = result["machine"]
    lines = [
        f"Measured on {where['cpu']}, {where['cores']} cores, {where['memory_gib']} GiB. A term is"
        f" {SERIES} series of {WEEKS} weeks in {ROOMS} rooms, beside {result['records']}"
        " recordings.",
        "",
        "| database | term imported, s | imported again, s (writes) | occurrences unrolled | s |"
        " again, s | page of a week, ms | where a lecture is, ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {run['database']} | {run['import_s']:.1f} | {run['again_s']:.2f}"
        f" ({run['again_writes']}) | {run['unrolled']} | {run['unroll_s']:.2f} |"
        f" {run['unroll_again_s']:.2f} | {run['week_ms']:.0f} | {run['where_ms']:.0f} |"
        for run in result["runs"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
