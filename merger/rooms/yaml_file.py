"""The file that lists the rooms: read and checked, and every mistake reported with its line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from typing import Any, cast
from zoneinfo import available_timezones

import yaml

from merger.accounts.room_policy import RoomPolicy, policy_of_text
from merger.errors import Invalid, Refused, did_you_mean
from merger.i18n import Message, sentences, verbatim
from merger.names import clean_name
from merger.rooms.rules import no_source, role_taken
from merger.rooms.spec import (
    DEFAULT_BOTH_AFTER_S,
    DEFAULT_CHUNK_S,
    DEFAULT_EARLY_S,
    DEFAULT_LATE_S,
    LONGEST_KEY,
    LONGEST_NAME,
    LONGEST_TEXT,
    UNMATCHED,
    RoomSpec,
    SourceSpec,
    Unmatched,
    decide_meant,
    mask_passwords,
)
from merger.timeline.screen.decisions import DECIDES, Decide
from merger.timeline.zones import length_from, margin_from, standing_from, zone_named
from models import ROLES

LONGEST_FILE = 500_000  # characters: more than a thousand rooms, read in seconds
_DEEPEST = 10  # the composer calls itself for every level
_MOST_MISTAKES = 20  # that are listed
_ROOM_KEYS = (
    "name", "zone", "chunk", "decide", "shows_both", "both_after", "early", "late",
    "sound_source", "drive_folder", "calendar_id", "mails", "uploads_raw", "papers", "archives",
    "requesters", "watchers", "default_course", "unmatched", "shortest", "sources",
)  # fmt: skip
_SOURCE_KEYS = ("name", "role", "kind", "address", "credentials_env")
# true and false are how YAML itself writes it.
_BOOLEANS = {"yes": True, "no": False, "true": True, "false": False}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Secrets = Callable[[str], str | None]


def parse_rooms(text: str, kinds: Collection[str], secrets: Secrets) -> list[RoomSpec]:
    """Return the rooms of a file.

    A value is what is written: 0504, 5:04 and no are these characters, quoted or not, though YAML
    takes them for numbers and a truth value.

    Args:
        text: of the file.
        kinds: of sources that exist.
        secrets: returns what a variable of the environment holds, or None; may raise Refused.

    Raises:
        Invalid: names every mistake and its line.
    """
    mistakes = _Mistakes()
    root = _Entry(_compose(text), None, ("rooms",), mistakes)
    rooms = _rooms(root, kinds, secrets) if root.is_mapping else []
    if mistakes.messages:
        raise mistakes.as_error()
    return rooms


class _Plain(yaml.SafeLoader):
    """Composes mappings, lists and texts, and constructs nothing of them.

    Aliases, which could make a small file a huge one, and tags have no use here.
    """

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # as the stubs have it
        if event.anchor is not None or getattr(event, "tag", None) is not None:
            raise _mistake(event.start_mark.line, Message("rooms.no_anchors"))
        if self._depth == _DEEPEST:
            raise _mistake(event.start_mark.line, Message("error.too_deep"))
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _compose(text: str) -> yaml.Node:
    if len(text) > LONGEST_FILE:
        raise Invalid("rooms", "rooms.file_too_long", longest=LONGEST_FILE)
    try:
        root = yaml.compose(text, Loader=_Plain)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = verbatim(str(error.problem or error.context))
        raise (_mistake(mark.line, why) if mark else Invalid("rooms", why)) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        raise _mistake(line, Message("rooms.bad_character")) from error
    except (ValueError, OverflowError) as error:  # "\Uffffffff"
        raise Invalid("rooms", "rooms.bad_escape") from error
    if root is None or _is_nothing(root):
        raise Invalid("rooms", "rooms.file_empty")
    return root


def _mistake(line: int, why: Message) -> Invalid:
    return Invalid("rooms", _at_line(line, why))


def _at_line(line: int, why: Message) -> Message:
    return Message("rooms.line", line=line + 1, why=why)


class _Mistakes:
    """What is wrong with a file, up to the number that a person reads at once."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def add(self, node: yaml.Node, why: Message) -> None:
        if len(self.messages) == _MOST_MISTAKES:
            self.messages.append(Message("rooms.and_more"))
            raise self.as_error()
        self.messages.append(_at_line(node.start_mark.line, why))

    def as_error(self) -> Invalid:
        return Invalid("rooms", sentences(self.messages))


class _Entry:
    """A mapping of the file: reads what stands under its keys, and collects the mistakes.

    What is wrong is read as an empty text, so that the rest is checked, too.

    place: of the mapping, such as "room '504'"; None for the file as a whole.
    """

    def __init__(
        self,
        node: yaml.Node,
        place: Message | None,
        keys: Sequence[str],
        mistakes: _Mistakes,
    ) -> None:
        self.place = place
        self._node = node
        self._mistakes = mistakes
        self._values: dict[str, yaml.Node] = {}
        self.is_mapping = isinstance(node, yaml.MappingNode)
        if not self.is_mapping:
            self.add_mistake("", Message("rooms.write_keys", keys=tuple(f"{key}:" for key in keys)))
            return
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name in self._values:  # PyYAML itself lets the last one win
                mistakes.add(key, self._at_place(Message("rooms.key_twice", key=name)))
            elif name in keys:
                self._values[name] = value
            elif len(name) > LONGEST_KEY:
                mistakes.add(key, self._at_place(Message("rooms.no_key_so_long")))
            else:
                why = Message("rooms.no_key", key=name, hint=did_you_mean(name, keys))
                mistakes.add(key, self._at_place(why))

    def add_mistake(self, key: str, why: Message) -> None:
        """Add a mistake in the value of a key, or, without one, in the mapping as a whole."""
        node = self._values.get(key, self._node)
        what = Message("error.of_field", field=key, why=why) if key else why
        self._mistakes.add(node, self._at_place(what))

    def _at_place(self, why: Message) -> Message:
        return Message("rooms.at", place=self.place, why=why) if self.place else why

    def text(self, key: str, *, required: bool = False, longest: int = LONGEST_KEY) -> str:
        """Return a value as it is written; an empty text where there is none, or a wrong one."""
        node = self._values.get(key)
        if node is None or _is_nothing(node):
            if required:
                self.add_mistake(key, Message("error.missing"))
        elif not isinstance(node, yaml.ScalarNode):
            self.add_mistake(key, Message("rooms.not_a_text"))
        elif len(node.value) > longest:
            self.add_mistake(key, Message("error.too_long", longest=longest))
        elif not node.value.isprintable():
            self.add_mistake(key, Message("rooms.invisible_character"))
        else:
            return str(node.value)
        return ""

    def name(self, key: str, *, required: bool = False) -> str:
        """Return a name, which must be usable as a part of a file name."""
        # As in file names: macOS writes й and é as two characters each.
        name = unicodedata.normalize("NFC", self.text(key, required=required))
        if "/" in name:
            self.add_mistake(key, Message("rooms.name_slash", name=name))
        elif name != name.strip():
            self.add_mistake(key, Message("rooms.name_spaces", name=name))
        elif len(name.encode()) > LONGEST_NAME:
            self.add_mistake(key, Message("rooms.name_too_long", longest=LONGEST_NAME))
        else:
            return name
        return ""

    def choice(self, key: str, words: Collection[str]) -> str:
        """Return a word that must be one of some."""
        word = self.text(key, required=True)
        if word and word not in words:
            hint = did_you_mean(word, sorted(words))
            self.add_mistake(key, Message("rooms.no_choice", word=word, hint=hint))
            return ""
        return word

    def maybe_choice(self, key: str, words: Collection[str]) -> str | None:
        """Return a word that must be one of some; None if nothing is written."""
        return self.choice(key, words) if self.text(key) else None

    def boolean(self, key: str, default: bool) -> bool:
        """Return whether yes is written; the default if nothing is."""
        word = self.text(key)
        if word and word not in _BOOLEANS:
            self.add_mistake(key, Message("rooms.not_yes_or_no", word=word))
        return _BOOLEANS.get(word, default)

    def seconds(self, key: str, default: int, read: Callable[[str, str], timedelta]) -> int:
        """Return a length such as 30m in seconds; the default if nothing is written."""
        length = self.text(key)
        try:
            return read(length, key) // timedelta(seconds=1) if length else default
        except Refused as error:
            self.add_mistake(key, error.message)
            return default

    def maybe_seconds(self, key: str, read: Callable[[str, str], timedelta]) -> int | None:
        """Return a length such as 30m in seconds; None if nothing is written."""
        return self.seconds(key, 0, read) if self.text(key) else None

    def entries(
        self, key: str, place_of: Callable[[int], Message], keys: Sequence[str]
    ) -> Iterator[_Entry]:
        """Yield the mappings of a list.

        Args:
            key: of the list.
            place_of: returns the place of a mapping by its number, from 1.
            keys: that a mapping may have.
        """
        node = self._values.get(key)
        if not isinstance(node, yaml.SequenceNode):
            # An empty list must be written as such: it removes all that was in there.
            self.add_mistake(key, Message("rooms.not_a_list"))
            return
        for number, item in enumerate(node.value, 1):
            entry = _Entry(item, place_of(number), keys, self._mistakes)
            if entry.is_mapping:
                yield entry


def _rooms(root: _Entry, kinds: Collection[str], secrets: Secrets) -> list[RoomSpec]:
    rooms: dict[str, RoomSpec] = {}
    for entry in root.entries("rooms", _room_place, _ROOM_KEYS):
        name = entry.name("name", required=True)
        if name:
            entry.place = Message("rooms.place.room", room=name)
        zone = _zone(entry)  # mistakes are named in the order of the file
        chunk_s = entry.seconds("chunk", DEFAULT_CHUNK_S, length_from)
        room = RoomSpec(
            name=name,
            zone=zone,
            chunk_s=chunk_s,
            decide=cast(Decide, entry.maybe_choice("decide", DECIDES) or decide_meant(chunk_s)),
            shows_both=entry.boolean("shows_both", False),
            both_after_s=entry.seconds("both_after", DEFAULT_BOTH_AFTER_S, standing_from),
            early_s=entry.seconds("early", DEFAULT_EARLY_S, margin_from),
            late_s=entry.seconds("late", DEFAULT_LATE_S, margin_from),
            sound_source=entry.name("sound_source") or None,
            drive_folder=entry.text("drive_folder") or None,
            calendar_id=entry.text("calendar_id") or None,
            mails=entry.boolean("mails", True),
            uploads_raw=entry.boolean("uploads_raw", False),
            papers=entry.boolean("papers", False),
            archives=entry.boolean("archives", False),
            requesters=_policy(entry, "requesters"),
            watchers=_policy(entry, "watchers"),
            default_course=clean_name(entry.text("default_course")) or None,
            unmatched=cast(Unmatched | None, entry.maybe_choice("unmatched", UNMATCHED)),
            shortest_s=entry.maybe_seconds("shortest", margin_from),
            sources=_sources(entry, kinds, secrets),
        )
        names = [source.name for source in room.sources]
        if room.sound_source is not None and room.sound_source not in names:
            entry.add_mistake("sound_source", no_source(room.sound_source, names))
        if name and name in rooms:
            entry.add_mistake("", Message("rooms.listed_twice"))
        rooms[name] = room
    return list(rooms.values())


def _sources(room: _Entry, kinds: Collection[str], secrets: Secrets) -> tuple[SourceSpec, ...]:
    sources: dict[str, SourceSpec] = {}
    by_role: dict[str, SourceSpec] = {}
    room_place = room.place or Message("nothing")  # a room has one

    def place_of(number: int) -> Message:
        return Message("rooms.place.source_number", room=room_place, number=number)

    for entry in room.entries("sources", place_of, _SOURCE_KEYS):
        name = entry.name("name", required=True)
        if name:
            entry.place = Message("rooms.place.source", room=room_place, source=name)
        source = SourceSpec(
            name=name,
            role=entry.choice("role", ROLES),
            kind=entry.choice("kind", kinds),
            address=_address(entry),
            credentials=_credentials(entry, secrets),
        )
        other = by_role.setdefault(source.role, source)
        if name and name in sources:
            entry.add_mistake("", Message("rooms.listed_twice"))
        elif source.role and other is not source:
            entry.add_mistake("role", role_taken(other.name, source.role))
        sources[name] = source
    return tuple(sources.values())


def _policy(room: _Entry, key: str) -> RoomPolicy | None:
    try:
        return policy_of_text(room.text(key, longest=LONGEST_TEXT), key)
    except Refused as error:
        room.add_mistake(key, error.message)
        return None


def _room_place(number: int) -> Message:
    return Message("rooms.place.room_number", number=number)


def _zone(room: _Entry) -> str:
    zone = room.text("zone", required=True)
    try:
        return zone and zone_named(zone).key
    except Refused:
        hint = did_you_mean(zone, available_timezones())
        room.add_mistake("zone", Message("rooms.no_zone", zone=zone, hint=hint))
        return ""


def _address(source: _Entry) -> str:
    address = source.text("address", required=True, longest=LONGEST_TEXT)
    if mask_passwords(address) != address:
        source.add_mistake("address", Message("rooms.password_in_address"))
    return address


def _credentials(source: _Entry, secrets: Secrets) -> str | None:
    """Return the value of the environment variable that is named.

    What stands in the file is never repeated: it may be a password, by mistake.
    """
    key = "credentials_env"
    variable = source.text(key)
    if not variable:
        return None
    if not _VARIABLE.fullmatch(variable):
        source.add_mistake(key, Message("rooms.not_a_variable"))
        return None
    try:
        credentials = secrets(variable)
    except Refused as error:
        source.add_mistake(key, error.message)
        return None
    if not credentials:
        source.add_mistake(key, Message("rooms.variable_empty"))
    elif len(credentials) > LONGEST_TEXT or not _is_unicode(credentials):
        source.add_mistake(key, Message("rooms.variable_not_text", longest=LONGEST_TEXT))
    return credentials


def _is_nothing(node: yaml.Node) -> bool:
    """Return whether nothing is written, or null, or only spaces."""
    if not isinstance(node, yaml.ScalarNode):
        return False
    return node.tag == "tag:yaml.org,2002:null" or not node.value.strip()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of the environment that aren't UTF-8
        return False
    return True
