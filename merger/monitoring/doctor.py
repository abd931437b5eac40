"""Checks what the service needs of its surroundings: what is missing, and what to do about it.

It changes nothing, except that SQLite creates an empty file where there is no database yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import Engine

from merger.config import Settings
from merger.monitoring.checks.access import look_at_access
from merger.monitoring.checks.database import (
    look_at_clocks,
    look_at_database,
    look_at_key,
    look_at_schema,
)
from merger.monitoring.checks.folders import (
    look_at_folder,
    look_at_private_files,
    look_at_space,
)
from merger.monitoring.checks.programs import (
    look_at_confinement,
    look_at_ffmpeg,
    look_at_reading,
    look_at_setpriv,
)
from merger.monitoring.checks.rooms import look_at_rooms
from merger.monitoring.checks.timetables import look_at_timetables
from merger.monitoring.findings import Check, Finding, findings_of, look_at_all
from merger.ports.recorder import Recorder


def check(
    settings: Settings,
    engine: Engine,
    recorder_of: Callable[[str], Recorder],
    now: Callable[[], datetime],
    more: Sequence[Check] = (),
) -> list[Finding]:
    """Return the state of everything that the service needs.

    Args:
        now: the wall clock, aware.
        more: checks of what the core does not know.
    """
    findings: list[Finding] = []
    fits = True
    for first in _in_order(settings, engine, now):
        found = findings_of(first.what, first.look)
        findings += found
        if not _are_ok(found):
            fits = False
            break
    checks = (*_side_by_side(settings, engine, recorder_of, now), *more)
    return findings + look_at_all([one for one in checks if fits or not one.needs_tables])


def _in_order(settings: Settings, engine: Engine, now: Callable[[], datetime]) -> tuple[Check, ...]:
    """Return the checks of which each makes sense only where those before it found nothing."""
    return (
        Check("database", partial(look_at_database, engine)),
        Check("clocks", partial(look_at_clocks, engine, now)),
        Check("schema", partial(look_at_schema, engine)),
        Check("key file", partial(look_at_key, engine, settings.secret_file)),
    )


def _side_by_side(
    settings: Settings,
    engine: Engine,
    recorder_of: Callable[[str], Recorder],
    now: Callable[[], datetime],
) -> tuple[Check, ...]:
    folders = (
        ("cache folder (MERGER_CACHE)", settings.cache, True),
        ("data folder (MERGER_DATA)", settings.data, True),
        ("output folder (MERGER_OUTPUT)", settings.destination, settings.output is None),
    )
    return (
        Check("access", partial(look_at_access, settings, engine), needs_tables=True),
        Check("rooms", partial(look_at_rooms, engine, recorder_of, now), needs_tables=True),
        Check("timetables", partial(look_at_timetables, settings, engine), needs_tables=True),
        Check("ffmpeg", partial(look_at_ffmpeg, settings)),
        Check("setpriv", look_at_setpriv),
        Check("confinement", look_at_confinement),
        Check("reading of slides", look_at_reading),
        *(Check(w, partial(look_at_folder, w, folder, ours)) for w, folder, ours in folders),
        Check("disk space", partial(look_at_space, engine, settings, now), needs_tables=True),
        Check("private files", partial(look_at_private_files, settings)),
    )


def _are_ok(findings: list[Finding]) -> bool:
    return all(finding.ok for finding in findings)
