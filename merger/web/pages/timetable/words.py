"""When series take place, in words, and how their lectures stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from merger.series.states import state_of
from merger.timeline.zones import zone_named
from merger.timetable.rules import Rule, parse_rule
from merger.web.auth import service
from merger.web.language import t
from merger.web.pages.base import clocks, day


def when_in_words(series: Mapping[str, Any]) -> str:
    """Return when a series takes place, such as "Mondays 10:00–11:30, until Sun 20 Dec 2026".

    Args:
        series: its document.
    """
    start = datetime.fromisoformat(series["start"])
    end = start + timedelta(seconds=series["length_s"])
    times = clocks(start, end) if end > start else f"{start:%H:%M}"
    if series["rule"] is None:
        return t("timetable.when.at", days=day(start), times=times)
    rule = parse_rule(series["rule"])
    said = t("timetable.when.at", days=_days(rule, start, series["rule"]), times=times)
    last = _last_day(rule, series)
    if last is not None:
        return t("timetable.when.until", when=said, day=day(last))
    if rule.count is not None:
        return t("timetable.when.times", when=said, count=rule.count)
    return said


def _days(rule: Rule, start: datetime, text: str) -> str:
    is_plain = not (rule.months or rule.month_days or rule.year_days)
    is_plain = is_plain and not any(number for number, _ in rule.weekdays)
    if rule.frequency == "WEEKLY" and is_plain:
        weekdays = sorted(weekday for _, weekday in rule.weekdays) or [start.weekday()]
        days = ", ".join(t(f"weekdays.{weekday + 1}") for weekday in weekdays)
        if rule.interval == 1:
            return days
        return t("timetable.when.weeks", days=days, count=rule.interval)
    if rule.frequency == "DAILY" and is_plain and not rule.weekdays and rule.interval == 1:
        return t("timetable.when.daily")
    return t("timetable.when.rule", rule=text)


def _last_day(rule: Rule, series: Mapping[str, Any]) -> date | None:
    """Return the last day that a series may have, whichever end it has."""
    days = [date.fromisoformat(series["until"])] if series["until"] else []
    if isinstance(rule.until, datetime):
        zone = zone_named(series["zone"])
        days.append((rule.until.astimezone(zone) if rule.until.tzinfo else rule.until).date())
    elif rule.until is not None:
        days.append(rule.until)
    return min(days, default=None)


def with_state(occurrence: Mapping[str, Any]) -> dict[str, Any]:
    """Return a lecture as pages show it: with its state, and its times by the clock of its room."""
    zone = zone_named(occurrence["zone"])
    start, end = (
        datetime.fromisoformat(occurrence[name]).astimezone(zone) for name in ("start", "end")
    )
    state = state_of(occurrence, service().now())
    return {**occurrence, "start": start, "end": end, "state": state}


HELPERS = {"when_in_words": when_in_words}
