"""A worker that crashes at a named place: `python -m tests.faults.crashing PLACE WHAT WHEN RECORD ATTEMPT WORKER`.

WHAT: kill (as `kill -9`), exit, stop (until somebody says SIGCONT), or raise. WHEN: which time it gets there.
The rest is the worker of the product, with a profile that encodes fast.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from merger import failpoints
from merger.timeline import profiles
from merger.timeline.profiles import Profile
from tests.support.fast_encoder import FAST_ENCODERS


def main() -> int:
    place, what, when, *claim = sys.argv[1:]
    profiles.PROFILES = {**profiles.PROFILES, "tiny": Profile("tiny", 180, "h264")}  # type: ignore[misc]
    profiles.ENCODERS = FAST_ENCODERS  # type: ignore[misc]
    left = int(when)
    resting = threading.Lock()

    def hook(name: str) -> None:
        nonlocal left
        left -= name == place
        if name != place or left != 0:
            return
        print(f"reached {place}", flush=True)
        if what == "raise":
            raise RuntimeError(f"a mistake at {place}")
        if what == "kill":
            signal.raise_signal(signal.SIGKILL)
        if what == "exit":  # as a library may
            os._exit(7)
        # The heartbeat may be in the middle of a transaction, which a stopped process keeps open: then
        # the others wait for it, and nothing is tested.
        with resting:
            signal.raise_signal(signal.SIGSTOP)

    failpoints.hook = hook
    import app
    from merger.worker.heartbeat import Heartbeat

    beat = Heartbeat.beat

    def beat_alone(heartbeat: Heartbeat) -> None:
        with resting:
            beat(heartbeat)

    Heartbeat.beat = beat_alone  # type: ignore[method-assign]
    return app.main(["work", *claim])


if __name__ == "__main__":
    sys.exit(main())
