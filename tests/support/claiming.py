"""A process that claims until nothing is left: `python -m tests.support.claiming ADDRESS WORKER`.

It says that it is ready, waits for a line, and says in the end how many records it has.
"""

from __future__ import annotations

import sys

from merger.db.engine import connect, reading
from merger.records.processing import queue
from models import Record
from tests.support.line import LEASE, NOON


def main() -> None:
    address, worker = sys.argv[1:]
    engine = connect(address)
    with reading(engine) as session:
        session.get(Record, 1)  # all that happens once has happened
    print("ready", flush=True)
    sys.stdin.readline()
    claimed = 0
    while queue.claim_next(engine, worker, NOON, LEASE) is not None:
        claimed += 1
    engine.dispose()
    print(claimed)


if __name__ == "__main__":
    main()
