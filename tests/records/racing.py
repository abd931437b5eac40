"""Processes that claim from one queue at once: for a test, and by hand with many more records.

`python -m tests.records.racing --records 10000` does it on SQLite and on a MariaDB of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Engine, select

from merger.db import schema
from merger.db.engine import connect, reading
from models import Record
from tests.support.databases import MariaDB
from tests.support.line import claims, fill

ROOT = Path(__file__).parents[2]


def race(url: str, processes: int) -> tuple[list[int], float]:
    """Have processes claim until nothing is left; return how many records each has, and seconds."""
    with ExitStack() as started:
        racers = []
        for n in range(processes):
            racer = subprocess.Popen(
                [sys.executable, "-m", "tests.support.claiming", url, f"process {n}"],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            started.enter_context(racer)
            started.callback(racer.kill)
            racers.append(racer)
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        begun = time.monotonic()
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        said = [racer.communicate()[0] for racer in racers]
        lasted = time.monotonic() - begun
        assert [racer.returncode for racer in racers] == [0] * processes
    return [int(text) for text in said], lasted


def check(engine: Engine, records: int, taken: list[int]) -> None:
    """Check that each of the records was claimed once, by whoever it says."""
    assert sum(taken) == records
    assert sorted(claims(engine)) == [(n, 1) for n in range(1, records + 1)]
    with reading(engine) as session:
        rows = session.execute(select(Record.status, Record.attempt, Record.claimed_by)).all()
    assert {row[:2] for row in rows} == {("running", 1)}
    claimed = Counter(row[2] for row in rows)
    assert [claimed[f"process {n}"] for n in range(len(taken))] == taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text, ExitStack() as opened:
        folder = Path(text)
        server = MariaDB(folder)
        server.install()
        server.start()
        opened.callback(server.kill)
        for url in (f"sqlite:///{folder / 'database.sqlite'}", server.create()):
            engine = connect(url)
            opened.callback(engine.dispose)
            schema.upgrade(engine)
            fill(engine, options.records)
            taken, lasted = race(url, options.processes)
            check(engine, options.records, taken)
            print(
                f"{engine.dialect.name}: {options.records} records by {options.processes} processes"
                f" in {lasted:.1f} s, {options.records / lasted:.0f} a second; each has {taken}",
                flush=True,
            )


if __name__ == "__main__":
    main()
