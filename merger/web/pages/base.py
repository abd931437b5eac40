"""What all pages share: their blueprint, instants in words, forms and the mistakes in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, g, redirect, render_template, request
from werkzeug.exceptions import NotFound, Unauthorized
from werkzeug.routing import IntegerConverter
from werkzeug.wrappers import Response as AnyResponse

from merger import i18n
from merger.errors import MergerError
from merger.records.rules.server_paths import is_web_link
from merger.timeline.zones import zone_named
from merger.web.auth import service
from merger.web.language import Phrase, Phrases, language, language_name, phrases_of, t, word

blueprint = Blueprint("pages", "merger.web")

_LONGEST_PATH = 1000  # characters, that a page repeats
_MOST_DIGITS = 18  # of a number that every database holds

Errors = dict[str, Phrases]
Answer = str | AnyResponse | tuple[str, int]


# --- instants -------------------------------------------------------------------------------------


def local(instant: str | datetime, zone: str | None = None) -> datetime:
    """Return an instant by its own offset, or by the clock of a zone."""
    at = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    return at.astimezone(zone_named(zone)) if zone else at


def day(at: date) -> str:
    weekday, month = t(f"weekday.{at.isoweekday()}"), t(f"month.{at.month}")
    return t("time.day", weekday=weekday, day=at.day, month=month, year=at.year)


def minute(at: datetime) -> str:
    return f"{at:%H:%M}"


def second(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def clocks(start: datetime, end: datetime) -> str:
    """Return two times of day, with seconds where either has any."""
    shown = second if start.second or end.second else minute
    return f"{shown(start)}–\u2060{shown(end)}"  # a line never ends between them


def moment(at: datetime) -> str:
    return f"{day(at)}, {minute(at)}"


def span(start: datetime, end: datetime) -> str:
    """Return a span with its day, or both days."""
    if start.date() == end.date():
        return f"{day(start)}, {clocks(start, end)}"
    return f"{moment(start)} – {moment(end)}"


def _own_zone() -> str | None:
    who = g.get("principal")
    return who.zone if who else None


def own_span(start: str, end: str) -> str:
    """Return a span by the reader's own clock, or nothing if that is the one it is written by.

    The times of a recording are those of its room, which is what people mean who speak of it.
    """
    zone = _own_zone()
    written = local(start), local(end)
    own = tuple(local(at, zone) for at in written)
    if [at.utcoffset() for at in own] == [at.utcoffset() for at in written]:
        return ""
    same_days = [at.date() for at in own] == [at.date() for at in written]
    return t("time.own", span=(clocks if same_days else span)(*own))


def own_moment(at: str) -> str:
    """Return an instant by the reader's own clock; by UTC, and saying so, if they chose none."""
    zone = _own_zone()
    return moment(local(at, zone)) if zone else f"{moment(local(at, 'UTC'))} UTC"


def length(left: timedelta) -> str:
    """Return about how long something still takes."""
    if left < timedelta(minutes=1):
        return t("time.under_a_minute")
    minutes = round(left / timedelta(minutes=1))
    if minutes < 90:
        return t("time.minutes", count=minutes)
    return t("time.hours", count=round(minutes / 60))


def duration(start: datetime, end: datetime) -> str:
    """Return how long something is, in hours and minutes; what is shorter, in seconds."""
    seconds = round((end - start).total_seconds())
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return t("time.hours_and_minutes", hours=hours, minutes=minutes)
    return (
        t("time.in_minutes", minutes=minutes) if minutes else t("time.in_seconds", seconds=seconds)
    )


def size(count: int) -> str:
    """Return a number of bytes for people."""
    unit, over = ("gb", 1e9) if count >= 1e9 else ("mb", 1e6) if count >= 1e5 else ("kb", 1e3)
    number = f"{count / over:.1f}".replace(".", t("size.point"))
    return t(f"size.{unit}", number=number)


# --- addresses ------------------------------------------------------------------------------------


class Number(IntegerConverter):
    """A number in an address; one that some database cannot hold does not match."""

    regex = rf"\d{{1,{_MOST_DIGITS}}}"


def number_after() -> int:
    """Return the number after which a page begins. Raises werkzeug's NotFound, as above."""
    after = request.args.get("after", 0, type=int)
    if abs(after) >= 10**_MOST_DIGITS:
        raise NotFound
    return after


# --- forms ----------------------------------------------------------------------------------------


def field_problem(key: str, **values: object) -> Phrases:
    """Return what is wrong with a field, from the texts of the pages."""
    return (Phrase(t(f"wrong.{key}", **values), language()),)


def phrases_of_error(error: MergerError) -> Phrases:
    """Return what is wrong with a field, as the core reports it."""
    return phrases_of(error.message)


def form(template: str, errors: Mapping[str, Phrases], **values: Any) -> Answer:
    """Return a page with a form; its status says whether there are mistakes in it."""
    page = render_template(template, errors=errors, **values)
    return (page, 422) if errors else page


def redirect_back(page: str, otherwise: str) -> AnyResponse:
    """Redirect to a page with its search, if a form was sent from there; else elsewhere."""
    path, _, query = (request.referrer or "").partition("?")
    if query and path.endswith(page):
        return redirect(f"{page}?{query}", 303)
    return redirect(page if path.endswith(page) else otherwise, 303)


# --- who reads ------------------------------------------------------------------------------------


@blueprint.errorhandler(Unauthorized)
def sign_in_first(error: Unauthorized) -> AnyResponse:
    """Redirect to the sign-in page, and back here afterwards."""
    here = request.full_path.rstrip("?") if request.method == "GET" else "/records"
    return redirect(f"/login?next={quote(here)}", 303)


def here() -> str:
    """Return where to go back to from a form that stands on every page."""
    if request.method != "GET":
        return "/"
    whole = request.full_path.rstrip("?")
    return whole if len(whole) <= _LONGEST_PATH else request.path[:_LONGEST_PATH]


def add_language_headers(response: Response) -> Response:
    """Tell caches that a page differs from language to language."""
    if response.mimetype == "text/html":
        response.vary.update(("Accept-Language", "Cookie"))
        response.headers.setdefault("Content-Language", language())
    return response


HELPERS: dict[str, Any] = {
    "t": t, "word": word, "phrases": phrases_of, "language": language, "local": local, "day": day,
    "minute": minute, "second": second, "clocks": clocks, "moment": moment, "span": span,
    "length": length, "size": size, "duration": duration, "is_web_link": is_web_link,
    "own_span": own_span, "own_moment": own_moment, "here": here,
    "languages": i18n.languages, "language_name": language_name,
    "reader": lambda: g.get("principal"), "now": lambda: service().now(),
}  # fmt: skip
