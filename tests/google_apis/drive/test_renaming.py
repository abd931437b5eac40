"""Names and descriptions of files in Drive."""

from __future__ import annotations

from dataclasses import replace

import pytest

from google_apis.drive import files
from google_apis.drive.destination import DriveDestination
from merger.ports.destination import Fence, Renaming
from tests.fakes.google import Google
from tests.google_apis.sending import Line, Parcels, check_right, videos


def rename(line: Line, name: str, description: str = "") -> str | None:
    """Rename a file as a worker does, by what the ledger keeps of it."""
    parcel = line.parcel = replace(line.parcel, name=name, description=description)
    renaming = Renaming(name, (), parcel.sha256, parcel.kind, parcel.record or 7, description)
    fence = Fence(line.state.update, lambda: None, lambda: None, 1, line.notes.append)
    return line.to.rename(renaming, dict(line.state), fence)


def test_a_file_keeps_its_link_its_content_and_its_readers(
    google: Google, to: DriveDestination, parcels: Parcels, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(to, parcels(record=7))
    link = line.send()
    assert rename(line, "Matrices.mp4") == link
    check_right(google, line)
    changed = [one["modifiedTime"] for one in videos(google)]
    monkeypatch.setattr(files, "change", None)
    assert rename(line, "Matrices.mp4") == link  # there is nothing to do
    assert [one["modifiedTime"] for one in videos(google)] == changed


def test_a_description_goes_with_the_file(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    line = Line(to, parcels(record=7, description="First"))
    line.send()
    [file] = videos(google)
    assert file["description"] == "First"
    rename(line, line.parcel.name, "Second\nlines")
    assert file["description"] == "Second\nlines"
    rename(line, line.parcel.name)
    assert file["description"] == ""


def test_a_description_that_others_wrote_stays(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    line = Line(to, parcels(record=7))
    line.send()
    [file] = videos(google)
    file["description"] = "of the library"
    rename(line, "Matrices.mp4")
    line.send()
    assert file["description"] == "of the library"


@pytest.mark.parametrize("how", ["deleted", "in the bin"])
def test_a_file_that_is_gone(
    google: Google, to: DriveDestination, parcels: Parcels, how: str
) -> None:
    line = Line(to, parcels(record=7))
    line.send()
    [file] = videos(google)
    if how == "deleted":
        del google.drive.files[file["id"]]
    else:
        file["trashed"] = True
    before = file["name"]
    assert rename(line, "Matrices.mp4") is None
    assert file["name"] == before


def test_it_is_found_by_its_new_name_when_the_ledger_is_lost(
    google: Google, to: DriveDestination, parcels: Parcels
) -> None:
    line = Line(to, parcels(record=7))
    line.send()
    rename(line, "Matrices.mp4")
    Line(to, line.parcel).send()
    assert len(videos(google)) == 1


@pytest.mark.parametrize("match", ["GET", "PATCH"])
@pytest.mark.parametrize("kind", ["503", "drop_before", "drop_after"])
def test_calls_that_go_wrong(
    google: Google, to: DriveDestination, parcels: Parcels, match: str, kind: str
) -> None:
    line = Line(to, parcels(record=7))
    line.send()
    google.faults.add(match, kind)
    rename(line, "Matrices.mp4")
    check_right(google, line)
