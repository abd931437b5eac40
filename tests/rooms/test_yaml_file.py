"""The file that lists the rooms: what it means, and what is said of one that has mistakes."""

import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from merger.errors import Refused
from merger.i18n import Message, render
from merger.rooms.spec import RoomSpec, SourceSpec, mask_passwords, warnings
from merger.rooms.yaml_file import LONGEST_FILE, parse_rooms
from models import ROLES
from recorders.registry import kinds

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]
FILE = """\
rooms:
  - name: "504"
    zone: Europe/Moscow
    chunk: 10m
    decide: instant
    shows_both: yes
    both_after: 90s
    early: 5m
    late: 90s
    sound_source: camera
    drive_folder: 0AbC
    calendar_id: room@example.org
    mails: no
    uploads_raw: yes
    papers: yes
    default_course: MISC
    unmatched: ignore
    shortest: 90s
    sources:
      - {name: camera, role: speaker, kind: folder, address: /srv/recordings}
      - {name: slides, role: screen, kind: folder, address: "/srv/recordings#504_slides"}
      - name: board
        role: board
        kind: folder
        address: /srv/recordings
        credentials_env: BOARD_PASSWORD
  - name: Актовый зал
    zone: Asia/Tokyo
    sources: []
"""


def secrets(variable: str) -> str | None:
    return {"BOARD_PASSWORD": "sehr-geheim", "EMPTY": ""}.get(variable)


def parsed(text: str) -> list[RoomSpec]:
    return parse_rooms(text, kinds(), secrets)


def refusal(text: str) -> str:
    with pytest.raises(Refused) as caught:
        parsed(text)
    assert caught.value.code == "rooms"
    assert str(caught.value).isprintable()
    return str(caught.value)


def room(*lines: str) -> str:
    """Return a file with one room; lines replace those of the same key, or are added."""
    values = {"name": "a", "zone": "UTC", "sources": "[]"}
    values |= dict(line.split(": ", 1) for line in lines)
    kept = [f"{key}: {value}" for key, value in values.items()]
    return "rooms:\n  - " + "\n    ".join(kept) + "\n"


def source(**values: str) -> str:
    """Return a file with one room with one source."""
    said = {"name": "camera", "role": "speaker", "kind": "folder", "address": "/srv", **values}
    return room(f"sources: [{{{', '.join(f'{key}: {value}' for key, value in said.items())}}}]")


def test_a_file() -> None:
    assert parsed(FILE) == [
        RoomSpec(
            "504", "Europe/Moscow", 600, "camera", "0AbC", "room@example.org",
            (
                SourceSpec("camera", "speaker", "folder", "/srv/recordings"),
                SourceSpec("slides", "screen", "folder", "/srv/recordings#504_slides"),
                SourceSpec("board", "board", "folder", "/srv/recordings", "sehr-geheim"),
            ),
            300, 90, mails=False, uploads_raw=True, papers=True, default_course="MISC",
            unmatched="ignore", shortest_s=90, shows_both=True, both_after_s=90,
        ),
        RoomSpec("Актовый зал", "Asia/Tokyo", 1800),
    ]  # fmt: skip
    assert "geheim" not in repr(parsed(FILE))


def test_the_example_is_a_file() -> None:
    text = (ROOT / "docs/rooms.example.yaml").read_text(encoding="utf-8")
    rooms = parsed(text)
    assert [r.name for r in rooms] == ["312", "Тест"]  # not 504, which is the demo's
    assert warnings(rooms) == []
    for commented in ("credentials_env", "drive_folder", "calendar_id"):
        text = text.replace(f"# {commented}:", f"{commented}:")
    first = parsed(text)[0]
    assert first.sources[2].credentials == "sehr-geheim"
    assert first.drive_folder and first.calendar_id


def test_a_room_without_a_speaker_is_no_mistake() -> None:
    [warning] = warnings(parsed(FILE))
    assert warning == Message("rooms.no_speaker", room="Актовый зал", role="speaker")


@pytest.mark.parametrize(
    "written",
    [
        "504", "0504", "5:04", "1_000", "0x1F", "1e3", "on", "no", "Yes", "2026-11-20", ".inf", "=",
        "'null'", '"~"', "a b", "a_b", "é", "教室", "🎓", "'#1'", "a#1", "a'b", "<<",
    ],
)  # fmt: skip
def test_a_name_is_what_is_written(written: str) -> None:
    assert parsed(room(f"name: {written}"))[0].name == written.strip("\"'")


def test_a_name_is_the_same_however_its_accents_are_written() -> None:
    assert parsed(room("name: e\u0301"))[0].name == "é"
    assert "listed twice" in refusal(
        "rooms: [{name: é, zone: UTC, sources: []}, {name: e\u0301, zone: UTC, sources: []}]"
    )


@pytest.mark.parametrize(
    "written", ["a/b", '"a\\0b"', '"a\\nb"', '"\\ud800"', '"\\u202e"', '" a"', '"a "']
)
def test_a_name_that_no_file_can_have(written: str) -> None:
    assert "line 2: room number 1: name:" in refusal(room(f"name: {written}"))


@pytest.mark.parametrize("written", ["null", "~", '""', "'  '", "# a comment"])
def test_a_name_that_is_missing(written: str) -> None:
    assert "room number 1: name: it is missing" in refusal(room(f"name: {written}"))


def test_lengths() -> None:
    assert parsed(room(f"name: {'a' * 200}")) and parsed(room(f"name: {'ж' * 100}"))
    for name in ("a" * 201, "ж" * 101, "a" * 300):
        assert "name: it is" in refusal(room(f"name: {name}"))
    assert parsed(room(f"drive_folder: {'a' * 255}"))
    assert "drive_folder: it is longer" in refusal(room(f"drive_folder: {'a' * 256}"))
    assert parsed(source(address="/" + "a" * 15_999))
    assert "address: it is longer" in refusal(source(address="/" + "a" * 16_000))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30m", 1800), ("10s", 10), ("24h", 86400), ('"1 h"', 3600), ("null", 1800)],
)
def test_a_chunk(written: str, seconds: int) -> None:
    assert parsed(room(f"chunk: {written}"))[0].chunk_s == seconds


@pytest.mark.parametrize(
    ("lines", "decide"),
    [
        ((), "instant"),
        (("chunk: 30m",), "instant"),
        (("chunk: 10m",), "chunk"),  # who says how often means it
        (("chunk: 10m", "decide: instant"), "instant"),
        (("decide: chunk",), "chunk"),
    ],
)
def test_when_a_room_decides(lines: tuple[str, ...], decide: str) -> None:
    assert parsed(room(*lines))[0].decide == decide


@pytest.mark.parametrize(
    ("written", "seconds"), [("0s", 0), ("90s", 90), ("2m", 120), ("1h", 3600), ("null", 60)]
)
def test_a_margin(written: str, seconds: int) -> None:
    assert parsed(room(f"early: {written}"))[0].early_s == seconds


@pytest.mark.parametrize(
    ("written", "means"),
    [("yes", True), ("no", False), ("true", True), ("'false'", False), ("null", True)],
)
def test_yes_and_no(written: str, means: bool) -> None:
    assert parsed(room(f"mails: {written}"))[0].mails is means


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("# nothing", "the file is empty"),
        ("null", "the file is empty"),
        ("504", "line 1: write rooms: here"),
        ("- name: a", "line 1: write rooms: here"),
        ("{}", "line 1: rooms: write a list"),
        ("rooms:", "line 1: rooms: write a list"),
        ("rooms: {name: a}", "line 1: rooms: write a list"),
        ("room: []", "line 1: there is no key 'room'; did you mean 'rooms'?"),
        ("rooms: []\nrooms: []", "line 2: rooms is given twice"),
        ("rooms: [504]", "line 1: room number 1: write name:, zone:"),
        ("rooms:\n - name: a\n   [b]: c", "line 3: "),
        ("rooms:\n - {[b]: c}", "line 2: room number 1: there is no key ''"),
        (room("zone: Europe/Moskow"), "line 3: room 'a': zone: 'Europe/Moskow' isn't a time zone"),
        (room("zone: Europe/Moskow"), "did you mean 'Europe/Moscow'?"),
        (room("zone: ../../etc/passwd"), "isn't a time zone"),
        (room("zone: Europe"), "isn't a time zone"),
        (room("zone: ''"), "room 'a': zone: it is missing"),
        (room("zone: [UTC]"), "zone: write a single value"),
        (room("chunk: 30"), "line 5: room 'a': chunk: '30' is not a length of time; write 30m"),
        (room("chunk: 25h"), "chunk: 25h is not between"),
        (room("decide: instand"), "decide: 'instand' is not possible here; did you mean 'instant'"),
        (room("both_after: 4s"), "both_after: 4s is not between 5s and 1h"),
        (room("early: 60"), "line 5: room 'a': early: '60' is not a length of time; write 30m"),
        (room("late: 61m"), "late: 61m is not between 0s and 1h"),
        (room("earli: 1m"), "there is no key 'earli'; did you mean 'early'?"),
        (room("mails: maybe"), "line 5: room 'a': mails: 'maybe' is neither yes nor no"),
        (room("unmatched: drop"), "unmatched: 'drop' is not possible here"),
        (room("shortest: long"), "shortest: 'long'"),
        (room("uploads_raw: [yes]"), "uploads_raw: write a single value"),
        (room("requesters: nobody"), "requesters: 'nobody' isn't a valid email address"),
        (room("watchers: everybody, '@'"), "watchers: 'everybody' isn't a valid email address"),
        (room("watchers: ada@example.org, @"), "watchers: '@' isn't a domain"),
        (room("upload_raw: yes"), "there is no key 'upload_raw'; did you mean 'uploads_raw'?"),
        (room("zoen: UTC"), "line 5: room number 1: there is no key 'zoen'; did you mean 'zone'?"),
        (room("<<: {chunk: 1h}"), "there is no key '<<'"),
        (room("sources: null"), "line 4: room 'a': sources: write a list"),
        (room("sources: {name: camera}"), "sources: write a list"),
        (room("sources: [camera]"), "room 'a', source number 1: write name:, role:"),
        (room("sound_source: camera"), "sound_source: there is no source 'camera' in this room"),
        (
            source(role="speeker"),
            "source 'camera': role: 'speeker' is not possible here; did you mean",
        ),
        (source(kind="xyz"), "kind: 'xyz' is not possible here; the choices are drive, folder"),
        (source(kind="foldr"), "did you mean 'folder'?"),
        (source(address='""'), "source 'camera': address: it is missing"),
        (source(password="x"), "there is no key 'password'"),
        (source(name="a/b"), "source number 1: name: 'a/b' cannot be part of a file name"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, told: str) -> None:
    assert told in refusal(text)


def test_what_is_there_twice() -> None:
    camera = "{name: camera, role: speaker, kind: folder, address: /srv}"
    board = "{name: board, role: speaker, kind: folder, address: /srv}"
    told = refusal(room(f"sources: [{camera}, {board}, {camera}]"))
    assert "source 'board': role: 'camera' already has the role speaker" in told
    assert "source 'camera': it is listed twice" in told
    one = "{name: a, zone: UTC, sources: []}"
    told = refusal(f"rooms:\n - {one}\n - {one}\n - {one}")
    assert told == "line 3: room 'a': it is listed twice; line 4: room 'a': it is listed twice"
    assert "line 3: room number 1: zone is given twice" in refusal(
        "rooms:\n - zone: UTC\n   zone: UTC\n   name: a\n   sources: []"
    )


def test_mistakes_are_said_in_russian() -> None:
    with pytest.raises(Refused) as caught:
        parsed(room("mails: maybe") + source(role="speeker").removeprefix("rooms:\n"))
    text = render("ru", caught.value.message)
    assert "строка 5: аудитория «a»: mails: «maybe» — не yes и не no; " in text
    assert "источник «camera»: role: «speeker» здесь указать нельзя; может быть, «speaker»?" in text


def test_all_mistakes_are_told_together_up_to_twenty() -> None:
    told = refusal(
        FILE.replace("Moscow", "Moskow").replace("speaker", "talker").replace("10m", "10")
    )
    assert [part.split(":")[0] for part in told.split("; ") if part.startswith("line")] == [
        "line 3", "line 4", "line 20",
    ]  # fmt: skip
    assert "and more" not in told
    many = refusal("rooms:\n" + " - a\n" * 30)
    assert many.count("line ") == 20 and many.endswith("; and more")
    assert "and more" not in refusal("rooms:\n" + " - a\n" * 20)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("rooms: [", 1),
        ("rooms:\n\t- a", 2),
        ("rooms: a: b", 1),
        ("rooms: []\n---\nrooms: []", 2),
        ("rooms: []\n\nx: \x07", 3),
        ("%YAML 2.0\n---\nrooms: []", 1),
        ("rooms: &a []\nb: *a", 1),
        ("rooms: []\nb: *a", 2),
        ("rooms: !!python/object/apply:os.system [ls]", 1),
        ("rooms:\n - !!int '5'", 2),
        ("rooms: []\nb: [[[[[[[[[[[[[]]]]]]]]]]]]]", 2),
    ],
)
def test_what_is_no_yaml_of_ours(text: str, line: int) -> None:
    assert refusal(text).startswith(f"line {line}: ")


def test_an_escape_that_names_no_character() -> None:
    for escape in ("\\Uffffffff", "\\U00110000"):
        assert "\\U" in refusal(f'rooms: "{escape}"')


@pytest.mark.parametrize(
    "text",
    ["[" * 499_999, "- " * 200_000, "? " * 200_000, "{a: " * 100_000, "&a " * 100_000,
     "rooms: [" + "{role: board}," * 30_000 + "]", "rooms: [" + "{zone: X/Y}," * 30_000 + "]",
     "rooms:\n" + " - a\n" * 90_000],
    ids=range(8),
)  # fmt: skip
def test_no_file_takes_long(text: str) -> None:
    begun = time.process_time()
    assert len(refusal(text)) < 10_000
    assert time.process_time() - begun < 30


def test_aliases_make_no_small_file_a_large_one() -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "aliases" in refusal("\n".join(["a0: &a0 [x]", *levels]))


def test_a_file_that_is_too_long() -> None:
    assert "longer than" in refusal("#" * (LONGEST_FILE + 1))


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("MISSING_geheim", "no environment variable of this name"),
        ("EMPTY", "no environment variable of this name"),
        ("sehr-geheim", "the name of an environment variable"),
        ('"geheim!"', "the name of an environment variable"),
        ("[geheim]", "write a single value"),
    ],
)
def test_credentials_that_are_not_there(variable: str, told: str) -> None:
    message = refusal(source(credentials_env=variable))
    assert "source 'camera': credentials_env: " in message and told in message
    assert "geheim" not in message  # it may be the password itself


def test_credentials_that_cannot_be_kept() -> None:
    for value in ("geheim" * 10_000, "geheim\udcff"):
        with pytest.raises(Refused, match="credentials_env: the variable is not text") as caught:
            parse_rooms(source(credentials_env="A"), kinds(), {"A": value}.get)
        assert "geheim" not in str(caught.value)

    def unreadable(_: str) -> str | None:
        raise Refused("config", "A_FILE=/run/secrets/a cannot be read")

    with pytest.raises(
        Refused, match="line 4: room 'a', source 'camera': credentials_env: A_FILE="
    ):
        parse_rooms(source(credentials_env="A"), kinds(), unreadable)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    for address in ("rtsp://admin:geheim@camera/1", "https://:ge@heim@host"):
        message = refusal(source(address=f"'{address}'"))
        assert "address: it contains a password" in message and "credentials_env" in message
        assert "geheim" not in message and "heim" not in message


@pytest.mark.parametrize(
    "address",
    [
        "/srv/a:b@c",
        "rtsp://admin@camera/1",
        "https://cloud:8080/files/me@uni.org/",
        "testpattern:?a=b:c@d",
    ],
)
def test_an_address_without_a_password(address: str) -> None:
    assert mask_passwords(address) == address
    assert parsed(source(address=f"'{address}'"))[0].sources[0].address == address


def test_masked() -> None:
    assert (
        mask_passwords("at rtsp://u:p@h/x and ftp://:p@h") == "at rtsp://u:***@h/x and ftp://:***@h"
    )


def composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


NAMES = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="/"), min_size=1, max_size=15
)
TEXTS = st.none() | st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60)


@st.composite
def files(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw the rooms of a file, as plain values."""
    rooms = []
    for name in draw(st.lists(NAMES, max_size=3, unique_by=composed)):
        roles = draw(st.lists(st.sampled_from(ROLES), unique=True))
        names = draw(st.lists(NAMES, min_size=len(roles), max_size=len(roles), unique_by=composed))
        rooms.append(
            {
                "name": name,
                "zone": draw(st.sampled_from(["UTC", "Europe/Moscow"])),
                "chunk": f"{draw(st.integers(1, 24))}h",
                "late": f"{draw(st.integers(0, 3600))}s",
                "uploads_raw": draw(st.booleans()),
                "papers": draw(st.booleans()),
                "sound_source": draw(st.sampled_from([None, *names])),
                "drive_folder": draw(TEXTS),
                "sources": [
                    {"name": n, "role": r, "kind": "folder", "address": "/srv/" + n}
                    for n, r in zip(names, roles, strict=True)
                ],
            }
        )
    return rooms


@settings(max_examples=100, deadline=None, derandomize=True)
@given(files(), st.booleans())
def test_what_others_write_is_read_as_they_mean_it(rooms: list[dict[str, Any]], flow: bool) -> None:
    text = yaml.safe_dump({"rooms": rooms}, allow_unicode=True, default_flow_style=flow)
    found = parsed(text)
    assert len(found) == len(rooms)
    for room, meant in zip(found, rooms, strict=True):
        assert room.name == composed(meant["name"])
        assert room.zone == meant["zone"]
        assert room.drive_folder == meant["drive_folder"]
        assert f"{room.late_s}s" == meant["late"]
        assert room.uploads_raw is meant["uploads_raw"]
        assert room.papers is meant["papers"]
        assert room.chunk_s == 3600 * int(meant["chunk"][:-1])
        assert [(s.role, s.address) for s in room.sources] == [
            (s["role"], s["address"]) for s in meant["sources"]
        ]


PIECES = [
    "rooms:", "\n", "  ", "- ", "name: ", "zone: ", "sources: ", "[", "]", "{", "}", ",", ": ", "?", "&a", "*a",
    "!", "!!int", "|", ">", "'", '"', "\\", "\\x", "\\U", "%", "---", "...", "#", "\t", "<<", "null", "0o7",
    "2026-99-99", "a", "é", "\x00", "\x85", "\u2028", "\ufeff", "\ud800", "@", "`", "UTC", "chunk: 1h",
]  # fmt: skip


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=25).map("".join))
@example("rooms: [{name: a, zone: UTC, sources: []}]")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        rooms = parsed(text)
    except Refused as error:
        assert error.code == "rooms" and str(error)
    else:
        assert all(isinstance(room.name, str) and room.name for room in rooms)
