"""Who asks for a video that is delivered already may read it in Drive soon after."""

from __future__ import annotations

from dataclasses import replace

import pytest

from google_apis.drive_destination import DriveDestination
from google_apis.drive_folders import Folders
from google_apis.http import Google as Client
from merger.facts import Facts
from merger.readers import let_new_readers
from merger.task import Service
from merger.work import work
from tests.databases import ON_SQLITE
from tests.fakes.google import Google
from tests.site import Site


@pytest.fixture
def service(site: Site, client: Client) -> Service:
    site.add_room()
    site.film("speaker")
    to = DriveDestination(client, Folders(client, Facts(site.engine)))
    return replace(site.service, destinations=(to,))


def readers(google: Google) -> list[str]:
    [file] = [one for one in google.drive.files.values() if one["mimeType"] == "video/mp4"]
    return [one["emailAddress"] for one in file["permissions"]]


def test_who_asks_afterwards(site: Site, service: Service, google: Google) -> None:
    site.ask(users=("first@example.edu",))
    held = site.claim()
    assert held is not None and work(service, held, lambda: False) == "delivered"
    assert readers(google) == ["first@example.edu"]
    assert site.ask(users=("second@example.edu", "nobody@example.org")) == 1
    for _ in range(2):
        let_new_readers(service, site.clock)
    assert readers(google) == ["first@example.edu", "second@example.edu"]
    assert site.events().count("note") == 1
    made = len(google.history)
    let_new_readers(service, site.clock)
    assert len(google.history) == made


@ON_SQLITE
def test_google_is_away(site: Site, service: Service, google: Google) -> None:
    site.ask(users=("first@example.edu",))
    held = site.claim()
    assert held is not None and work(service, held, lambda: False) == "delivered"
    site.ask(users=("second@example.edu",))
    google.faults.add("permissions", "503", times=50)
    let_new_readers(service, site.clock)
    assert readers(google) == ["first@example.edu"]
    google.faults.waiting.clear()
    let_new_readers(service, site.clock)
    assert readers(google) == ["first@example.edu", "second@example.edu"]
