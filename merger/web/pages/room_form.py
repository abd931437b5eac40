"""The form of a room as values: what was typed, what is wrong, and the room it describes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

from flask import request

from merger.accounts.room_policy import RoomPolicy, create_policy, policy_of_json
from merger.errors import Refused
from merger.names import clean_name
from merger.rooms.rules import Problem, kept_credentials, reason_of
from merger.rooms.spec import LONGEST_TEXT, RoomSpec, SourceSpec, Unmatched, mask_passwords
from merger.timeline.screen.decisions import Decide
from merger.timeline.zones import length_from, margin_from, standing_from, zone_named
from merger.web.language import phrases_of, t
from merger.web.pages.base import Errors, field_problem, phrases_of_error
from merger.web.sealed import seal, unseal
from models import ROLES

LENGTHS = {
    "chunk": length_from, "both_after": standing_from, "early": margin_from, "late": margin_from,
}  # fmt: skip
CHECKBOXES = ("shows_both", "mails", "uploads_raw", "papers", "archives")
POLICIES = ("requesters", "watchers")
_PLAIN = (
    "name", "zone", *LENGTHS, "sound_source", "drive_folder", "calendar_id", *CHECKBOXES,
    "default_course", "unmatched", "shortest", "decide",
)  # fmt: skip
FIELDS = (*_PLAIN, *POLICIES, *(f"{name}_names" for name in POLICIES))
EMPTY: Mapping[str, str] = {
    **dict.fromkeys(FIELDS, ""), "chunk": "30m", "decide": "instant", "both_after": "60s",
    "early": "1m", "late": "2m", "mails": "on",
}  # fmt: skip
_REQUIRED = ("name", "role", "kind", "address")  # of a source
_OF_SOURCE = (*_REQUIRED, "credentials")
# As the page has them from its top.
_ORDER = (
    "name", "zone", "decide", "chunk", "sources", "both_after", "sound_source", "drive_folder",
    "calendar_id", "early", "late", "default_course", "unmatched", "shortest",
    *(f"{name}_names" for name in POLICIES),
)  # fmt: skip
_BETWEEN = re.compile(r"[\s,;]+")  # names
_MOST_SOURCES = 20  # rows of a form


@dataclass(frozen=True)
class Row:
    """A source in the form.

    credentials: that were typed, now or before. is_known: it is stored; forgets: its credentials
    are to be removed; is_stale: the credentials that were typed before are not kept any more.
    """

    name: str = ""
    role: str = ""
    kind: str = ""
    address: str = ""
    credentials: str = field(default="", repr=False)
    is_known: bool = False
    has_credentials: bool = False
    forgets: bool = False
    is_removed: bool = False
    is_stale: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing was entered. A role is chosen in rows that nobody has touched, too."""
        return not (self.name or self.kind or self.address or self.credentials)

    @property
    def sealed(self) -> str:
        """The credentials as the page has them, which cannot be read there."""
        is_kept = self.credentials and len(self.credentials) <= LONGEST_TEXT
        return seal(self.credentials) if is_kept else ""


@dataclass(frozen=True)
class RoomForm:
    """What a form holds. typed: the values of the room, by field."""

    typed: Mapping[str, str]
    rows: Sequence[Row]

    @property
    def sources(self) -> Iterator[tuple[int, Row]]:
        """The rows that are to be sources, with their numbers."""
        for n, row in enumerate(self.rows):
            if not row.is_removed and not (row.is_empty and not row.is_known):
                yield n, row

    def with_another(self) -> RoomForm:
        """Return the form with a row more, for a role that none has."""
        used = {row.role for row in self.rows}
        role = next((role for role in ROLES if role not in used), "")
        return replace(self, rows=[*self.rows, Row(role=role)])

    def spec(self, before: RoomSpec) -> RoomSpec:
        """Return the room that is described; a length or policy that is none stays as it is.

        Sources that were added meanwhile stay.
        """
        typed, stored = self.typed, {source.name: source for source in before.sources}
        listed = {row.name for row in self.rows}
        return replace(
            before, name=typed["name"], zone=typed["zone"],
            chunk_s=self._seconds("chunk", before.chunk_s),
            decide=cast(Decide, typed["decide"] or before.decide),
            shows_both=bool(typed["shows_both"]),
            both_after_s=self._seconds("both_after", before.both_after_s),
            early_s=self._seconds("early", before.early_s),
            late_s=self._seconds("late", before.late_s),
            mails=bool(typed["mails"]), uploads_raw=bool(typed["uploads_raw"]),
            papers=bool(typed["papers"]), archives=bool(typed["archives"]),
            sound_source=typed["sound_source"] or None,
            drive_folder=typed["drive_folder"] or None,
            calendar_id=typed["calendar_id"] or None,
            requesters=self._policy("requesters", before.requesters),
            watchers=self._policy("watchers", before.watchers),
            default_course=clean_name(typed["default_course"]) or None,
            unmatched=cast(Unmatched | None, typed["unmatched"] or None),
            shortest_s=self._shortest(before.shortest_s),
            sources=(
                *(source_of(row, stored.get(row.name)) for _, row in self.sources),
                *(source for name, source in stored.items() if name not in listed),
            ),
        )  # fmt: skip

    def _seconds(self, name: str, otherwise: int) -> int:
        try:
            return LENGTHS[name](self.typed[name], name) // timedelta(seconds=1)
        except Refused:
            return otherwise

    def _shortest(self, otherwise: int | None) -> int | None:
        text = self.typed["shortest"]
        try:
            return margin_from(text, "shortest") // timedelta(seconds=1) if text else None
        except Refused:
            return otherwise

    def _policy(self, name: str, otherwise: RoomPolicy | None) -> RoomPolicy | None:
        try:
            return policy_of(name, self.typed)
        except Refused:
            return otherwise

    def lost_credentials(self, before: RoomSpec, after: RoomSpec) -> list[str]:
        """Return the sources whose credentials are gone without anybody having removed them."""
        had = {source.name for source in before.sources if source.credentials is not None}
        had -= {row.name for row in self.rows if row.forgets}
        return [s.name for s in after.sources if s.name in had and s.credentials is None]

    def errors(self, problems: Iterable[Problem]) -> Errors:
        """Return all that is wrong, by field, in the order of the page.

        Args:
            problems: that the core has with the room, of which the form's own are worded better.
        """
        found = {name: phrases_of(why) for name, why in map(self._located, problems)}
        found |= self._own_errors()
        return dict(sorted(found.items(), key=lambda item: _place(item[0])))

    def _own_errors(self) -> Errors:
        errors: Errors = {}
        for n, row in self.sources:
            for name in _REQUIRED:
                if not getattr(row, name):
                    errors[f"sources-{n}-{name}"] = field_problem("missing")
            if row.is_stale:
                errors[f"sources-{n}-credentials"] = field_problem("stale_secret")
        if not self.typed["name"]:
            errors["name"] = field_problem("missing")
        try:
            zone_named(self.typed["zone"])
        except Refused:
            key = "zone" if self.typed["zone"] else "missing"
            errors["zone"] = field_problem(key, given=self.typed["zone"])
        for name, length in LENGTHS.items():
            try:
                length(self.typed[name], name)
            except Refused:
                errors[name] = field_problem("margin" if name in ("early", "late") else name)
        try:
            margin_from(self.typed["shortest"] or "0s", "shortest")
        except Refused:
            errors["shortest"] = field_problem("margin")
        for name in POLICIES:
            try:
                policy_of(name, self.typed)
            except Refused as error:
                errors[f"{name}_names"] = phrases_of_error(error)
        return errors

    def _located(self, problem: Problem) -> Problem:
        """Return a problem of the core with its field in the form."""
        name, why = problem
        first, _, rest = name.partition(".")
        n, _, part = rest.partition(".")
        if first != "sources" or not n.isdecimal():
            return problem
        rows = list(self.sources)
        if int(n) >= len(rows):
            return "sources", why  # of one that was added meanwhile
        number, row = rows[int(n)]
        # It is shown inside of the source's own fields.
        return f"sources-{number}-{part}", reason_of(row.name, why)

    def labels(self) -> dict[str, str]:
        """Return what the fields are called at the top of the page."""
        labels = {
            "name": t("room.name"), "zone": t("room.zone"), "decide": t("room.decide"),
            "chunk": t("room.chunk"), "both_after": t("room.both_after"),
            "sound_source": t("room.sound_source"), "drive_folder": t("room.drive_folder"),
            "calendar_id": t("room.calendar_id"), "early": t("room.early"),
            "late": t("room.late"), "default_course": t("room.default_course"),
            "unmatched": t("room.unmatched"), "shortest": t("room.shortest"),
            "sources": t("room.sources"),
        }  # fmt: skip
        labels |= {f"{name}_names": t(f"room.{name}") for name in POLICIES}
        of_source = {
            "name": t("room.source_name"), "role": t("room.role"), "kind": t("room.kind"),
            "address": t("room.address"), "credentials": t("room.credentials"),
        }  # fmt: skip
        for n, row in enumerate(self.rows):
            title = row.name or t("room.new_source", number=n + 1)
            labels |= {f"sources-{n}-{part}": f"{title}, {of_source[part]}" for part in _OF_SOURCE}
        return labels


def _place(name: str) -> tuple[int, int, int]:
    """Return where a field stands on the page. Pure."""
    first, *rest = name.split("-")
    known = _ORDER.index(first) if first in _ORDER else len(_ORDER)
    if len(rest) != 2 or rest[1] not in _OF_SOURCE:
        return known, -1, 0
    return known, int(rest[0]), _OF_SOURCE.index(rest[1])


def policy_of(name: str, typed: Mapping[str, str]) -> RoomPolicy | None:
    """Return who may, as the form says it. Names that are not used stay in the form alone."""
    who = typed.get(name, "")
    names = [text for text in _BETWEEN.split(typed.get(f"{name}_names", "")) if text]
    return create_policy(who, names if who == "named" else (), name) if who else None


def typed_of(room: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of a stored room, by field."""
    typed = {name: room[name] or "" for name in _PLAIN}
    for name in POLICIES:
        policy = policy_of_json(room[name])
        typed[name] = policy.who if policy else ""
        typed[f"{name}_names"] = ", ".join(policy.names) if policy else ""
    return typed


def read_form() -> RoomForm:
    """Return the form that was sent."""
    typed = {name: request.form.get(name, "").strip() for name in FIELDS}
    numbers = [n for n in range(_MOST_SOURCES) if f"sources-{n}-name" in request.form]
    return RoomForm(typed, [_row(n) for n in numbers])


def _row(n: int) -> Row:
    def value(name: str) -> str:
        return request.form.get(f"sources-{n}-{name}", "").strip()

    row = Row(
        value("name"), value("role"), value("kind"), value("address"), value("credentials"),
        *(bool(value(name)) for name in ("is_known", "has_credentials", "forgets", "is_removed")),
    )  # fmt: skip
    sealed = value("sealed")
    if not sealed or row.credentials or row.forgets:
        return row
    before = unseal(sealed)
    return replace(row, is_stale=True) if before is None else replace(row, credentials=before)


def source_of(row: Row, before: SourceSpec | None) -> SourceSpec:
    """Return the source that a row describes. before: as it is stored, if it is."""
    address, credentials = row.address, row.credentials or None
    if before is not None:
        if address == mask_passwords(before.address):
            address = before.address  # as it was shown
        if credentials is None and not row.forgets:
            credentials = kept_credentials(before, row.kind, address)
    return SourceSpec(row.name, row.role, row.kind, address, credentials)


def rows_of(sources: Iterable[Mapping[str, object]]) -> list[Row]:
    """Return the rows of stored sources, as plain values of the core."""
    return [
        Row(
            str(source["name"]), str(source["role"]), str(source["kind"]), str(source["address"]),
            is_known=True, has_credentials=bool(source["has_credentials"]),
        )
        for source in sources
    ]  # fmt: skip
