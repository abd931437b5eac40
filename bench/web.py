"""`python -m bench.web`: the records page with many records, and many clients that ask at once."""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from bench.run import PAGE, WORK, machine
from bench.service import databases, fill_database
from bench.table import between_marks
from merger.accounts import users
from merger.accounts.permissions import SCOPES
from merger.db.engine import reading, writing
from merger.i18n import Message, to_json
from merger.render import ffmpeg
from models import Chunk, Record

APP = Path(__file__).parents[1] / "app.py"
MARKS = ("<!-- web: begin -->", "<!-- web: end -->")
_LOOKS = 100
_STARTS_WITHIN_S = 60
_CHUNK = timedelta(minutes=20)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.web", description=__doc__)
    parser.add_argument("--records", type=int, default=10_000, help="rows in the table (10000)")
    parser.add_argument("--clients", type=int, default=50, help="that ask at once (50)")
    parser.add_argument("--seconds", type=float, default=30, help="for how long they ask (30)")
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    result: dict[str, Any] = {"machine": machine(ffmpeg.find_tool(None)), "runs": []}
    with databases() as urls:
        for name, make in urls.items():
            url = make()
            engine = fill_database(url, options.records)
            deliver_all(engine)
            user, _ = users.invite_user(engine, "bench@example.org", None, "admin")
            _, key = users.create_key(engine, user["id"], "bench", SCOPES, datetime.now(UTC))
            with serve(url) as address:
                run = {"database": name, **measure_pages(address, key)}
                run |= measure_posts(address, key, engine, options.clients, options.seconds)
            engine.dispose()
            result["runs"].append(run)
            print(run, file=sys.stderr)
    result |= {"records": options.records, "clients": options.clients, "seconds": options.seconds}
    (WORK / "web.json").write_text(json.dumps(result, indent=1))
    text = tables(result)
    print(text)
    if options.write_docs:
        PAGE.write_text(between_marks(PAGE.read_text(), text, MARKS))


def deliver_all(engine: Engine) -> None:
    """Have all records be delivered, with reports; those on the first pages with slides."""
    warning = to_json(Message("timeline.silence", seconds=1.0))
    scene = {"start": "2026-11-20T10:00:00+00:00", "end": "2026-11-20T10:00:00+00:00"}
    report = {
        "warnings": [str(warning)] * 3, "warning_messages": [warning] * 3, "scenes": [scene] * 100,
    }  # fmt: skip
    picture = {"at": "2026-11-20T10:00:00+00:00", "verdict": "presentation", "jpeg": "A" * 10_000}

    def write(session: Session) -> None:
        session.execute(
            update(Record).values(
                status="delivered", stage="deliver", delivered_version=1, report=json.dumps(report)
            )
        )
        newest = session.execute(
            select(Record.id, Record.start_at).order_by(Record.id.desc()).limit(100)
        )
        session.add_all(
            Chunk(
                record_id=record, start_at=start + n * _CHUNK, end_at=start + (n + 1) * _CHUNK,
                presence=True, verdict="presentation", score=1.0, samples=5, reasons=[],
                pictures=json.dumps([picture] * 5),
            )
            for record, start in newest
            for n in range(3)
        )  # fmt: skip

    writing(engine, write)


@contextmanager
def serve(url: str) -> Iterator[str]:
    """Run the web service on a database; give its address."""
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        environ = {
            **os.environ, "SQLALCHEMY_DATABASE_URI": url, "MERGER_DATA": folder,
            "MERGER_CACHE": f"{folder}/cache",
        }  # fmt: skip
        log = Path(folder) / "log"
        with log.open("wb") as file:
            child = subprocess.Popen(
                [sys.executable, str(APP), "web", "--port", "0"], env=environ, stderr=file
            )
        try:
            until = time.monotonic() + _STARTS_WITHIN_S
            while not (found := re.search(r"listening on (http://\S+)", log.read_text())):
                if child.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"the web service did not start:\n{log.read_text()}")
                time.sleep(0.05)
            yield found[1].rstrip("/")
        finally:
            child.terminate()
            child.wait()


def measure_pages(address: str, key: str) -> dict[str, float]:
    """Time the first page of records, and a page of the API, one request after the other."""
    told = {}
    for what, path in (("page", "/records?whose=all&tab=recordings"), ("api", "/api/v1/records")):
        with requests.Session() as client:
            client.headers["key"] = key
            took = []
            for _ in range(_LOOKS):
                begun = time.monotonic()
                client.get(f"{address}{path}", timeout=60).raise_for_status()
                took.append(1000 * (time.monotonic() - begun))
        told |= {f"{what}_ms": statistics.median(took), f"{what}_p99_ms": _p99(took)}
    return told


def measure_posts(
    address: str, key: str, engine: Engine, clients: int, seconds: float
) -> dict[str, float | int]:
    """Have clients ask for records as fast as they can; count what was answered and what is there.

    Each sends every request twice under one idempotency key, as after a lost answer.
    """
    with reading(engine) as session:
        before = session.scalar(select(func.count(Record.id))) or 0
    answers: list[list[tuple[float, int, int]]] = [[] for _ in range(clients)]
    until = time.monotonic() + seconds
    begun = datetime(2026, 1, 1, tzinfo=UTC)

    def client(number: int) -> None:
        with requests.Session() as session:
            session.headers["key"] = key
            n = 0
            while time.monotonic() < until:
                start = begun + timedelta(days=number, minutes=n)
                body = {
                    "room": f"room {number}", "start": start.isoformat(),
                    "end": (start + timedelta(minutes=30)).isoformat(),
                }  # fmt: skip
                for _ in range(2):
                    sent = time.monotonic()
                    got = session.post(
                        f"{address}/api/v1/records", json=body, timeout=60,
                        headers={"Idempotency-Key": f"{number}-{n}"},
                    )  # fmt: skip
                    took = 1000 * (time.monotonic() - sent)
                    answers[number].append((took, got.status_code, got.json().get("id", 0)))
                n += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    start_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s = time.monotonic() - start_s
    every = [answer for one in answers for answer in one]
    made = {record for _, status, record in every if status == 201}
    with reading(engine) as session:
        after = session.scalar(select(func.count(Record.id))) or 0
    return {
        "requests_per_s": len(every) / wall_s,
        "p50_ms": statistics.median(took for took, _, _ in every),
        "p99_ms": _p99([took for took, _, _ in every]),
        "refused": sum(status != 201 for _, status, _ in every),
        "made": len(made),
        "lost_or_double": abs(after - before - len(made)),
    }


def _p99(values: list[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.99) - 1)]


def tables(result: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    where = result["machine"]
    lines = [
        f"Measured on {where['cpu']}, {where['cores']} cores, {where['memory_gib']} GiB; clients"
        f" and service on the same cores. {result['records']} records;"
        f" {result['clients']} clients for {result['seconds']:g} s.",
        "",
        "| database | page of records, ms (p99) | same by the API, ms (p99) | POST, per second |"
        " POST, ms (p99) | not 201 | records made | lost or double |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {run['database']} | {run['page_ms']:.0f} ({run['page_p99_ms']:.0f}) |"
        f" {run['api_ms']:.0f} ({run['api_p99_ms']:.0f}) | {run['requests_per_s']:.0f} |"
        f" {run['p50_ms']:.0f} ({run['p99_ms']:.0f}) | {run['refused']} | {run['made']} |"
        f" {run['lost_or_double']} |"
        for run in result["runs"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
