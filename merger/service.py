"""The service as it is put together: what workers, the daemon and the pages find to work with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from merger.db.key_file import use_key_file
from merger.ports.announcer import Announcer
from merger.ports.calendar import CalendarReader
from merger.ports.destination import Destination, RawDestination
from merger.ports.discovery import Discovery
from merger.ports.recorder import Recorder
from merger.ports.sheets import SheetReader

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from merger.config import Settings


@dataclass(frozen=True)
class Service:
    """All that workers and the daemon are plugged into. now: the wall clock, aware."""

    engine: Engine
    settings: Settings
    recorder_of: Callable[[str], Recorder]
    destinations: Sequence[Destination]
    now: Callable[[], datetime]
    offering: Mapping[str, Discovery] = field(default_factory=dict)  # by kind
    announcers: Sequence[Announcer] = ()
    calendars: CalendarReader | None = None  # of rooms; None where nobody has any
    # Of sources that there are, to choose from, each with an example of an address.
    kinds: Mapping[str, str] = field(default_factory=dict)
    raw_destinations: Sequence[RawDestination] = ()  # of rooms that have their segments uploaded
    sheets: SheetReader | None = None  # None where nobody has any

    def __post_init__(self) -> None:
        use_key_file(self.engine, self.settings.secret_file)
