"""The file that says what rooms there are: read, checked, and every mistake told with its line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

import yaml

from merger.errors import Refused, did_you_mean
from merger.rooms.spec import (
    DEFAULT_CHUNK_S,
    DEFAULT_EARLY_S,
    DEFAULT_LATE_S,
    LONGEST_KEY,
    LONGEST_NAME,
    LONGEST_TEXT,
    RoomSpec,
    SourceSpec,
    masked,
)
from merger.timeline.zones import length_from, margin_from, zone_named
from models import ROLES

LONGEST_FILE = 500_000  # characters: more than a thousand rooms, read in seconds
_DEEPEST = 10  # the composer calls itself for every level
_MOST_TOLD = 20  # mistakes
_ROOM_KEYS = (
    "name", "zone", "chunk", "early", "late", "sound_source", "drive_folder", "calendar_id",
    "mails", "uploads_raw", "sources",
)  # fmt: skip
_SOURCE_KEYS = ("name", "role", "kind", "address", "credentials_env")
# Others write YAML's own words for it.
_BOOLEANS = {"yes": True, "no": False, "true": True, "false": False}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Secrets = Callable[[str], str | None]


def parse_rooms(text: str, kinds: Collection[str], secrets: Secrets) -> list[RoomSpec]:
    """Return the rooms of a file. Raises Refused, which names every mistake and its line.

    A value is what is written: 0504, 5:04 and no are these characters, quoted or not, though YAML
    takes them for numbers and a truth value. kinds: of sources that there are. secrets: what a
    variable of the environment holds, or None; may raise Refused.
    """
    mistakes = _Mistakes()
    root = _Entry(_composed(text), "", ("rooms",), mistakes)
    rooms = _rooms(root, kinds, secrets) if root.is_mapping else []
    if mistakes.told:
        raise Refused("rooms", "; ".join(mistakes.told))
    return rooms


class _Plain(yaml.SafeLoader):
    """Composes mappings, lists and texts, and constructs nothing of them.

    Aliases, which could make a small file a huge one, and tags have no use here.
    """

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # as the stubs have it
        why = None
        if event.anchor is not None or getattr(event, "tag", None) is not None:
            why = "anchors, aliases and tags (& * !) are not used here; write it out, or quote it"
        elif self._depth == _DEEPEST:
            why = "this is nested too deeply"
        if why:
            raise yaml.MarkedYAMLError(problem=why, problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _composed(text: str) -> yaml.Node:
    if len(text) > LONGEST_FILE:
        message = f"the file is longer than {LONGEST_FILE} characters; divide it among several"
        raise Refused("rooms", message)
    try:
        root = yaml.compose(text, Loader=_Plain)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}" if mark else "somewhere"
        raise Refused("rooms", f"{where}: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"line {line}: there is a character that no text should hold"
        raise Refused("rooms", message) from error
    except (ValueError, OverflowError) as error:  # "\Uffffffff"
        raise Refused("rooms", "an escape with \\U names no character") from error
    if root is None or _is_nothing(root):
        raise Refused("rooms", "the file is empty; docs/rooms.example.yaml shows one")
    return root


class _Mistakes:
    """What is wrong with a file, up to the number that a person reads at once."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def add(self, node: yaml.Node, text: str) -> None:
        if len(self.told) == _MOST_TOLD:
            raise Refused("rooms", "; ".join(self.told) + "; and more")
        self.told.append(f"line {node.start_mark.line + 1}: {text}")


class _Entry:
    """One mapping of a file: reads what stands under its keys, and gathers the mistakes.

    What is wrong is read as an empty text, so that the rest can be looked at, too.
    """

    def __init__(
        self, node: yaml.Node, where: str, known: Sequence[str], mistakes: _Mistakes
    ) -> None:
        self.where = where
        self._node = node
        self._mistakes = mistakes
        self._values: dict[str, yaml.Node] = {}
        self.is_mapping = isinstance(node, yaml.MappingNode)
        if not self.is_mapping:
            self.wrong("", f"write {', '.join(f'{key}:' for key in known)} here")
            return
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in self._values:  # PyYAML itself lets the last one win
                mistakes.add(key, f"{where}{name} is given twice")
            elif name in known:
                self._values[name] = value
            else:
                shown = repr(name) if len(name) <= LONGEST_KEY else "of this length"
                why = f"there is no key {shown}{did_you_mean(name, known)}"
                mistakes.add(key, f"{where}{why}")

    def wrong(self, key: str, why: str) -> None:
        """Note a mistake in a value, or in the mapping as a whole."""
        node = self._values.get(key, self._node)
        self._mistakes.add(node, f"{self.where}{key}{': ' if key else ''}{why}")

    def text(self, key: str, *, required: bool = False, longest: int = LONGEST_KEY) -> str:
        """Return a value as it is written; an empty text where there is none, or a wrong one."""
        node = self._values.get(key)
        if node is None or _is_nothing(node):
            if required:
                self.wrong(key, "it is missing")
        elif not isinstance(node, yaml.ScalarNode):
            self.wrong(key, "write one text")
        elif len(node.value) > longest:
            self.wrong(key, f"it is longer than {longest} characters")
        elif not node.value.isprintable():
            self.wrong(key, "it holds a character that cannot be seen")
        else:
            return str(node.value)
        return ""

    def name(self, key: str, *, required: bool = False) -> str:
        """Return a name, which must be usable as a part of a file name."""
        # As in the names of files: macOS writes й and é as two characters each.
        name = unicodedata.normalize("NFC", self.text(key, required=required))
        if "/" in name:
            self.wrong(key, f"{name!r} cannot be part of a file name: it holds a /")
        elif name != name.strip():
            self.wrong(key, f"{name!r} begins or ends with a space")
        elif len(name.encode()) > LONGEST_NAME:
            self.wrong(key, f"it is too long for a file name: more than {LONGEST_NAME} bytes")
        else:
            return name
        return ""

    def one_of(self, key: str, known: Collection[str]) -> str:
        """Return a word that must be one of some."""
        word = self.text(key, required=True)
        if word and word not in known:
            self.wrong(key, f"there is no {key} {word!r}{did_you_mean(word, sorted(known))}")
            return ""
        return word

    def boolean(self, key: str, default: bool) -> bool:
        """Return whether yes is written, or what counts where nothing is."""
        word = self.text(key)
        if word and word not in _BOOLEANS:
            self.wrong(key, f"{word!r} is neither yes nor no")
        return _BOOLEANS.get(word, default)

    def seconds(self, key: str, default: int, read: Callable[[str, str], timedelta]) -> int:
        """Return a length such as 30m in seconds, or what counts where nothing is written."""
        length = self.text(key)
        try:
            return read(length, key) // timedelta(seconds=1) if length else default
        except Refused as error:
            self.wrong(key, str(error))
            return default

    def entries(self, key: str, where: str, known: Sequence[str]) -> Iterator[_Entry]:
        """Yield the mappings of a list. where: names one, before its number."""
        node = self._values.get(key)
        if not isinstance(node, yaml.SequenceNode):
            # An empty list must be written as such: it takes away all that was in there.
            self.wrong(key, "write a list: lines that begin with a dash")
            return
        for number, item in enumerate(node.value, 1):
            entry = _Entry(item, f"{where} number {number}: ", known, self._mistakes)
            if entry.is_mapping:
                yield entry


def _rooms(root: _Entry, kinds: Collection[str], secrets: Secrets) -> list[RoomSpec]:
    rooms: dict[str, RoomSpec] = {}
    for entry in root.entries("rooms", "room", _ROOM_KEYS):
        name = entry.name("name", required=True)
        if name:
            entry.where = f"room {name!r}: "
        room = RoomSpec(
            name=name,
            zone=_zone(entry),
            chunk_s=entry.seconds("chunk", DEFAULT_CHUNK_S, length_from),
            early_s=entry.seconds("early", DEFAULT_EARLY_S, margin_from),
            late_s=entry.seconds("late", DEFAULT_LATE_S, margin_from),
            sound_source=entry.name("sound_source") or None,
            drive_folder=entry.text("drive_folder") or None,
            calendar_id=entry.text("calendar_id") or None,
            mails=entry.boolean("mails", True),
            uploads_raw=entry.boolean("uploads_raw", False),
            sources=_sources(entry, kinds, secrets),
        )
        names = [source.name for source in room.sources]
        if room.sound_source is not None and room.sound_source not in names:
            why = f"there is no source {room.sound_source!r} in this room"
            entry.wrong("sound_source", f"{why}{did_you_mean(room.sound_source, names)}")
        if name and name in rooms:
            entry.wrong("", "it is listed twice")
        rooms[name] = room
    return list(rooms.values())


def _sources(room: _Entry, kinds: Collection[str], secrets: Secrets) -> tuple[SourceSpec, ...]:
    sources: dict[str, SourceSpec] = {}
    by_role: dict[str, SourceSpec] = {}
    place = room.where.removesuffix(": ")
    for entry in room.entries("sources", f"{place}, source", _SOURCE_KEYS):
        name = entry.name("name", required=True)
        if name:
            entry.where = f"{place}, source {name!r}: "
        source = SourceSpec(
            name=name,
            role=entry.one_of("role", ROLES),
            kind=entry.one_of("kind", kinds),
            address=_address(entry),
            credentials=_credentials(entry, secrets),
        )
        other = by_role.setdefault(source.role, source)
        if name and name in sources:
            entry.wrong("", "it is listed twice")
        elif source.role and other is not source:
            why = f"{other.name!r} has the role {source.role} already; a room has one of each"
            entry.wrong("role", why)
        sources[name] = source
    return tuple(sources.values())


def _zone(room: _Entry) -> str:
    zone = room.text("zone", required=True)
    try:
        return zone and zone_named(zone).key
    except Refused:
        meant = did_you_mean(zone, available_timezones())
        room.wrong("zone", f"{zone!r} is no time zone; write it like Europe/Moscow{meant}")
        return ""


def _address(source: _Entry) -> str:
    address = source.text("address", required=True, longest=LONGEST_TEXT)
    if masked(address) != address:
        why = "it holds a password; put that into a variable of the environment"
        source.wrong("address", f"{why}, and the variable's name into credentials_env")
    return address


def _credentials(source: _Entry, secrets: Secrets) -> str | None:
    """Return the value of the variable that is named.

    What stands there is never repeated: it may be a password that somebody took the key for.
    """
    key = "credentials_env"
    variable = source.text(key)
    if not variable:
        return None
    if not _VARIABLE.fullmatch(variable):
        source.wrong(key, "write the name of a variable of the environment, no password")
        return None
    try:
        credentials = secrets(variable)
    except Refused as error:
        source.wrong(key, str(error))
        return None
    if not credentials:
        source.wrong(key, "the environment has no variable of this name, or an empty one")
    elif len(credentials) > LONGEST_TEXT or not _is_unicode(credentials):
        source.wrong(key, f"the variable is no text of at most {LONGEST_TEXT} characters")
    return credentials


def _is_nothing(node: yaml.Node) -> bool:
    """Return whether nothing is written, or null, or only spaces."""
    if not isinstance(node, yaml.ScalarNode):
        return False
    return node.tag == "tag:yaml.org,2002:null" or not node.value.strip()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of the environment that are no UTF-8
        return False
    return True
