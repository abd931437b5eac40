"""The timetables that the settings name: a sheet and a URL, read hourly by themselves.

A failure keeps the last timetable that was good; since when, and why, is kept for people. So is
that a timetable waits for somebody to confirm what would end.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from merger.config import Settings
from merger.db.connection_rules import rules_of
from merger.db.engine import writing
from merger.errors import Invalid, MergerError, did_you_mean
from merger.i18n import Message
from merger.network.fetching import fetch
from merger.ports.sheets import SheetReader
from merger.series.timetables.importing import (
    Earlier,
    Removals,
    Report,
    import_timetable,
    preview_import,
)
from merger.series.timetables.source_state import (
    URL_SOURCE,
    SourceState,
    claim,
    configured_sources,
    is_state_due,
    note,
    note_failure,
    read_states,
    sheet_id,
    sheet_source,
)
from merger.series.timetables.texts import Tab, TimetableText
from merger.service import Service
from merger.timetable.sheet import sheet_text, tab_names
from merger.timetable.table import LARGEST

log = logging.getLogger(__name__)

_WITHIN_S = 20.0
_DAYS_OFF = ("days off", "holidays", "выходные", "праздники")  # tabs, in lower case
_MISTAKE = Message("error.program_mistake")


def is_due(service: Service, now: datetime) -> bool:
    """Return whether a timetable is to be read now."""
    sources = configured_sources(service.settings)
    if not sources:
        return False
    states = read_states(service.engine, sources)
    return any(is_state_due(states[source], now) for source in sources)


def refresh_due(service: Service, now: datetime) -> None:
    """Read the timetables that are due. One that cannot be read does not stop the others."""
    for source in configured_sources(service.settings):
        if not writing(service.engine, lambda session, s=source: claim(session, s, now)):  # type: ignore[misc]
            continue
        try:
            refresh_timetable(service, source, "few", now, only_news=True)
        except MergerError as error:
            log.warning("the timetable %s cannot be read: %s", source, error.message)
        except Exception:  # what others write is odd at times
            log.exception("the timetable %s: a bug in this program", source)
            note_failure(service.engine, source, _MISTAKE, now)


def refresh_timetable(
    service: Service,
    source: str,
    removals: Removals,
    now: datetime,
    *,
    dry_run: bool = False,
    only_news: bool = False,
    earlier: Earlier | None = None,
) -> Report | None:
    """Read a timetable of the settings, and import it.

    Args:
        dry_run: only say what that would change.
        only_news: return None where its server says that it is what it was.
        earlier: what becomes of the series of another one, of which it is the new name.

    Raises:
        MergerError: it cannot be read; the last one stays, and the state says so.
    """
    engine = service.engine
    state = read_states(engine, [source])[source]
    try:
        found = _read(service, source, state.etag if only_news else "")
        if found is None:
            note(engine, source, SourceState(now, now, etag=state.etag))
            return None
        texts, etag = found
        if dry_run:
            return preview_import(engine, texts, removals, now, earlier)
        report = import_timetable(engine, texts, removals, now, earlier)
    except MergerError as error:
        if not dry_run:
            note_failure(engine, source, error.message, now)
        raise
    complaints = len(report.timetable.complaints)
    is_whole = not complaints and report.is_applied and not report.others
    new = SourceState(
        now, now, etag=etag if is_whole else "", complaints=complaints,
        needs_confirmation=report.needs_confirmation, others=", ".join(report.others),
    )  # fmt: skip
    note(engine, source, new)
    return report


# --- reading --------------------------------------------------------------------------------------


def _read(service: Service, source: str, etag: str) -> tuple[TimetableText, str] | None:
    """Return what a timetable says, and by which tag its server knows that; None for no news."""
    settings = service.settings
    if source != URL_SOURCE:
        sheet, tabs = settings.timetable_sheet, settings.timetable_tabs
        return with_term(read_sheet(service.sheets, sheet, tabs), settings), ""
    known, _, tag = etag.partition(" ")
    version = _version(settings)
    rules = rules_of(settings, service.engine, "timetables")
    fetched = fetch(
        settings.timetable_url.reveal(), rules, largest=LARGEST, within_s=_WITHIN_S,
        etag=tag if known == version else "",
    )  # fmt: skip
    if fetched is None:
        return None
    texts = with_term(TimetableText(source, (Tab(sheet_text(fetched.content)),)), settings)
    return texts, f"{version} {fetched.etag}" if fetched.etag else ""


def read_sheet(reader: SheetReader | None, sheet: str, tabs: str) -> TimetableText:
    """Return what tabs of a spreadsheet say.

    Args:
        tabs: their names, with commas; empty for the first.

    Raises:
        MergerError: it is not there, lacks a tab, or Google is not set up.
    """
    if reader is None:
        raise Invalid("sheet", "timetable.import.no_google")
    number = sheet_id(sheet)
    there = reader.tab_names(number)
    off = next((name for name in there if name.strip().casefold() in _DAYS_OFF), None)
    lectures = [name for name in there if name != off]
    wanted = [_tab(name, lectures) for name in tab_names(tabs)] or lectures[:1]
    days_off = Tab(reader.read_tab(number, off) if off else "", off or "")
    return TimetableText(
        sheet_source(sheet),
        tuple(Tab(reader.read_tab(number, name), name) for name in dict.fromkeys(wanted)),
        days_off,
    )


def _tab(name: str, there: Sequence[str]) -> str:
    found = next((tab for tab in there if tab.strip().casefold() == name.casefold()), None)
    if found is None:
        hint = did_you_mean(name, there)
        raise Invalid("tabs", "timetable.import.no_tab", tab=name, hint=hint)
    return found


def with_term(texts: TimetableText, settings: Settings) -> TimetableText:
    """Return a timetable with the zone and the term of the settings, where it has none."""
    return replace(
        texts,
        zone=texts.zone or settings.timetable_zone,
        first=texts.first or settings.timetable_from,
        last=texts.last or settings.timetable_until,
    )


def _version(settings: Settings) -> str:
    """Return a word for all that makes of the same text another timetable."""
    said = (
        settings.timetable_url.reveal(), settings.timetable_zone, str(settings.timetable_from),
        str(settings.timetable_until),
    )  # fmt: skip
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]
