"""Where the files of one source meet, as far as their names leave it open. Pure.

A name says when a file began to the second, or to the minute. Files that follow each other without
a gap then seem to overlap, or to leave a gap, by less than that. See docs/decisions/0031.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from merger.timeline.clock import MICROSECOND

_NONE = timedelta(0)


@dataclass(frozen=True)
class Named:
    """A file as its name, or a sidecar, has it.

    leeway: it began at its start or later, by less than this; zero: exactly then.
    """

    start: datetime
    length: timedelta
    leeway: timedelta = _NONE


def seamless_starts(files: Sequence[Named]) -> list[datetime]:
    """Return when files of one source began, given that one recorder wrote them one after another.

    As early as all their names together allow: where two seem to overlap, the second began when the
    first ended; where they seem to leave a gap, the first, and all that it follows at once, began
    so much later. What no name leaves open stays an overlap, or a gap.

    Args:
        files: in the order of their starts.
    """
    starts: list[datetime] = []
    first, slack = 0, _NONE  # the files from the first one on meet, and may all be that much later
    for n, file in enumerate(files):
        leeway = max(_NONE, file.leeway - MICROSECOND)
        follows = starts[-1] + files[n - 1].length if n else None
        if follows is not None and -leeway <= file.start - follows <= slack:
            later = max(_NONE, file.start - follows)
            starts[first:] = [start + later for start in starts[first:]]
            starts.append(max(file.start, follows))
            slack = min(slack - later, file.start + leeway - starts[-1])
        else:
            starts.append(file.start)
            first, slack = n, leeway
    return starts
