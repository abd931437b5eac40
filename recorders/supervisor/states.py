"""How it is with a live source, what can happen to it, and what can follow. Pure.

A source is in one phase, which has only the fields that belong to it:

    Waiting ──> Connecting ──> Joining ──> Recording      a process runs from Connecting on
       ^            │             │            │
       └── Stopping, Killed, Leaving <─────────┘          and ends from one of these

`transitions` says which event leads where. `_s` is in seconds of the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from merger.i18n import Message
from recorders.rtsp.wire import Arriving, Ended, Progress
from recorders.supervisor.schedule import Assignment, Purpose


@dataclass(frozen=True)
class Patience:
    """How long a source may be silent, in seconds. key_s: without a picture to begin with.

    Cameras that save bandwidth send a key frame every ten or twenty seconds.
    """

    open_s: float = 25.0
    media_s: float = 10.0
    key_s: float = 45.0


# --- phases ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """No process runs, and none is started before an instant."""

    until_s: float = 0.0


@dataclass(frozen=True)
class Connecting:
    """A process runs, and nothing has come from the source yet."""

    purpose: Purpose
    begun_s: float


@dataclass(frozen=True)
class Joining:
    """Something comes, and no key frame yet with which a file could begin."""

    purpose: Purpose
    first_s: float
    newest_s: float


@dataclass(frozen=True)
class Recording:
    """Media comes and is recorded. key_s: when the newest key frame was reported."""

    key_us: int
    key_s: float
    newest_s: float


@dataclass(frozen=True)
class Stopping:
    """The process was asked to close its file and end: it is not needed any more."""

    asked_s: float


@dataclass(frozen=True)
class Killed:
    """The process was killed because the source was silent."""

    purpose: Purpose
    why: Message


@dataclass(frozen=True)
class Leaving:
    """The process has reported why it ends."""

    purpose: Purpose
    ended: Ended


Phase = Waiting | Connecting | Joining | Recording | Stopping | Killed | Leaving


# --- a source -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outage:
    """A source that is to be recorded sends nothing. records: that miss it. code: of the reason."""

    since: datetime
    records: tuple[int, ...]
    code: str
    why: Message


@dataclass(frozen=True)
class SourceState:
    """A live source, as far as its recorder knows."""

    assignment: Assignment
    since: datetime  # it has this assignment, or is recorded for it
    phase: Phase = Waiting()
    is_wanted: bool = True
    outage: Outage | None = None
    captured_at: datetime | None = None  # the newest media
    failures: int = 0  # to record it, in a row
    empty_looks: tuple[Message, ...] = ()  # why the last looks in a row saw nothing
    looked_at: frozenset[int] = frozenset()  # records before which it was seen, or reported silent
    outages: Mapping[int, int] = field(default_factory=dict)  # how many, by record

    @property
    def captured_until(self) -> datetime:
        """When the newest media was captured, or since when there should be some."""
        return max(self.since, self.captured_at or self.since)

    @property
    def is_to_be_looked_at(self) -> bool:
        return not self.looked_at.issuperset(self.assignment.soon)


def silent_since(state: SourceState, patience: Patience, at_s: float) -> datetime | None:
    """Return since when nothing comes from a source; None while media comes."""
    phase = state.phase
    if isinstance(phase, Recording) and at_s - phase.newest_s <= patience.media_s:
        return None
    return state.outage.since if state.outage else state.captured_until


# --- events and effects ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Moment:
    """When something happens. chance: 0..1, by which pauses differ from each other."""

    at: datetime
    at_s: float
    chance: float = 0.5


@dataclass(frozen=True)
class Assigned:
    """The source is wanted; repeated at every tick."""

    assignment: Assignment


@dataclass(frozen=True)
class Unassigned:
    """The source is not wanted any more; repeated at every tick."""


@dataclass(frozen=True)
class Tick:
    """Time has passed."""

    patience: Patience = Patience()


@dataclass(frozen=True)
class StartFailed:
    """No process could be started."""


@dataclass(frozen=True)
class ProcessEnded:
    """The process is over. status: its exit status, below 0 where a signal killed it."""

    status: int


Event = Assigned | Unassigned | Tick | StartFailed | ProcessEnded | Arriving | Progress | Ended


@dataclass(frozen=True)
class StartProcess:
    """Start a process that records the source, or looks at it."""

    purpose: Purpose


@dataclass(frozen=True)
class StopProcess:
    """Ask it to close its file and end."""


@dataclass(frozen=True)
class KillProcess:
    """End it at once."""


@dataclass(frozen=True)
class Warn:
    """Write a warning to the log."""

    what: str
    why: Message


@dataclass(frozen=True)
class AddHistory:
    """Add a line to the history of some recordings."""

    records: tuple[int, ...]
    kind: str
    message: Message


@dataclass(frozen=True)
class Release:
    """Leave the source to whoever wants it next."""


Effect = StartProcess | StopProcess | KillProcess | Warn | AddHistory | Release
