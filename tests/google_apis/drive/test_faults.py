"""Drive when things go wrong: no file twice, none lost, whatever happens on the way."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from google_apis.auth import credentials_from
from google_apis.drive import files as drive
from google_apis.drive import upload
from google_apis.drive.destination import DriveDestination
from google_apis.drive.folders import Folders
from google_apis.drive.raw import RawDrive
from google_apis.http import Google as Client
from merger.errors import Broken, Temporary
from merger.ports.destination import Fence, Placement, Upload
from tests.fakes.google import SERVICE, SUBJECT, Google
from tests.fakes.google_answers import KINDS
from tests.fakes.google_drive import FOLDER, UNIT
from tests.google_apis.sending import (
    DAY,
    PARTS,
    READERS,
    SIZE,
    Line,
    Memory,
    Parcels,
    check_right,
    faulty,
    videos,
)  # fmt: skip

SEED = 20261120


def test_a_file_lies_in_the_days_folder(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    line = Line(to, parcels())
    link = line.send()
    check_right(google, line)
    [one] = videos(google)
    assert link == one["webViewLink"]
    day = google.drive.files[one["parents"][0]]
    room = google.drive.files[day["parents"][0]]
    assert (day["name"], room["name"]) == ("2026-11-20", "504")
    assert room["parents"] == [google.drive.root(SUBJECT)]


def test_a_rooms_own_folder_and_one_that_people_made(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    own = google.drive.make_folder("Room 504", google.drive.root(SUBJECT), SUBJECT)
    day = google.drive.make_folder("2026-11-20", own, SUBJECT)
    Line(to, parcels(placement=Placement("504", own, DAY))).send()
    assert videos(google)[0]["parents"] == [day]


def test_no_folder_is_made_where_drive_did_not_look_everywhere(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    own = google.drive.make_folder("Room 504", google.drive.root(SUBJECT), SUBJECT)
    day = google.drive.make_folder("2026-11-20", own, SUBJECT)
    line = Line(to, parcels(placement=Placement("504", own, DAY, READERS)))
    google.drive.looks_away = True
    with pytest.raises(Temporary, match="search all"):
        line.send()
    google.drive.looks_away = False
    line.send()
    check_right(google, line)
    assert videos(google)[0]["parents"] == [day]


def test_a_folder_is_made_once_by_two_workers(
    google: Google, client: Client, parcels: Parcels
) -> None:
    memory = Memory()
    workers = [DriveDestination(client, Folders(client, memory)) for _ in range(4)]
    lines = [Line(to, parcels()) for to in workers]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Line.send, lines))
    check_right(google, *lines)
    folders = [one["name"] for one in google.drive.files.values() if one["mimeType"] == FOLDER]
    assert sorted(folders) == ["2026-11-20", "504", "My Drive"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "match",
    ["generateIds", "POST /drive/v3/files?", "uploadType=resumable", "/upload/session", "permissions",
     "PATCH /drive", "GET /drive/v3/files?", "GET /drive/v3/files/"],
)  # fmt: skip
def test_each_call_goes_wrong_in_each_way(
    google: Google, to: DriveDestination, parcels: Parcels, kind: str, match: str
) -> None:
    google.faults.add(match, kind)
    line = Line(to, parcels())
    line.send_until_done(3)
    assert google.faults.happened
    check_right(google, line)


@pytest.mark.parametrize("kind", ["503", "drop_before", "drop_after", "partial", "expire"])
@pytest.mark.parametrize("part", range(1, PARTS + 2))
def test_a_part_goes_wrong(
    google: Google, to: DriveDestination, parcels: Parcels, kind: str, part: int
) -> None:
    line = Line(to, parcels())
    seen = 0

    def next_fault(asked: Any) -> Any:
        nonlocal seen
        if asked.method == "PUT":
            seen += 1
            if seen == part:
                google.faults.add("PUT", kind)
        return original(asked)

    original = google.faults.next
    google.faults.next = next_fault  # type: ignore[method-assign]
    line.send_until_done(3)
    assert google.faults.happened
    check_right(google, line)


def test_what_has_arrived_is_not_sent_again(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    """Another process goes on where this one was killed."""
    line = Line(to, parcels())

    class Killed(Exception):
        pass

    sent = 0

    def kill() -> None:
        nonlocal sent
        sent += 1
        if sent > 3:  # of the file's hash, and then before each part
            raise Killed

    with pytest.raises(Killed):
        to.send(line.parcel, {}, Fence(line.state.update, kill, lambda: None, 1))
    held = sum(len(session.held) for session in google.drive.sessions.values())
    assert 0 < held < SIZE
    before = len(google.history)
    line.send()
    check_right(google, line)
    puts = [one for one in google.history[before:] if " PUT " in one]
    assert len(puts) < PARTS + 2


def long_parcel(parcels: Parcels, units: int) -> Upload:
    """Return one of so many units and some bytes."""
    parcel = parcels()
    data = os.urandom(units * UNIT + 1000)
    parcel.path.write_bytes(data)
    return replace(parcel, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def test_a_connection_that_breaks_in_every_part_brings_all_of_it(
    google: Google, to: DriveDestination, parcels: Parcels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No part is ever answered; what has arrived of it is only told when Google is asked."""
    monkeypatch.setattr(upload, "PART", 2 * UNIT)
    original = google.faults.next

    def next_fault(asked: Any) -> Any:
        if asked.method == "PUT" and len(asked.body) == upload.PART:
            google.faults.add("PUT", "partial")
        return original(asked)

    google.faults.next = next_fault  # type: ignore[method-assign]
    line = Line(to, long_parcel(parcels, 12))
    line.send()
    assert len(google.faults.happened) == 11
    check_right(google, line)


def test_google_that_takes_nothing_more_is_left_alone(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    line = Line(to, parcels())
    original, parts = google.faults.next, itertools.count()

    def next_fault(asked: Any) -> Any:
        if asked.method == "PUT" and asked.body and next(parts) >= 2:
            google.faults.add("PUT", "drop_before")
        return original(asked)

    google.faults.next = next_fault  # type: ignore[method-assign]
    with pytest.raises(Temporary):
        line.send()
    assert 2 < next(parts) < 20
    google.faults.next = original  # type: ignore[method-assign]
    line.send()
    check_right(google, line)


def test_a_part_has_a_minute_to_be_sent(
    to: DriveDestination, parcels: Parcels, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts = []
    send = http.client.HTTPConnection.send

    def noting(connection: http.client.HTTPConnection, data: Any) -> None:
        if len(data) == UNIT:
            timeouts.append(connection.sock.gettimeout())
        send(connection, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", noting)
    Line(to, parcels()).send()
    assert timeouts == [60.0] * PARTS


def test_another_version_replaces_the_content_under_the_same_link(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    line = Line(to, parcels())
    link = line.send()
    other = parcels(version=2, name=line.parcel.name)
    line.parcel = other
    assert line.send() == link
    check_right(google, line)


@pytest.mark.parametrize("how", ["deleted", "bin"])
def test_a_file_that_somebody_took_away_comes_back(
    google: Google, to: DriveDestination, parcels: Parcels, how: str
) -> None:
    line = Line(to, parcels())
    line.send()
    [one] = videos(google)
    if how == "deleted":
        del google.drive.files[one["id"]]
    else:
        one["trashed"] = True
    line.send()
    check_right(google, line)


def test_a_reader_without_an_account_is_a_note(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    placement = Placement("504", None, DAY, ("nobody@example.org", *READERS))
    line = Line(to, parcels(placement=placement))
    line.send()
    check_right(google, line)
    [note] = line.notes
    assert note.params["email"] == "nobody@example.org"


@pytest.mark.parametrize("version", [1, 2], ids=["again", "a new version"])
def test_a_reader_who_has_an_account_by_now_is_let_in(
    google: Google, to: DriveDestination, parcels: Parcels, version: int
) -> None:
    placement = Placement("504", None, DAY, ("nobody@example.org", *READERS))
    line = Line(to, parcels(placement=placement))
    line.send()
    google.drive.domain = "@example.org"
    if version > 1:
        line.parcel = parcels(version=version, name=line.parcel.name, placement=placement)
    line.send()
    [one] = videos(google)
    assert {p["emailAddress"] for p in one["permissions"]} == set(placement.readers)
    assert line.state["refused"] == [] and len(line.notes) == 1


def test_what_is_wrong_with_us_locks_no_reader_out(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    google.faults.add("permissions", "401", times=3)  # and signing in again does not help
    line = Line(to, parcels())
    with pytest.raises(Broken, match="does not recognise"):
        line.send()
    line.send()
    check_right(google, line)
    assert line.notes == []


def test_a_reader_is_told_once_though_it_fails_for_the_next(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    line = Line(replace(to, tells=True), parcels())
    original = google.faults.next

    def next_fault(asked: Any) -> Any:
        if "permissions" in asked.path and READERS[1].encode() in asked.body:
            google.faults.add("permissions", "503")
        return original(asked)

    google.faults.next = next_fault  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(Temporary):
            line.send()
    google.faults.next = original  # type: ignore[method-assign]
    line.send()
    assert google.drive.mails == [(email, line.parcel.name) for email in READERS]


def test_who_wants_it_later_may_read_it_too(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    parcel = parcels(placement=Placement("504", None, DAY, READERS[:1]))
    line = Line(to, parcel)
    line.send()
    line.parcel = replace(parcel, placement=Placement("504", None, DAY, READERS))
    line.send()
    check_right(google, line)


def test_a_service_account_without_room_says_what_to_do(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    google.drive.full.add(SUBJECT)
    with pytest.raises(Broken, match="shared drive"):
        Line(to, parcels()).send()


def test_two_hundred_faults(google: Google, to: DriveDestination, parcels: Parcels) -> None:
    files, kinds = faulty(google, to, parcels, 200, SEED)
    assert files > 5 and set(kinds) == set(KINDS)


def test_folders_that_were_put_in_the_bin_are_made_again(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    Line(to, parcels()).send()
    [first] = videos(google)
    google.drive.files[first["parents"][0]]["trashed"] = True
    Line(to, parcels()).send()
    parents = {one["parents"][0] for one in videos(google)}
    assert len(parents) == 2


def test_a_shared_drive_has_room_for_a_service_account(
    google: Google, tmp_path: Path, parcels: Parcels
) -> None:
    """All of it there: folders, an upload that breaks off, another version, readers, removing."""
    google.drive.full.add(SERVICE)
    drive_id = google.drive.share_drive("Lectures", SERVICE)
    client = Client(
        credentials_from(google.credentials_file(tmp_path)), google.address, pause=lambda s: None
    )
    to = DriveDestination(client, Folders(client, Memory()), drive_id)
    line = Line(to, parcels())
    google.faults.add("PUT", "drop_after")
    link = line.send()
    line.parcel = parcels(version=2, name=line.parcel.name)
    assert line.send() == link
    check_right(google, line)
    [one] = videos(google)
    assert google.drive.drive_of(one) == drive_id
    to.remove(line.parcel.name, line.state)
    assert one["trashed"]
    with pytest.raises(Broken, match="shared drive"):
        Line(DriveDestination(client, Folders(client, Memory())), parcels()).send()


def test_a_segment_as_it_was_recorded(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    """Again after each step that was written down: one file, in `raw` below the room's folder."""
    parcel = parcels()
    raw = RawDrive(to, {"504": google.drive.make_folder("504", "root", SUBJECT)}.get)
    states: list[dict[str, Any]] = [{}]

    def put(state: dict[str, Any]) -> str:
        return raw.put(
            parcel.path, "504", DAY, parcel.name, parcel.sha256, state,
            lambda kept: states.append(dict(kept)),
        )  # fmt: skip

    link = put({})
    assert all(put(state) == link for state in list(states))
    [one] = videos(google)
    day = google.drive.files[one["parents"][0]]
    below = google.drive.files[day["parents"][0]]
    assert (day["name"], below["name"]) == ("2026-11-20", "raw")
    assert one["permissions"] == []


def test_names_in_queries_are_quoted(client: Client, google: Google) -> None:
    name = "O'Neill's \\ room"
    known = google.drive.make_folder(name, google.drive.root(SUBJECT), SUBJECT)
    [one] = drive.find_files(client, f"name = {drive.quote(name)}")
    assert one["id"] == known
