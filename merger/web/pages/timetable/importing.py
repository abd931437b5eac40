"""The page on which timetables are imported: a text or a file, first shown, then applied."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import request

from merger.errors import Invalid, MergerError
from merger.series.timetables.import_document import import_document
from merger.series.timetables.importing import (
    Earlier,
    check_source,
    import_timetable,
    preview_import,
)
from merger.series.timetables.refreshing import refresh_timetable, with_term
from merger.series.timetables.source_state import findings_of_sources
from merger.series.timetables.texts import Tab, TimetableText
from merger.timeline.zones import zone_named
from merger.timetable.cells import read_date
from merger.timetable.sheet import sheet_text
from merger.web.auth import require_principal, service
from merger.web.language import translate_document
from merger.web.pages.base import Answer, Errors, blueprint, form, phrases_of_error

_PAGE = "timetable/import.html"
_FIELDS = ("text", "source", "zone", "first", "last")


@blueprint.get("/timetable/import")
def import_page() -> Answer:
    """Show the form, and how the timetables of the settings are."""
    require_principal("rooms")
    return _page({}, dict.fromkeys(_FIELDS, ""))


@blueprint.post("/timetable/import")
def import_from_form() -> Answer:
    """Show what a timetable would change; with `apply`, have it so."""
    require_principal("rooms")
    typed = {name: request.form.get(name, "") for name in _FIELDS}
    removals: Any = "all" if "remove" in request.form else "never"
    try:
        texts, earlier = _texts(typed), _earlier()
        act = import_timetable if "apply" in request.form else preview_import
        report = act(service().engine, texts, removals, service().now(), earlier)
    except Invalid as error:
        field = error.code if error.code in _FIELDS else "text"
        return _page({field: phrases_of_error(error)}, typed)
    found = translate_document(import_document(report))
    return _page({}, typed, found=found, removes=removals == "all")


@blueprint.post("/timetable/refresh")
def refresh_from_form() -> Answer:
    """Read a timetable of the settings: show what it would change; with `apply`, have it so."""
    require_principal("rooms")
    typed = dict.fromkeys(_FIELDS, "")
    source = request.form.get("source", "")
    removals: Any = "all" if "remove" in request.form else "few"
    if source not in (name for name, _, _ in _sources()):
        return _page({"text": phrases_of_error(_not_configured())}, typed)
    try:
        report = refresh_timetable(
            service(), source, removals, service().now(), dry_run="apply" not in request.form,
            earlier=_earlier(),
        )  # fmt: skip
    except MergerError as error:
        return _page({"text": phrases_of_error(error)}, typed)
    found = report and translate_document(import_document(report))
    return _page({}, typed, found=found, removes=removals == "all", of_settings=source)


def _texts(typed: dict[str, str]) -> TimetableText:
    """Return what somebody has sent. Raises Invalid; the code is a field of the form."""
    file = request.files.get("file")
    if file is not None and file.filename:
        typed["text"] = sheet_text(file.read())
        typed["source"] = typed["source"] or file.filename.rpartition(".")[0] or file.filename
    typed["source"] = typed["source"].strip()
    source = check_source(typed["source"])
    zone = zone_named(typed["zone"].strip()).key if typed["zone"].strip() else ""
    first, last = _day(typed, "first"), _day(typed, "last")
    texts = TimetableText(source, (Tab(typed["text"]),), None, zone, first, last)
    return with_term(texts, service().settings)


def _earlier() -> Earlier | None:
    """Return what is to become of an earlier timetable, as the form has it: "adopt NAME", say."""
    act, _, name = request.form.get("earlier", "").partition(" ")
    return Earlier(name, act) if act in ("adopt", "end") else None  # type: ignore[arg-type]


def _day(typed: dict[str, str], field: str) -> date | None:
    try:
        return read_date(typed[field].strip()) if typed[field].strip() else None
    except Invalid as error:
        raise Invalid(field, error.message) from error


def _not_configured() -> Invalid:
    return Invalid("timetable", "timetable.import.none_configured")


def _sources() -> list[Any]:
    return findings_of_sources(service().engine, service().settings)


def _page(
    errors: Errors, typed: dict[str, str], *, found: Any = None, removes: bool = False,
    of_settings: str = "",
) -> Answer:  # fmt: skip
    return form(
        _PAGE, errors, typed=typed, found=found, removes=removes, of_settings=of_settings,
        sources=_sources(), earlier=request.form.get("earlier", ""),
    )  # fmt: skip
