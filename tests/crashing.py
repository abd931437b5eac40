"""A worker that crashes at a named place: `python -m tests.crashing PLACE WHAT WHEN RECORD ATTEMPT WORKER`.

WHAT: kill (as `kill -9`), stop (until somebody says SIGCONT), or raise. WHEN: which time it gets there.
The rest is the worker of the product, with a profile that encodes fast.
"""

from __future__ import annotations

import os
import signal
import sys

from merger import failpoints, profiles
from merger.profiles import Profile

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def main() -> int:
    place, what, when, *claim = sys.argv[1:]
    profiles.PROFILES = {**profiles.PROFILES, "tiny": Profile("tiny", 180, "h264")}  # type: ignore[misc]
    left = int(when)

    def hook(name: str) -> None:
        nonlocal left
        left -= name == place
        if name != place or left != 0:
            return
        print(f"reached {place}", flush=True)
        if what == "raise":
            raise RuntimeError(f"a mistake at {place}")
        os.kill(os.getpid(), SIGNALS[what])

    failpoints.hook = hook
    import app

    return app.main(["work", *claim])


if __name__ == "__main__":
    sys.exit(main())
