"""One of several processes that claim records as fast as they can: `URL NAME HOW_MANY`."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta

from merger.db.engine import connect, reading
from merger.records.processing import queue
from models import Record


def main() -> None:
    url, name, how_many = sys.argv[1], sys.argv[2], int(sys.argv[3])
    engine = connect(url)
    with reading(engine) as session:
        session.get(Record, 1)
    print("ready", flush=True)
    sys.stdin.readline()
    took: list[float] = []
    for _ in range(how_many):
        begun = time.monotonic()
        if queue.claim_next(engine, name, datetime.now(UTC), timedelta(minutes=1)) is None:
            break
        took.append(time.monotonic() - begun)
    print(json.dumps(took))


if __name__ == "__main__":
    main()
