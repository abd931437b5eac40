"""The API: timetables are imported, for those who look after rooms."""

from __future__ import annotations

from flask import Response
from flask import request as flask_request
from werkzeug.exceptions import UnsupportedMediaType

from merger.errors import Invalid
from merger.series.timetables.import_document import import_document
from merger.series.timetables.importing import (
    check_source,
    earlier_of,
    import_timetable,
    preview_import,
)
from merger.series.timetables.refreshing import refresh_timetable, with_term
from merger.series.timetables.source_state import configured_sources
from merger.series.timetables.texts import Tab, TimetableText
from merger.timetable.sheet import sheet_text
from merger.web.api import base
from merger.web.api.schemas.timetable_import import (
    ImportOut,
    ImportQuery,
    RefreshOut,
    RefreshQuery,
    TimetableRaw,
)
from merger.web.auth import require_principal, service

blueprint = base.resources("timetable", "Timetables: lectures as others have planned them.")


@blueprint.post("/timetable", responses={"200": ImportOut}, operation_id="importTimetable")
def load(query: ImportQuery, raw: TimetableRaw) -> Response:
    """Import a timetable: all of it, or nothing if it is of no use as a whole.

    Lines that were not understood are in `complaints`; the others are taken. Importing the same
    again changes nothing.
    """
    require_principal("rooms")
    if flask_request.mimetype not in TimetableRaw.mimetypes:
        raise UnsupportedMediaType
    tab = Tab(sheet_text(flask_request.get_data()))
    texts = TimetableText(check_source(query.source), (tab,))
    act = preview_import if query.dry_run else import_timetable
    report = act(
        service().engine, with_term(texts, service().settings), "all" if query.remove else "never",
        service().now(), earlier_of(query.adopt, query.end),
    )  # fmt: skip
    return base.reply(import_document(report))


@blueprint.post(
    "/timetable/refresh", responses={"200": RefreshOut}, operation_id="refreshTimetables"
)
def refresh(query: RefreshQuery) -> Response:
    """Read the timetables of the settings now, as it is done every hour."""
    require_principal("rooms")
    sources = configured_sources(service().settings)
    if not sources:
        raise Invalid("timetable", "timetable.import.none_configured")
    reports = [
        refresh_timetable(
            service(), source, "all" if query.remove else "few", service().now(),
            dry_run=query.dry_run,
        )
        for source in sources
    ]  # fmt: skip
    documents = [import_document(report) for report in reports if report is not None]
    return base.reply({"timetables": documents})
