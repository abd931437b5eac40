"""`python -m bench.service`: the queue by itself, and the service beside the bare command."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert

from bench import contenders, media
from bench.measure import measure
from bench.run import PAGE, WORK, machine
from bench.table import between_marks
from merger import config
from merger.db.engine import connect, writing
from merger.db.schema import upgrade
from merger.records import requests, views
from merger.records.processing import queue
from merger.render import ffmpeg
from models import Record, Room, Source
from tests.support.databases import MariaDB

CLAIMERS = 8
ROOMS = 50
MARKS = ("<!-- service: begin -->", "<!-- service: end -->")
_LEASE = timedelta(minutes=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.service", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long the lecture is (10)")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything runs (3)")
    parser.add_argument("--queued", type=int, default=10_000, help="rows in the queue (10000)")
    parser.add_argument("--claims", type=int, default=1000, help="claims that are timed (1000)")
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    result: dict[str, Any] = {
        "machine": machine(ffmpeg.find_tool(None)),
        "claims": [],
        "overhead": [],
    }
    with databases() as urls:
        for _ in range(options.rounds):
            for name, make in urls.items():
                for queued in (options.claims, options.queued):
                    run = measure_claims(make(), queued, options.claims)
                    result["claims"].append({"database": name, "queued": queued, **run})
                    print(name, queued, run, file=sys.stderr)
    lecture = media.make_lecture(ffmpeg.find_tool(None).path, WORK, options.minutes)
    for _ in range(options.rounds):
        run = measure_overhead(lecture)
        result["overhead"].append(run)
        print(run, file=sys.stderr)
    result["minutes"] = options.minutes
    (WORK / "service.json").write_text(json.dumps(result, indent=1))
    text = tables(result)
    print(text)
    if options.write_docs:
        PAGE.write_text(between_marks(PAGE.read_text(), text, MARKS))


@contextmanager
def databases() -> Iterator[dict[str, Any]]:
    """Give functions that make an empty database each, by name."""
    with tempfile.TemporaryDirectory(prefix="b") as folder:
        server = MariaDB(Path(folder))
        server.install()
        server.start()
        numbers = iter(range(1000))
        try:
            yield {
                "SQLite": lambda: f"sqlite:///{folder}/{next(numbers)}.db",
                "MariaDB": server.create,
            }
        finally:
            server.stop()


def fill_database(url: str, queued: int) -> Engine:
    """Return a database with so many due records, spread over rooms."""
    engine = connect(url)
    upgrade(engine)
    now = datetime.now(UTC)

    def fill(session: Any) -> None:
        session.execute(
            insert(Room),
            [{"name": f"room {n}", "zone": "UTC", "chunk_s": 1800} for n in range(ROOMS)],
        )
        session.execute(
            insert(Record),
            [
                {
                    "room_id": 1 + n % ROOMS, "start_at": now - timedelta(hours=3), "zone": "UTC",
                    "end_at": now - timedelta(hours=2), "event_name": f"lecture {n}",
                    "layout": "side_by_side", "profile": "720p", "created_at": now,
                    "updated_at": now, "run_after": now - timedelta(seconds=n + 1),
                }
                for n in range(queued)
            ],
        )  # fmt: skip

    writing(engine, fill)
    return engine


def measure_claims(url: str, queued: int, wanted: int) -> dict[str, float]:
    """Time claims by several processes at once, and the way of a new record to its claim."""
    engine = fill_database(url, queued)
    latency = []
    for n in range(20):
        begun = time.monotonic()
        now = datetime.now(UTC)
        request = requests.Request(f"room {n}", now - timedelta(hours=5), now - timedelta(hours=4))
        requests.request_record(engine, request, now - timedelta(days=1))
        queue.claim_next(engine, "alone", datetime.now(UTC), _LEASE)
        latency.append(time.monotonic() - begun)
    engine.dispose()
    each = wanted // CLAIMERS
    command = [sys.executable, "-m", "bench.claiming", url]
    children = [
        subprocess.Popen(
            [*command, f"claimer {n}", str(each)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for n in range(CLAIMERS)
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    begun = time.monotonic()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    took = [json.loads(child.communicate()[0]) for child in children]
    wall = time.monotonic() - begun
    made = sum(len(one) for one in took)
    longest = sorted(second for one in took for second in one)
    return {
        "per_s": made / wall,
        "p99_ms": 1000 * longest[int(len(longest) * 0.99) - 1],
        "insert_to_claim_ms": 1000 * statistics.median(latency),
    }


def measure_overhead(lecture: media.Lecture) -> dict[str, float]:
    """Time the bare command and the service for the same lecture, one after the other."""
    bare = _run_in(contenders.our_command(lecture, "720p"), {})
    with tempfile.TemporaryDirectory(prefix="service", dir=WORK) as text:
        folder = Path(text)
        environ = {
            "MERGER_DATA": str(folder / "data"),
            "SQLALCHEMY_DATABASE_URI": "",
            "MERGER_KEEP_SEGMENTS_DAYS": "14",
        }
        settings = config.load({**os.environ, **environ})
        engine = connect(settings.database_address)
        upgrade(engine)

        def room(session: Any) -> None:
            row = Room(name=media.ROOM, zone=media.ZONE.key)
            row.sources = [
                Source(name=role, role=role, kind="folder", address=str(lecture.library))
                for role in ("speaker", "screen", "board")
            ]
            session.add(row)

        writing(engine, room)
        request = requests.Request(media.ROOM, lecture.start, lecture.end)
        record, _ = requests.request_record(engine, request, lecture.end)
        service = _run_in(
            [sys.executable, str(Path(__file__).parents[1] / "app.py"), "daemon", "--once"], environ
        )
        status = views.record_details(engine, record)["status"]
        if status != "delivered":
            raise RuntimeError(f"the record is {status}: {views.record_details(engine, record)}")
        engine.dispose()
    return {"bare_s": bare, "service_s": service}


def _run_in(command: list[str], environ: dict[str, str]) -> float:
    folder = WORK / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.sync()
    took = measure(command, folder, {**contenders.our_environment(folder), **environ})
    shutil.rmtree(folder)
    return float(took.document()["wall_s"])


def tables(result: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    where = result["machine"]
    lines = [
        f"Measured on {where['cpu']}, {where['cores']} cores, {where['memory_gib']} GiB;"
        f" Linux {where['kernel']}; medians, and in parentheses the smallest and the largest.",
        "",
        f"| database | queued | claims per second, {CLAIMERS} processes | p99 of a claim, ms |"
        " insert to claim, ms |",
        "|---|---:|---:|---:|---:|",
    ]
    kinds = sorted({(run["database"], run["queued"]) for run in result["claims"]})
    for database, queued in kinds:
        runs = [r for r in result["claims"] if (r["database"], r["queued"]) == (database, queued)]
        cells = [_spread([r[k] for r in runs]) for k in ("per_s", "p99_ms", "insert_to_claim_ms")]
        lines.append(f"| {database} | {queued} | {' | '.join(cells)} |")
    ratios = [run["service_s"] / run["bare_s"] for run in result["overhead"]]
    lines += [
        "",
        f"The same {result['minutes']:g}-minute lecture: `daemon --once` / `merge`, wall:"
        f" **{_spread(ratios, 3)}**. The goal is at most 1.02.",
    ]
    return "\n".join(lines)


def _spread(values: list[float], digits: int = 0) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    main()
