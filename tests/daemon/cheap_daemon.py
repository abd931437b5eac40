"""A daemon whose workers do nothing but say so: `python -m tests.daemon.cheap_daemon NAME FILE`.

It says that it is ready, waits for a line, works off what is due, and ends. Settings are the
product's.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

from merger.config import load
from merger.daemon import processes
from merger.daemon.daemon import Daemon
from merger.daemon.loop import Signals, run_once
from merger.db.engine import connect
from merger.records.processing.queue import Claim
from merger.service import Service
from recorders.registry import kinds, recorder_of
from tests.support.line import NOON


def main() -> None:
    name, file = sys.argv[1:]
    settings = load(os.environ)
    engine = connect(settings.database_address)
    service = Service(engine, settings, partial(recorder_of, kinds()), (), lambda: NOON)
    worker = Path(__file__).with_name("cheap_worker.py")
    start = processes.worker_starter(
        [sys.executable, "-I", str(worker), settings.database_address, file]
    )
    print("ready", flush=True)
    sys.stdin.readline()
    idle = processes.worker_starter(["true"])
    daemon = Daemon(service, start, lambda: idle(Claim(0, 0, name)), name)
    run_once(daemon, Signals(lambda: 0, time.sleep))
    engine.dispose()


if __name__ == "__main__":
    main()
