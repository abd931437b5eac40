"""The pages of records: the list, a single one, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request

from merger.accounts.permissions import Principal
from merger.errors import Refused
from merger.intake import asking
from merger.names import LONGEST_NAME
from merger.records import actions, views
from merger.records.browse import files, lists, previews
from merger.records.browse.previews import Preview
from merger.records.leave import MEETING
from merger.rooms import store
from merger.timeline import profiles
from merger.timeline.clock import Span, record_span
from merger.timeline.files.filenames import CAPTIONS, VIDEOS
from merger.timeline.layout import LAYOUTS
from merger.timeline.plan import Overrule
from merger.timeline.screen.chapters import sought
from merger.timeline.screen.decisions import lay_flat, right_named
from merger.timeline.zones import instant_from, offsets_of_twice, zone_named
from merger.web.auth import require_principal, service
from merger.web.display.record_state import State, state_of
from merger.web.display.timeline_svg import timeline
from merger.web.language import t
from merger.web.pages.base import (
    Answer,
    Errors,
    blueprint,
    field_problem,
    form,
    phrases_of_error,
    redirect_back,
)
from merger.web.pages.form_times import check_span, instant_of, turn_of
from merger.web.pages.selected import ask_about
from models import ENDED, STATUSES

PAGE = 25  # records
TABS = ("upcoming", "recordings")
TIMES = ("start", "end")
_SEARCH = ("whose", "q", "words", "room", "status", "day")


@dataclass(frozen=True)
class RecordWithState:
    """A record, its state, whether the reader may stop or replace it, and what a list shows."""

    record: Mapping[str, Any]
    state: State
    is_owner: bool
    preview: Preview


@blueprint.get("/records")
def listing() -> Answer:
    """Show a page of records: those to come, the others, or those that were searched for."""
    who = require_principal("read")
    search = {name: request.args.get(name, "").strip() for name in _SEARCH}
    tab = request.args.get("tab", "")
    cursor = request.args.get("cursor") or None
    errors: Errors = {}
    found: list[dict[str, Any]] = []
    following = None
    filled = {name: text for name, text in search.items() if text}
    is_searched = bool(filled.keys() - {"whose"})
    try:
        chosen = _filter(search, who, errors)
        if not errors and is_searched:
            tab = ""
            found, following = lists.page_of_records(service().engine, chosen, cursor, PAGE)
        elif not errors:
            tab, found, following = _of_tab(chosen, tab, cursor)
    except Refused as error:
        if error.code not in _SEARCH:
            raise
        errors[error.code] = phrases_of_error(error)
    here = {**filled, "tab": tab} if tab else filled
    return form(
        "records.html", errors, search=search, statuses=STATUSES,
        shown=with_states(found, who), is_searched=is_searched, tab=tab, page=PAGE,
        tabs={name: f"/records?{urlencode({**_whose(filled), 'tab': name})}" for name in TABS},
        rooms=store.zones_of_rooms(service().engine), is_first=cursor is None,
        watches=lists.watches_rooms(service().engine, who.only_of),
        first=f"/records?{urlencode(here)}",
        next=f"/records?{urlencode({**here, 'cursor': following})}" if following else None,
    )  # fmt: skip


def _of_tab(
    chosen: lists.Filter, tab: str, cursor: str | None
) -> tuple[str, list[dict[str, Any]], str | None]:
    """Return a page of a tab, and which it is: if none is named, the first that has anything."""
    now = service().now()
    filters = {
        "upcoming": replace(chosen, upcoming_at=now),
        "recordings": replace(chosen, finished_at=now),
    }
    for name in (tab,) if tab in TABS else TABS:
        found, following = lists.page_of_records(service().engine, filters[name], cursor, PAGE)
        if found:
            return name, found, following
    return tab if tab in TABS else TABS[0], [], None


def _whose(filled: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in filled.items() if name == "whose"}


def _filter(search: Mapping[str, str], who: Principal, errors: Errors) -> lists.Filter:
    if len(search["q"]) > LONGEST_NAME:
        errors["q"] = field_problem("too_long", longest=LONGEST_NAME)
    if len(search["words"]) > LONGEST_NAME:
        errors["words"] = field_problem("too_long", longest=LONGEST_NAME)
    if search["status"] and search["status"] not in STATUSES:
        errors["status"] = field_problem("choose")
    sees_all = who.sees_all and search["whose"] == "all"
    return lists.Filter(
        room=search["room"] or None,
        statuses=(search["status"],) if search["status"] else (),
        day=_day(search["day"], errors),
        text=search["q"] or None,
        words=search["words"] or None,
        reader=who.user,
        only_of=None if sees_all else who.user,
        is_theirs=search["whose"] != "all",
    )


def _day(text: str, errors: Errors) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        errors["day"] = field_problem("date", given=text)
        return None


def with_states(records: Sequence[Mapping[str, Any]], who: Principal) -> list[RecordWithState]:
    """Return records of a list with their states, and what the list shows beside them."""
    seen = previews.previews(service().engine, [record["id"] for record in records])
    now = service().now()
    return [_with_state(record, who, now, seen[record["id"]]) for record in records]


def _with_state(
    record: Mapping[str, Any], who: Principal, now: datetime, preview: Preview
) -> RecordWithState:
    is_owner = who.owns(record["users"])
    state = state_of(record, now, is_owner=is_owner)
    if not record["is_yours"]:
        state = replace(state, can=())  # whoever only watches changes nothing
    return RecordWithState(record, state, is_owner, preview)


@blueprint.get("/records/<int:record>/row")
def row(record: int) -> Answer:
    """Show a record's line of the list alone, to refresh an open page."""
    who = require_principal("read")
    [shown] = with_states([details_of(record, who)], who)
    return render_template("record_row.html", one=shown, selects="select" in request.args)


@blueprint.get("/records/<int:record>/status")
def status(record: int) -> Answer:
    """Show a record's state alone, to refresh an open page."""
    who = require_principal("read")
    [shown] = with_states([details_of(record, who)], who)
    return render_template("record_status.html", one=shown)


@blueprint.get("/records/<int:record>")
def show(record: int) -> Answer:
    """Show a record with all its details."""
    who = require_principal("read")
    details = details_of(record, who)
    return page_of_record(details, who, form_values(details), {})


def details_of(record: int, who: Principal) -> dict[str, Any]:
    return views.record_details(service().engine, record, who.only_of, who.user)


def page_of_record(
    details: dict[str, Any],
    who: Principal,
    typed: Mapping[str, str],
    errors: Errors,
    edited: Mapping[str, str] | None = None,
    edit_errors: Errors | None = None,
) -> Answer:
    """Return the page of a record.

    Args:
        details: its document.
        typed: into the form for a new version, of which `errors` says what is wrong.
        edited: typed into the form that changes it; likewise.
    """
    zone, words = zone_named(details["zone"]), request.args.get("words", "").strip()
    [shown] = with_states([details], who)
    renditions = _files_by_kind(details["id"], details["renditions"], VIDEOS)
    page = form(
        "record.html", errors, one=shown, record=details, typed=typed,
        picture=timeline(details, zone), layouts=LAYOUTS.values(), profiles=profiles.PROFILES,
        has_ended=details["status"] in ENDED, renditions=renditions,
        captions=_files_by_kind(details["id"], details["captions"], CAPTIONS),
        words=words, slides=list(_slides_with(details["chapters"], words)),
        deliveries=sorted(details["deliveries"], key=_place_of_delivery),
        share=_share_link(details, zone), video=_video(details, renditions),
        edited=edited or edit_values(details), edit_errors=edit_errors or {},
        is_movable=is_movable(details), rooms=store.zones_of_rooms(service().engine, who),
        edit_offsets={n: offsets_of_twice((edited or {}).get(n, ""), zone) for n in TIMES},
        offsets={name: offsets_of_twice(typed[name], zone) for name in ("start", "end")},
    )  # fmt: skip
    return (page, 422) if edit_errors and isinstance(page, str) else page


def _slides_with(
    chapters: Sequence[Mapping[str, Any]], words: str
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the slides that say all of some words, with their numbers."""
    wanted = sought(words)
    for number, chapter in enumerate(chapters):
        said = sought(chapter["words"]) if wanted else []
        if all(any(word.startswith(begins) for word in said) for begins in wanted):
            yield number, chapter


def edit_values(details: Mapping[str, Any]) -> dict[str, str]:
    """Return the current values of the form that changes a record.

    Its room and its times are among them as long as they can be changed.
    """
    values = {name: details[name] or "" for name in ("name", "description", "course_code")}
    others = details["users"][1:]
    values |= {"users": "\n".join(others), "users_before": " ".join(others)}
    if is_movable(details):
        values |= {"room": details["room"] or "", **times_of(details)}
    return values


def is_movable(details: Mapping[str, Any]) -> bool:
    """Return whether a record may still get another room or time: work on it has not begun."""
    return (details["status"], details["stage"]) == ("queued", "collect") and not details[
        "delivered_version"
    ]


def _share_link(details: Mapping[str, Any], zone: ZoneInfo) -> str | None:
    """Return where this recording is requested again, which adds people to it; None where not."""
    start, end = (datetime.fromisoformat(details[n]).astimezone(zone) for n in ("start", "end"))
    is_one_day = start.date() == (end - timedelta(microseconds=1)).date()
    if details["room"] is None or details["status"] in ("failed", "cancelled") or not is_one_day:
        return None
    values = {name: details[name] for name in ("room", "name", "layout", "profile")}
    values |= {"date": f"{start:%Y-%m-%d}", "start": _clock(start), "end": _clock(end)}
    values |= {"start_which": turn_of(start, zone), "end_which": turn_of(end, zone)}
    return f"/request?{urlencode(values)}#f-users"


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}".removesuffix(":00")


def _files_by_kind(
    record: int, listed: Sequence[Mapping[str, Any]], kinds: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Return the files of a record that can be played, or shown, by kind."""
    found = {}
    for kind in kinds:
        try:
            file = files.rendition_file(service().engine, record, kind)
        except Refused:
            continue
        for one in listed:
            if file.path is not None and (one["kind"], one["sha256"]) == (kind, file.sha256):
                found[kind] = one
    return found


def _place_of_delivery(delivery: Mapping[str, Any]) -> int:
    """Return where a delivery stands in the list: files in their order, then announcements."""
    order, kind = (*VIDEOS, *CAPTIONS), delivery["kind"]
    return order.index(kind) if kind in order else len(order)


def _video(details: Mapping[str, Any], renditions: Mapping[str, Mapping[str, Any]]) -> str:
    """Return where the video is of which the timeline tells; empty where there is none."""
    version = details["version" if details["stage"] == "deliver" else "delivered_version"]
    if "merge" not in renditions or renditions["merge"]["version"] != version:
        return ""
    return f"/api/v1/records/{details['id']}/renditions/merge"


# --- what can be done -----------------------------------------------------------------------------


@blueprint.get("/records/<int:record>/cancel")
def ask_to_cancel(record: int) -> Answer:
    """Ask whether a record is to be cancelled."""
    who = require_principal("write")
    require_principal("read")
    found = views.record_summary_of(service().engine, record, who.only_of, who.user)
    return ask_about("cancel", [found], f"/records/{record}")


@blueprint.post("/records/<int:record>/cancel")
def cancel(record: int) -> Answer:
    """Cancel an unfinished record."""
    new_status = _act_on(record, actions.cancel)
    flash(t("records.stopping") if new_status == "running" else t("records.stopped"))
    return redirect_back("/records", f"/records/{record}")


@blueprint.post("/records/<int:record>/retry")
def retry(record: int) -> Answer:
    """Queue a failed or cancelled record again."""
    who = require_principal("write")
    asking.retry(service(), record, service().now(), who)
    flash(t("records.tried_again"))
    return redirect_back("/records", f"/records/{record}")


@blueprint.post("/records/<int:record>/delete")
def delete(record: int) -> Answer:
    """Withdraw from a record."""
    is_gone = _act_on(record, actions.withdraw)
    flash(t("records.deleted") if is_gone else t("records.left"))
    return redirect("/records", 303)


def _act_on(record: int, act: Callable[..., Any]) -> Any:
    who = require_principal("write")
    return act(service().engine, record, service().now(), who.only_of, by=who)


@blueprint.post("/records/<int:record>/remerge")
def remerge(record: int) -> Answer:
    """Request a new version of a record; fields that are not changed stay as they are."""
    who = require_principal("write")
    details = details_of(record, who)
    before = form_values(details)
    typed = {name: request.form.get(name, "").strip() for name in before}
    changed = {name: text for name, text in typed.items() if text != before[name]}
    errors: Errors = {}
    for name, choices in (("layout", LAYOUTS), ("profile", profiles.PROFILES)):
        if name in changed and changed[name] not in choices:
            errors[name] = field_problem("choose")
    instants = _instants(details, typed, changed, errors)
    if not errors:
        try:
            asking.remerge(
                service(), record, service().now(), who,
                layout=changed.get("layout"), profile=changed.get("profile"), **instants,
            )  # fmt: skip
        except Refused as error:
            field = "start" if error.code == MEETING else error.code
            if field not in typed:
                raise
            errors[field] = phrases_of_error(error)
    if errors:
        require_principal("read")  # a key that may only write is not shown the record
        return page_of_record(details, who, typed, errors)
    flash(t("record.new_version"))
    return redirect(f"/records/{record}", 303)


@blueprint.post("/records/<int:record>/overrule")
def overrule(record: int) -> Answer:
    """Request a new version with other views beside the speaker, where they were chosen."""
    who = require_principal("write")
    details = details_of(record, who)
    chosen = []
    for n in range(len(request.form)):  # a row of the table each, however many there are
        start, end, right = (
            request.form.get(f"{name}-{n}", "") for name in ("start", "end", "right")
        )
        if right:
            zone = zone_named(details["zone"])
            span = record_span(instant_from(start, zone, "start"), instant_from(end, zone, "end"))
            chosen.append(Overrule(span, right_named(right)))
    whole = Span(*(datetime.fromisoformat(details[name]) for name in ("start", "end")))
    if lay_flat(chosen, whole) == lay_flat(_overruled(details), whole):
        flash(t("overrule.nothing"))
        return redirect(f"/records/{record}", 303)
    asking.remerge(service(), record, service().now(), who, overrules=chosen)
    flash(t("record.new_version"))
    return redirect(f"/records/{record}", 303)


def _overruled(details: Mapping[str, Any]) -> list[Overrule]:
    return [
        Overrule(Span(*(datetime.fromisoformat(one[n]) for n in ("start", "end"))), one["right"])
        for one in details["overrules"]
    ]


def form_values(details: Mapping[str, Any]) -> dict[str, str]:
    """Return the current values of the form for a new version."""
    return {"layout": details["layout"], "profile": details["profile"], **times_of(details)}


def times_of(details: Mapping[str, Any]) -> dict[str, str]:
    """Return the times of a record as a form has them, by the clock of its room."""
    zone = zone_named(details["zone"])
    values: dict[str, str] = {}
    for name in ("start", "end"):
        at = datetime.fromisoformat(details[name]).astimezone(zone)  # whose fold is set
        values |= {name: _local(details[name]), f"{name}_which": turn_of(at, zone)}
    return values


def _local(instant: str) -> str:
    """Return a local time as browsers send it: without seconds where there are none."""
    return instant[:19].removesuffix(":00")


def _instants(
    details: Mapping[str, Any], typed: Mapping[str, str], changed: Mapping[str, str], errors: Errors
) -> dict[str, datetime]:
    """Return the instants that were changed, by field; add what is wrong to the errors."""
    zone = zone_named(details["zone"])
    instants = {}
    for name in ("start", "end"):
        turn = typed[f"{name}_which"]
        if not changed.keys() & {name, f"{name}_which"}:
            continue
        if at := instant_of(typed[name], zone, name, errors, turn):
            instants[name] = at
    if instants and not errors:
        start, end = (
            instants.get(name, datetime.fromisoformat(details[name])) for name in ("start", "end")
        )
        check_span(start, end, service().now(), errors)
    return instants
