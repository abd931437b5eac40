"""What people see of a source and of a chunk: the last picture, and those that were looked at."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from merger.analysis import thumbnails
from merger.daemon.retention import remove_expired
from merger.db.engine import writing
from merger.errors import Refused
from merger.records.browse import files
from models import Chunk, Source
from recorders.testing.clock import plain
from tests.conftest import START, seconds
from tests.render.test_inputs import remux
from tests.support.databases import ON_SQLITE
from tests.support.site import Site
from tests.support.truth import clock_in, error_ms

SPEAKER, SCREEN = 1, 2  # ids


def opened(data: bytes) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return picture


def picture_of(site: Site, source: int) -> np.ndarray:
    return opened(thumbnails.picture_path(site.settings, source).read_bytes())


def deliver(site: Site, until_s: float = 6.0, from_s: float = 0.0) -> int:
    record = site.ask(until_s, from_s)
    assert site.work() == "delivered"
    return record


def is_of(site: Site, source: int, at_s: float) -> None:
    """The last picture of a source shows an instant, and says so."""
    instant = START + seconds(at_s)
    assert thumbnails.taken_at(site.settings, source) == instant
    clock = clock_in(picture_of(site, source))
    assert clock is not None and clock.source == source
    assert abs(error_ms(clock, instant)) <= 40


@pytest.fixture
def filmed(site: Site) -> Site:
    """A room with twelve seconds of a lecture; there is a key frame every second."""
    site.add_room()
    for at_s in (0.0, 6.0):
        site.film("speaker", at_s)
        site.film("screen", at_s, sound=False)
    return site


# --- of a source ----------------------------------------------------------------------------------


@ON_SQLITE
def test_the_newest_picture_of_each_source_is_kept(filmed: Site) -> None:
    assert thumbnails.taken_at(filmed.settings, SPEAKER) is None
    deliver(filmed)
    for source in (SPEAKER, SCREEN):
        is_of(filmed, source, 5)
        assert picture_of(filmed, source).shape == (180, 320)
    deliver(filmed, 12.0, 6.0)
    for source in (SPEAKER, SCREEN):
        is_of(filmed, source, 11)


@ON_SQLITE
def test_an_older_picture_never_takes_its_place(filmed: Site) -> None:
    deliver(filmed, 12.0, 6.0)
    before = thumbnails.picture_path(filmed.settings, SPEAKER).stat()
    deliver(filmed)
    assert thumbnails.picture_path(filmed.settings, SPEAKER).stat() == before
    is_of(filmed, SPEAKER, 11)


@ON_SQLITE
def test_a_large_picture_is_made_smaller(site: Site) -> None:
    site.add_room(roles=("speaker",))
    site.film("speaker", ground=plain(1280, 720))
    deliver(site)
    assert picture_of(site, SPEAKER).shape == (360, 640)
    is_of(site, SPEAKER, 5)


@ON_SQLITE
def test_the_last_key_frame_that_can_be_decoded(site: Site) -> None:
    site.add_room(roles=("speaker",))
    path = site.film("speaker", sound=False)
    status, data = path.stat(), bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        keys = [packet for packet in container.demux(video=0) if packet.is_keyframe]
    assert len(keys) == 6
    for key in keys[-2:]:
        assert key.pos is not None
        data[key.pos : key.pos + key.size] = bytes(key.size)
    path.write_bytes(data)
    os.utime(path, (status.st_mtime, status.st_mtime))
    deliver(site)
    is_of(site, SPEAKER, 3)


@ON_SQLITE
def test_sound_alone_has_no_picture(site: Site) -> None:
    site.add_room(roles=("speaker", "audio"))
    site.film("speaker")
    sound = site.film("audio")
    ended = sound.stat().st_mtime
    remux(sound, "-vn")
    os.utime(sound, (ended, ended))
    deliver(site)
    assert thumbnails.taken_at(site.settings, 1) is not None
    assert thumbnails.taken_at(site.settings, 2) is None


def no_folder(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.settings.data.mkdir()
    thumbnails.thumbnails_folder(site.settings).write_text("in the way")


def no_picture(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "_last_picture", end_the_process)


def end_the_process(*_: object) -> None:
    """Stand for a native decoder that dies; it is called in a reader."""
    os.abort()


@ON_SQLITE
@pytest.mark.parametrize("hinder", [no_folder, no_picture])
def test_what_stands_in_the_way_is_told_in_the_log_alone(
    filmed: Site,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    hinder: Callable[[Site, pytest.MonkeyPatch], None],
) -> None:
    hinder(filmed, monkeypatch)
    with caplog.at_level(logging.WARNING):
        record = deliver(filmed)
    said = [line for line in caplog.messages if "last picture of source" in line]
    assert len(said) == 2 and "'speaker'" in said[0] and "'screen'" in said[1]
    assert filmed.details(record)["warnings"] == []


def test_of_many_at_once_the_newest_stays(tmp_path: Path) -> None:
    site = Site(tmp_path, f"sqlite:///{tmp_path / 'database.sqlite'}")
    instants = [START + timedelta(microseconds=n) for n in range(200)]
    random.Random(1).shuffle(instants)

    def keep(at: datetime) -> None:
        thumbnails.save_thumbnail(site.settings, SPEAKER, at, at.isoformat().encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keep, instants))
    newest = max(instants)
    assert thumbnails.taken_at(site.settings, SPEAKER) == newest
    lies = thumbnails.picture_path(site.settings, SPEAKER)
    assert lies.read_bytes() == newest.isoformat().encode()
    assert {path.name for path in lies.parent.iterdir()} == {"lock", lies.name}


@ON_SQLITE
def test_pictures_of_sources_that_are_gone_are_removed(filmed: Site) -> None:
    deliver(filmed)
    remove_expired(filmed.service, filmed.clock)
    is_of(filmed, SCREEN, 5)

    def remove(session: Session) -> None:
        session.execute(delete(Source).where(Source.id == SCREEN))

    writing(filmed.engine, remove)
    remove_expired(filmed.service, filmed.clock)
    assert thumbnails.taken_at(filmed.settings, SCREEN) is None
    is_of(filmed, SPEAKER, 5)


# --- of a chunk -----------------------------------------------------------------------------------


def test_the_pictures_of_a_chunk_are_told_and_given(filmed: Site) -> None:
    record = deliver(filmed, 12.0)
    chunks = filmed.details(record)["chunks"]
    assert [chunk["start"] for chunk in chunks] == [
        (START + seconds(at)).isoformat() for at in (0, 10)
    ]
    for number, (chunk, instants) in enumerate(zip(chunks, ([0, 2, 4, 6, 8], [10]), strict=True)):
        assert [set(picture) for picture in chunk["pictures"]] == [{"at", "verdict"}] * len(
            instants
        )
        told = [datetime.fromisoformat(picture["at"]) for picture in chunk["pictures"]]
        assert told == [START + seconds(at) for at in instants]
        assert chunk["pictures"][0]["at"].endswith("+03:00")
        for n, at_s in enumerate(instants):
            small = opened(files.chunk_picture(filmed.engine, record, number, n))
            assert small.shape == (108, 192)
            clock = clock_in(cv2.resize(small, (320, 180), interpolation=cv2.INTER_CUBIC))
            assert clock is not None and clock.source == SCREEN
            assert abs(error_ms(clock, START + seconds(at_s))) <= 40


def test_what_was_decided_before_has_the_same_pictures(filmed: Site) -> None:
    first = deliver(filmed, 12.0)
    second = filmed.ask(12.0, layout="screen_large")
    assert filmed.work() == "delivered"
    assert filmed.details(first)["chunks"] == filmed.details(second)["chunks"]
    one, other = (files.chunk_picture(filmed.engine, r, 0, 4) for r in (first, second))
    assert one == other


@ON_SQLITE
def test_a_picture_that_there_is_not(filmed: Site) -> None:
    record = deliver(filmed, 12.0)
    for chunk, number in ((0, 5), (2, 0), (2**62, 0), (0, 2**62)):
        with pytest.raises(Refused) as refused:
            files.chunk_picture(filmed.engine, record, chunk, number)
        assert refused.value.code == "picture"
    for unknown, only_of in ((2, None), (record, 17)):
        with pytest.raises(Refused) as refused:
            files.chunk_picture(filmed.engine, unknown, 0, 0, only_of)
        assert refused.value.code == "record"


@ON_SQLITE
def test_a_record_that_was_made_before_pictures_were_kept(filmed: Site) -> None:
    record = deliver(filmed)

    def forget(session: Session) -> None:
        session.execute(update(Chunk).values(pictures=None))

    writing(filmed.engine, forget)
    assert [chunk["pictures"] for chunk in filmed.details(record)["chunks"]] == [[]]
    with pytest.raises(Refused):
        files.chunk_picture(filmed.engine, record, 0, 0)
