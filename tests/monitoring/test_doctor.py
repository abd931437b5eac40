"""What is told of the surroundings of the service, when they are fine and when they are not."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Engine, insert, text, update

from merger.config import Settings, load
from merger.db.encryption import ensure_key
from merger.db.engine import connect, writing
from merger.errors import Broken, Refused, Temporary
from merger.i18n import Message, languages, render
from merger.isolation import confinement, landlock, reader
from merger.isolation.reader import Unreadable
from merger.monitoring.doctor import check
from merger.monitoring.findings import Check, Finding, look_at_all
from merger.render import ffmpeg
from merger.rooms import store
from merger.rooms.spec import RoomSpec, SourceSpec
from models import Record, Rendition, Room, Source
from recorders.registry import kinds, recorder_of
from tests.support.databases import ON_MARIADB, ON_SQLITE, PASSWORD, MariaDB
from tests.support.selection import BOTH_DATABASES

pytestmark = BOTH_DATABASES

GB = 1_000_000_000
# A folder that is there.
CAMERA = SourceSpec("camera", "speaker", "folder", str(Path(__file__).parent))
RECORDERS = partial(recorder_of, kinds())


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(autouse=True)
def plenty_of_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large disk, whatever the one is that the tests run on."""
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: SimpleNamespace(total=1000 * GB, free=500 * GB)
    )


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A machine where only some encoders work: those in software, unless a test says otherwise."""

    def only(*working: str) -> None:
        def refusal(_: Any, encoder: Any) -> str | None:
            return None if encoder.name in working else "no such device"

        monkeypatch.setattr(ffmpeg, "why_refused", refusal)

    only("libx264", "libsvtav1")
    return only


def config(folder: Path, **environ: str) -> Settings:
    (folder / "data").mkdir(0o700, exist_ok=True)
    said = {
        "MERGER_DATA": str(folder / "data"), "MERGER_CACHE": str(folder / "cache"),
        "MERGER_ACCESS": "ask",
    }  # fmt: skip
    return load({**said, **environ})


@pytest.fixture
def site(engine: Engine) -> Engine:
    """A database with a room of which records can be made."""
    store.apply_rooms(engine, [RoomSpec("504", "Europe/Moscow", sources=(CAMERA,))])
    return engine


@dataclass(frozen=True)
class Shown:
    """A finding as people read it."""

    level: str
    text: str
    ok: bool


def looked(
    folder: Path,
    engine: Engine,
    clock: Callable[[], datetime] = now,
    recorders: Any = RECORDERS,
    **environ: str,
) -> dict[str, Shown]:
    """Return what was found, by what it is about; no secret may be in it."""
    findings = check(config(folder, **environ), engine, recorders, clock)
    assert all(f.ok == (f.level != "broken") for f in findings)
    for f in findings:
        for words in (
            *(render(language, f.text) for language in languages()),
            json.dumps(f.document),
        ):
            assert PASSWORD not in words and "geheim" not in words
        assert f.document["text"] == str(f.text) and f.document["key"] == f.text.key
    found = {f.what: Shown(f.level, str(f.text), f.ok) for f in findings}
    assert len(found) == len(findings)
    return found


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Engine]:
    """A database without tables, where it is not in question."""
    engine = connect(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    yield engine
    engine.dispose()


def test_all_is_well(site: Engine, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    found = looked(tmp_path, site)
    old_linux = {} if landlock.abi() else {"confinement": "warning"}
    assert {what: f.level for what, f in found.items() if f.level != "ok"} == old_linux
    assert [what.split(" (")[0] for what in found] == [
        "database", "clocks", "schema", "key file", "access", "room '504'", "ffmpeg",
        "encoder for 720p, full, 540p, auto, tiny", "encoder for av1, tiny_av1", "setpriv",
        "confinement", "reading of slides", "cache folder", "data folder", "output folder", "disk space",
        "private files",
    ]  # fmt: skip
    assert found["room '504'"].text == "Europe/Moscow; camera"
    assert "500.0 GB free" in found["data folder (MERGER_DATA)"].text
    # Nothing was made by looking.
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "data"])


@ON_SQLITE
def test_a_key_that_does_not_fit(site: Engine, tmp_path: Path) -> None:
    assert "will be created at the next start" in looked(tmp_path, site)["key file"].text
    ensure_key(site)
    key = config(tmp_path).secret_file
    assert looked(tmp_path, site)["key file"].text.startswith(f"{key} decrypts the secrets")
    key.unlink()
    other = connect(site.url.render_as_string())
    found = looked(tmp_path, other)
    other.dispose()
    assert (
        found["key file"].level == "broken" and "is missing; restore it" in found["key file"].text
    )
    assert not any(what.startswith("room") for what in found)


def test_files_that_others_can_read(lite: Engine, tmp_path: Path) -> None:
    data, database = tmp_path / "data", tmp_path / "empty.sqlite"
    environ = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{database}"}
    assert looked(tmp_path, lite, **environ)["private files"].level == "ok"
    data.chmod(0o755)
    database.chmod(0o640)
    found = looked(tmp_path, lite, **environ)
    assert "private files" not in found
    for path, wide, most in ((data, "755", "700"), (database, "640", "600")):
        told = found[f"private file {path}"]
        assert told.level == "warning"
        assert f"(mode {wide})" in told.text and f"chmod {most} {path}" in told.text


@ON_MARIADB
def test_a_database_that_is_away(site: Engine, mariadb: MariaDB, tmp_path: Path) -> None:
    with mariadb.down():
        found = looked(tmp_path, site)
    assert found["database"].level == "broken"
    assert "cannot be reached" in found["database"].text
    assert "SQLALCHEMY_DATABASE_URI" in found["database"].text
    assert not {"clocks", "schema", "room '504'"} & {*found}
    assert found["ffmpeg"].ok and found["data folder (MERGER_DATA)"].ok


def test_a_database_that_refuses_us(mariadb: MariaDB, tmp_path: Path) -> None:
    engine = connect(mariadb.url("mysql", password="auch-geheim"))
    found = looked(tmp_path, engine)
    engine.dispose()
    assert found["database"].level == "broken"
    assert "Access denied" in found["database"].text


@ON_SQLITE
def test_a_file_that_is_damaged(site: Engine, tmp_path: Path) -> None:
    """Somewhere in the middle, as a disk does it: most of it can still be read."""
    with site.begin() as connection:
        connection.execute(text("CREATE TABLE filler (words TEXT)"))
        rows = [{"words": f"{n}" * 400} for n in range(200)]
        connection.execute(text("INSERT INTO filler VALUES (:words)"), rows)
    with site.connect() as connection:
        [page] = connection.execute(
            text(
                "SELECT pageno FROM dbstat WHERE name = 'filler' AND pagetype = 'leaf'"
                " LIMIT 1 OFFSET 5"
            )
        ).one()
    site.dispose()  # which leaves everything in the file itself
    assert site.url.database is not None
    with Path(site.url.database).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    found = looked(tmp_path, site)
    assert found["database"].level == "broken"
    assert "is damaged" in found["database"].text and "backup" in found["database"].text


def test_tables_that_are_missing_or_of_others(lite: Engine, tmp_path: Path) -> None:
    found = looked(tmp_path, lite)
    assert found["database"].level == "ok"
    assert found["schema"].level == "broken"
    assert "init-db" in found["schema"].text
    assert not any(what.startswith("room") for what in found)
    with lite.begin() as connection:
        connection.execute(text("CREATE TABLE wp_posts (id INTEGER)"))
    assert "another program" in looked(tmp_path, lite)["schema"].text


@pytest.mark.parametrize(("hours", "seconds"), [(0, -60), (0, 60), (3, 0), (0, 6)])
@ON_MARIADB
def test_clocks_that_differ(engine: Engine, tmp_path: Path, hours: int, seconds: int) -> None:
    off = timedelta(hours=hours, seconds=seconds)
    found = looked(tmp_path, engine, lambda: now() + off)["clocks"]
    assert found.level == "warning"
    assert "NTP" in found.text and "leases" in found.text


def test_clocks_that_agree(engine: Engine, tmp_path: Path) -> None:
    assert looked(tmp_path, engine, lambda: now() + timedelta(seconds=3))["clocks"].level == "ok"


@ON_MARIADB
def test_an_answer_that_takes_long_is_no_difference(engine: Engine, tmp_path: Path) -> None:
    asked: list[datetime] = []

    def clock() -> datetime:
        asked.append(now() + timedelta(minutes=len(asked)))
        return asked[-1]

    assert looked(tmp_path, engine, clock)["clocks"].level == "ok"
    assert len(asked) >= 2  # before and after; and for what is looked at besides


def test_no_room_yet(engine: Engine, tmp_path: Path) -> None:
    found = looked(tmp_path, engine)["rooms"]
    assert found.level == "warning" and "rooms import" in found.text


@pytest.mark.parametrize(
    ("table", "values", "told"),
    [
        (Room, {"zone": "Europe/Moskow"}, "'Europe/Moskow' is not a time zone"),
        (Room, {"zone": ""}, "'' is not a time zone"),
        (Room, {"chunk_s": 0}, "0 s is not a possible chunk length"),
        (Room, {"chunk_s": 86_401}, "86401 s is not a possible chunk length"),
        (Room, {"sound_source": "microphone"}, "there is no source 'microphone' in this room"),
        (Source, {"kind": "foldr"}, "source 'camera': there is no kind of source 'foldr'; did you mean"),
        (Source, {"address": "recordings"}, "source 'camera': the address 'recordings' is not an abs"),
        (Source, {"credentials": "geheim"}, "source 'camera': the kind folder needs no credentials"),
        (Source, {"role": "speeker"}, "source 'camera': there is no role 'speeker'; the roles are speaker"),
    ],
)  # fmt: skip
@ON_SQLITE
def test_a_room_that_was_spoilt_by_hand(
    site: Engine, tmp_path: Path, table: Any, values: dict[str, Any], told: str
) -> None:
    store.apply_rooms(site, [RoomSpec("505", "Europe/Moscow", sources=(CAMERA,))])
    with site.begin() as connection:
        connection.execute(update(table).where(table.id == 1).values(**values))
    findings = [f for f in check(config(tmp_path), site, RECORDERS, now) if "room" in f.what]
    assert findings[0].what == "room '504'" and findings[0].level == "broken"
    assert told in str(findings[0].text)
    message = Message("monitoring.room", zone="Europe/Moscow", sources=("camera",))
    assert findings[-1] == Finding("room '505'", "ok", message)


@ON_SQLITE
def test_a_room_without_a_speaker(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Room).values(name="504", zone="UTC"))
    found = looked(tmp_path, engine)["room '504'"]
    assert found.level == "warning" and "role speaker" in found.text


class Careless:
    """A recorder that tells what it should not."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def check(self, source: Any) -> None:
        raise self._error("source", f"{source.credentials} is wrong at {source.address}")


@ON_SQLITE
def test_what_a_recorder_tells_is_kept_free_of_secrets(engine: Engine, tmp_path: Path) -> None:
    camera = SourceSpec("camera", "speaker", "rtsp", "rtsp://u:geheim@host/1", "sehr-geheim")
    store.apply_rooms(engine, [RoomSpec("504", "UTC", sources=(camera,))])
    for error in (Refused, Broken, Temporary):
        found = looked(tmp_path, engine, recorders=lambda _, e=error: Careless(e))["room '504'"]
        assert found.level == "broken"
        assert found.text == "source 'camera': *** is wrong at rtsp://u:***@host/1"


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], str]:
    """Makes a program that calls itself an ffmpeg of some version."""

    def make(version: str) -> str:
        path = tmp_path / "ffmpeg"
        path.write_text(f"#!/bin/sh\necho 'ffmpeg version {version} Copyright'\n")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.mark.parametrize("version", ["5.1", "5.1.6-0+deb12u1", "n7.1", "10.0", "N-109542-g1bf1dc7"])
def test_an_ffmpeg_that_is_new_enough(
    lite: Engine, tmp_path: Path, program: Callable[[str], str], version: str
) -> None:
    found = looked(tmp_path, lite, MERGER_FFMPEG=program(version))
    assert found["ffmpeg"].level == "ok" and version in found["ffmpeg"].text


@pytest.mark.parametrize("version", ["4.4.2-0ubuntu0.22.04.1", "5.0", "n3.4"])
def test_an_ffmpeg_that_is_too_old(
    lite: Engine, tmp_path: Path, program: Callable[[str], str], version: str
) -> None:
    found = looked(tmp_path, lite, MERGER_FFMPEG=program(version))
    assert found["ffmpeg"].level == "broken" and "5.1 or newer" in found["ffmpeg"].text
    assert not any(what.startswith("encoder") for what in found)


def test_no_ffmpeg(lite: Engine, tmp_path: Path) -> None:
    found = looked(tmp_path, lite, MERGER_FFMPEG=str(tmp_path / "none"))["ffmpeg"]
    assert found.level == "broken" and "MERGER_FFMPEG" in found.text


H264, AV1 = "encoder for 720p, full, 540p, auto, tiny", "encoder for av1, tiny_av1"


@pytest.mark.parametrize(
    ("working", "choice", "what", "level", "told"),
    [
        ("libx264 libsvtav1", "auto", H264, "ok", "libx264, in software; h264_nvenc does not work"),
        ("libx264 libsvtav1", "software", H264, "ok", "libx264, in software"),
        ("libx264 libsvtav1", "nvenc", H264, "warning", "encoded in software; install its driver"),
        ("libx264 libsvtav1", "nvenc", AV1, "ok", "libsvtav1, in software"),
        ("libx264 h264_nvenc", "auto", H264, "ok", "h264_nvenc, in hardware"),
        ("libx264 h264_nvenc", "software", H264, "ok", "libx264, in software"),
        ("libx264 h264_vaapi", "vaapi", H264, "ok", "h264_vaapi, in hardware"),
        ("h264_nvenc", "auto", H264, "warning", "nothing can replace it"),
        ("libsvtav1", "auto", H264, "broken", "cannot encode with libx264"),
        ("libx264", "auto", AV1, "warning", "cannot encode with libsvtav1"),
    ],
)
def test_encoders(
    lite: Engine, tmp_path: Path, no_gpu: Callable[..., None], working: str, choice: str,
    what: str, level: str, told: str,
) -> None:  # fmt: skip
    no_gpu(*working.split())
    found = looked(tmp_path, lite, MERGER_ENCODER=choice)[what]
    assert found.level == level and told in found.text
    assert ("nvenc" in found.text) <= (choice != "software")


def test_the_encoders_of_this_machine(
    lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real ones
    found = check(config(tmp_path, MERGER_ENCODER="software"), lite, RECORDERS, now)
    told = {f.what: str(f.text) for f in found if f.what.startswith("encoder")}
    assert told == {
        "encoder for 720p, full, 540p, auto": "libx264, in software",
        "encoder for av1": "libsvtav1, in software",
    }


def test_setpriv_is_missing(lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "dying_with_parent", list)
    found = looked(tmp_path, lite)["setpriv"]
    assert found.level == "warning" and "util-linux" in found.text


@pytest.mark.parametrize(
    ("escapes", "level", "told"),
    [
        ([], "ok", "has no network, and no files but those"),
        (["files"], "warning", "has the files of the service; for less, Linux needs Landlock"),
        (["files", "network"], "warning", "has the files of the service, the network; for less"),
    ],
)
def test_what_is_open_to_whatever_decodes(
    lite: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    escapes: list[str],
    level: str,
    told: str,
) -> None:
    monkeypatch.setattr(reader, "call", lambda _: escapes)
    found = looked(tmp_path, lite)["confinement"]
    assert found.level == level and told in found.text


def test_a_confinement_that_is_switched_off_or_fails(
    lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: object) -> None:
        raise Unreadable(Message("media.reader_died", how="SIGSYS"))

    monkeypatch.setattr(reader, "call", die)
    found = looked(tmp_path, lite)["confinement"]
    assert found.level == "broken" and "SIGSYS" in found.text
    monkeypatch.setattr(confinement, "_is_wanted", False)
    found = looked(tmp_path, lite)["confinement"]
    assert found.level == "warning" and "MERGER_CONFINE=auto" in found.text


def test_little_space(lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> Any:
        asked.append(path)
        return SimpleNamespace(free=5 * GB - 1)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    found = looked(tmp_path, lite)
    for what in ("cache folder (MERGER_CACHE)", "data folder (MERGER_DATA)"):
        assert found[what].level == "warning" and "5.0 GB free" in found[what].text
    # Of a folder that is not there yet, the disk that it will be on.
    assert sorted(asked) == [tmp_path, tmp_path / "data", tmp_path / "data"]


def test_folders_that_cannot_be_written_to(
    lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access

    def read_only(path: Path, mode: int) -> bool:  # as root, everything can be written to
        return access(path, mode) and not str(path).startswith(str(tmp_path / "data"))

    monkeypatch.setattr(os, "access", read_only)
    found = looked(tmp_path, lite)
    assert found["cache folder (MERGER_CACHE)"].level == "ok"
    for what in ("data folder (MERGER_DATA)", "output folder (MERGER_OUTPUT)"):
        assert found[what].level == "broken" and "is not writable" in found[what].text


def test_the_output_folder_must_be_there_when_it_is_named(lite: Engine, tmp_path: Path) -> None:
    what, share = "output folder (MERGER_OUTPUT)", tmp_path / "share"
    found = looked(tmp_path, lite, MERGER_OUTPUT=str(share))[what]
    assert found.level == "broken" and "mount it" in found.text
    share.mkdir()
    assert looked(tmp_path, lite, MERGER_OUTPUT=str(share))[what].level == "ok"
    (tmp_path / "file").touch()
    for name in ("file", "file/below"):
        found = looked(tmp_path, lite, MERGER_OUTPUT=str(tmp_path / name))[what]
        assert found.level == "broken"


def test_a_folder_that_cannot_be_made(lite: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o777)
    for name, told in (("file", "is not a folder"), ("file/below", "is not writable")):
        found = looked(tmp_path, lite, MERGER_CACHE=str(tmp_path / name))
        assert found["cache folder (MERGER_CACHE)"].level == "broken"
        assert told in found["cache folder (MERGER_CACHE)"].text


def test_a_share_that_is_away(
    lite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Path) -> Any:
        raise OSError(116, "Stale file handle", "/mnt/share")

    monkeypatch.setattr(shutil, "disk_usage", away)
    found = looked(tmp_path, lite)["data folder (MERGER_DATA)"]
    assert found.level == "broken" and "Stale file handle" in found.text


@ON_SQLITE
def test_a_folder_that_is_not_there(site: Engine, tmp_path: Path) -> None:
    lost = SourceSpec("camera", "speaker", "folder", "/srv/nowhere#504_camera")
    store.apply_rooms(site, [RoomSpec("505", "Europe/Moscow", sources=(lost,))])
    found = looked(tmp_path, site)["room '505'"]
    assert found.level == "warning" and "there is no folder /srv/nowhere" in found.text


# --- media, and room for it -----------------------------------------------------------------------

DAY = timedelta(days=1)


def add_record(
    engine: Engine, ended: datetime, items: dict[str, Any] | None, status: str = "delivered"
) -> None:
    """Add a recording of the room that ended at an instant, with media of some sources."""
    media = {"items": items} if items is not None else None
    row = Record(
        room_id=1, start_at=ended - timedelta(hours=1), end_at=ended, zone="Europe/Moscow",
        event_name="Lecture", layout="side_by_side", profile="720p", created_at=ended,
        updated_at=ended, run_after=ended, status=status, media=media,
    )  # fmt: skip
    writing(engine, lambda session: session.add(row))


FILE = [["a.mp4", "1", "segments/1/a.mp4", "2026-11-20T10:00:00+00:00"]]


@pytest.mark.parametrize(
    ("days_ago", "items", "status", "is_silent"),
    [
        (3, {"camera": FILE}, "delivered", False),
        (3, {"camera": [], "other": FILE}, "delivered", True),
        (3, None, "failed", True),
        (3, None, "queued", True),  # it waits for media that does not come
        (3, None, "cancelled", False),
        (0.5, None, "queued", False),  # it may still come
        (9, None, "failed", False),  # long ago
    ],
)
@ON_SQLITE
def test_a_source_without_media_for_a_week(
    site: Engine, tmp_path: Path, days_ago: float, items: Any, status: str, is_silent: bool
) -> None:
    add_record(site, now() - days_ago * DAY, items, status)
    found = looked(tmp_path, site)["room '504'"]
    assert (found.level == "warning") == is_silent
    if is_silent:
        assert found.text.startswith("source 'camera': the only recording of the last week has no")


@ON_SQLITE
def test_one_lecture_with_media_is_enough(site: Engine, tmp_path: Path) -> None:
    add_record(site, now() - 2 * DAY, {"camera": FILE})
    add_record(site, now() - 3 * DAY, None, "failed")
    assert looked(tmp_path, site)["room '504'"].level == "ok"


@ON_SQLITE
def test_of_zoom_there_need_not_be_media(site: Engine, tmp_path: Path) -> None:
    add_record(site, now() - 2 * DAY, {"camera": FILE})
    with site.begin() as connection:
        connection.execute(
            insert(Source).values(
                room_id=1, name="m", role="screen", kind="zoom", address="zoom:81234567890"
            )
        )
    found = looked(tmp_path, site)["room '504'"]
    assert "none of" not in found.text and "the only recording" not in found.text


@pytest.mark.parametrize(
    ("free_gb", "level", "told"),
    [
        (500, "ok", "495.0 GB free, enough for about 49 days (as in the last two weeks)"),
        (25, "warning", "20.0 GB free, enough for about 2 days (as in the last two weeks); free some"),
        (9000, "ok", "enough for more than a year"),
    ],
)  # fmt: skip
@ON_SQLITE
def test_for_how_many_days_the_disk_suffices(
    site: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gb: int, level: str, told: str
) -> None:  # fmt: skip
    usage = SimpleNamespace(total=10_000 * GB, free=free_gb * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    add_record(site, now() - 10 * DAY, {})
    video = Rendition(
        record_id=1, version=1, kind="merge", path="a", size_bytes=50 * GB, sha256="", frames=1,
        width=2, height=2, made_at=now() - 10 * DAY,
    )  # fmt: skip

    def add(session: Any) -> None:
        session.get_one(Record, 1).updated_at = now()
        session.add(video)

    writing(site, add)
    found = looked(tmp_path, site)["disk space (data)"]  # and in the output folder, on that disk
    assert found.level == level and told in found.text


@ON_SQLITE
def test_room_for_what_is_requested(
    site: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nothing to estimate from" in looked(tmp_path, site)["disk space"].text
    usage = SimpleNamespace(total=1000 * GB, free=12 * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    for n in range(6):
        add_record(site, now() + timedelta(hours=4 + n), None, "queued")
    found = looked(tmp_path, site)["disk space (data)"]
    assert found.level == "warning" and "as requested for the next three days" in found.text


def test_what_does_not_answer_costs_no_other() -> None:
    goes_on = threading.Event()

    def hang() -> Iterator[Finding]:
        goes_on.wait()
        yield from ()

    def fail() -> Iterator[Finding]:
        raise Refused("share", "monitoring.away")

    fine = Finding("fine", "ok", Message("monitoring.ok"))
    try:
        found = look_at_all(
            [Check("share", hang), Check("fails", fail), Check("fine", lambda: [fine])], 0.2
        )
    finally:
        goes_on.set()
    assert [(f.what, f.level) for f in found] == [("share", "broken"), ("fails", "broken"), ("fine", "ok")]  # fmt: skip
    assert "nothing answered" in str(found[0].text)


def test_a_bug_in_a_check_is_told() -> None:
    def wrong() -> Iterator[Finding]:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        look_at_all([Check("wrong", wrong)])
