"""Drive when something is hidden from us, or belongs to somebody else: nothing twice, nothing taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from google_apis.auth import credentials_from
from google_apis.drive.destination import DriveDestination
from google_apis.drive.folders import Folders
from google_apis.http import Google as Client
from merger import failpoints
from merger.errors import MergerError, Refused
from merger.i18n import render
from merger.ports.destination import Placement
from merger.records import actions
from merger.worker.run import run_record
from tests.fakes.google import SERVICE, SUBJECT, Google
from tests.fakes.google_drive import FOLDER
from tests.google_apis.sending import DAY, READERS, Line, Memory, Parcels, check_right, videos
from tests.support.databases import ON_SQLITE
from tests.support.site import Site


@pytest.fixture
def shared(google: Google) -> str:
    """A shared drive, of which the service account is a member."""
    return google.drive.share_drive("Lectures", SERVICE)


@pytest.fixture
def to_shared(google: Google, shared: str, tmp_path: Path) -> DriveDestination:
    credentials = credentials_from(google.credentials_file(tmp_path))
    client = Client(credentials, google.address, pause=lambda seconds: None)
    return DriveDestination(client, Folders(client, Memory()), shared)


def folders(google: Google) -> list[str]:
    found = google.drive.files.values()
    names = (one["name"] for one in found if one["mimeType"] == FOLDER)
    return sorted(name for name in names if name != "My Drive")


@pytest.mark.parametrize("version", [1, 2], ids=["again", "a new version"])
def test_a_drive_that_is_hidden_for_a_while_has_one_file(
    google: Google, shared: str, to_shared: DriveDestination, parcels: Parcels, version: int
) -> None:
    line = Line(to_shared, parcels())
    link = line.send()
    made, state = folders(google), dict(line.state)
    if version > 1:
        line.parcel = parcels(version=2, name=line.parcel.name)
    google.drive.drives[shared].clear()
    for _ in range(2):
        with pytest.raises(Refused, match=f"or {SERVICE} may not see it"):
            line.send()
    assert line.state["id"] == state["id"] and line.state["readers"] == list(READERS)
    google.drive.drives[shared].add(SERVICE)
    assert line.send() == link
    check_right(google, line)
    assert folders(google) == made


def test_a_new_file_waits_for_a_drive_that_is_hidden(
    google: Google, shared: str, to_shared: DriveDestination, parcels: Parcels
) -> None:
    google.drive.drives[shared].clear()
    line = Line(to_shared, parcels())
    with pytest.raises(Refused, match="no folder"):
        line.send()
    google.drive.drives[shared].add(SERVICE)
    line.send()
    check_right(google, line)
    assert folders(google) == ["2026-11-20", "504", "Lectures"]


def test_a_file_that_is_there_under_another_id_is_the_one(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    """Somebody restored it from a copy, say, and deleted the first."""
    line = Line(to, parcels())
    line.send()
    [one] = videos(google)
    known = google.drive.put(
        one["name"], b"old", one["parents"][0], SUBJECT, appProperties=one["appProperties"]
    )
    del google.drive.files[one["id"]]
    line.send()
    assert line.state["id"] == known
    check_right(google, line)


@pytest.mark.parametrize("kind", ["404", "403_file"])
def test_a_file_that_is_not_ours_to_share_locks_no_reader_out(
    google: Google, to: DriveDestination, parcels: Parcels, kind: str
) -> None:
    google.faults.add("permissions", kind)
    line = Line(to, parcels())
    with pytest.raises(MergerError) as told:
        line.send()
    assert told.value.code in ("google_not_there", "google_file")
    assert "refused" not in line.state or line.state["refused"] == []
    line.send()
    check_right(google, line)
    assert line.notes == []


def test_a_rule_of_the_domain_is_about_a_reader(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    google.faults.add("permissions", "403_policy")
    line = Line(to, parcels())
    line.send()
    assert line.state["refused"] == [READERS[0]] and line.state["readers"] == [READERS[1]]
    [note] = line.notes
    assert note.params["email"] == READERS[0]


# --- Drive's own mails ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "503", "429"])
def test_nobody_gets_a_mail_of_drive_twice(
    google: Google, to: DriveDestination, parcels: Parcels, kind: str
) -> None:
    line = Line(replace(to, tells=True), parcels())
    google.faults.add("POST /drive/v3/files/", kind)
    line.send_until_done(2)
    assert google.faults.happened and line.state["readers"] == list(READERS)
    assert google.drive.mails == [(email, line.parcel.name) for email in READERS]
    line.send()
    assert len(google.drive.mails) == len(READERS)


def test_nobody_gets_a_mail_of_drive_twice_after_a_crash(
    google: Google, to: DriveDestination, parcels: Parcels, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(Exception):
        pass

    def crash(place: str) -> None:
        if place == "drive.shared":
            raise Crash

    line = Line(replace(to, tells=True), parcels())
    for _ in READERS:
        with monkeypatch.context() as patch, pytest.raises(Crash):
            patch.setattr(failpoints, "hook", crash)
            line.send()
    line.send()
    assert google.drive.mails == [(email, line.parcel.name) for email in READERS]


# --- whose a file is ------------------------------------------------------------------------------


def test_what_the_ledger_has_lost_is_known_by_its_mark(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    parcel = parcels(record=7)
    assert Line(to, parcel).send() == Line(to, parcel).send()
    check_right(google, Line(to, parcel))


@pytest.mark.parametrize("whose", ["record", "installation", "camera"])
def test_the_file_of_another_of_the_same_name_is_not_touched(
    google: Google, to: DriveDestination, parcels: Parcels, whose: str
) -> None:
    first = parcels(record=None if whose == "camera" else 7)
    Line(to, first).send()
    [one] = videos(google)
    if whose == "installation":
        to = replace(to, folders=replace(to.folders, memory=Memory()))
    second = parcels(name=first.name, record=8 if whose == "record" else first.record)
    Line(to, second).send()
    assert google.drive.content[one["id"]] == first.path.read_bytes()
    parents = {tuple(one["parents"]) for one in videos(google)}
    assert len(videos(google)) == 2 and len(parents) == 1


@ON_SQLITE
def test_a_record_that_was_removed_keeps_its_file(
    site: Site, google: Google, to: DriveDestination
) -> None:
    site.add_room()
    site.film("speaker")
    service = replace(site.service, destinations=(to,))
    for record in (1, 2):
        assert site.ask() == record
        held = site.claim()
        assert held is not None and run_record(service, held, lambda: False) == "delivered"
        actions.withdraw(site.engine, record, site.clock)
    one, other = videos(google)
    assert one["name"] == other["name"] and one["parents"] == other["parents"]


# --- what people put into the bin -----------------------------------------------------------------


@pytest.mark.parametrize("whose", ["the room's", "of all rooms"])
def test_nothing_is_put_into_the_bin(
    google: Google, to: DriveDestination, parcels: Parcels, whose: str
) -> None:
    own = google.drive.make_folder("Room 504", google.drive.root(SUBJECT), SUBJECT)
    line = Line(to, parcels(placement=Placement("504", own, DAY, READERS)))
    other = "choose another one for room '504'"
    if whose == "of all rooms":
        to = replace(to, root=own)
        line = Line(to, parcels())
        other = "MERGER_DRIVE_FOLDER"
    google.drive.files[own]["trashed"] = True
    with pytest.raises(Refused, match=f"in the bin.*{other}") as refused:
        line.send()
    assert "в корзине" in render("ru", refused.value.message)
    google.drive.files[own]["trashed"] = False
    line.send()
    check_right(google, line)
    google.drive.files[own]["trashed"] = True
    line.parcel = replace(
        parcels(version=2), name=line.parcel.name, placement=line.parcel.placement
    )
    with pytest.raises(Refused, match="in the bin"):
        line.send()
