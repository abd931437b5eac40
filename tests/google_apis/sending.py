"""Sending to Drive as a worker does, and what is right afterwards; by itself, a soak.

`script/soak drive --faults 10000` sends files while a quarter of all calls go wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from google_apis.auth import credentials_from
from google_apis.drive import upload
from google_apis.drive.destination import DriveDestination
from google_apis.drive.folders import Folders
from google_apis.http import Google as Client
from merger.errors import Broken, Temporary
from merger.ports.destination import Fence, Placement, Upload
from tests.fakes.google import SUBJECT, Google, google_served
from tests.fakes.google_drive import UNIT

DAY = date(2026, 11, 20)
READERS = ("lecturer@example.edu", "student@example.edu")
# Four parts and a piece of the fifth.
PARTS, SIZE = 4, 4 * UNIT + 1000


class Memory(dict[str, str]):
    """What is remembered for all workers, in this process."""

    def get_or_set(self, name: str, value: str) -> str:
        return self.setdefault(name, value)

    def forget(self, name: str, value: str) -> None:
        if self.get(name) == value:
            del self[name]


@dataclass
class Line:
    """A ledger's line of one parcel, and sending by it as a worker does."""

    to: DriveDestination
    parcel: Upload
    state: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def send(self) -> str:
        fence = Fence(self.state.update, lambda: None, lambda: None, 1, self.notes.append)
        return self.to.send(self.parcel, dict(self.state), fence)

    def send_until_done(self, most: int = 20) -> str:
        for _ in range(most):
            try:
                return self.send()
            except (Temporary, Broken):
                continue
        raise AssertionError("it never arrives")


def videos(google: Google) -> list[dict[str, Any]]:
    return [one for one in google.drive.files.values() if one["mimeType"] == "video/mp4"]


def check_right(google: Google, *lines: Line) -> None:
    """Of each there is one file, whole, under its name, and for its readers."""
    found = {one["name"]: one for one in videos(google)}
    assert len(found) == len(videos(google)) == len(lines)
    for line in lines:
        one = found[line.parcel.name]
        assert google.drive.content[one["id"]] == line.parcel.path.read_bytes()
        assert [p["emailAddress"] for p in one["permissions"]] == list(READERS)
        assert {p["role"] for p in one["permissions"]} == {"reader"}
        assert not one["trashed"]
    assert google.drive.mails == []


Parcels = Callable[..., Upload]


def maker(folder: Path) -> Parcels:
    """Return what makes parcels of random bytes."""
    numbers = itertools.count(1)

    def one(**changes: Any) -> Upload:
        n = next(numbers)
        data = os.urandom(SIZE)
        path = folder / f"{n}.mp4"
        path.write_bytes(data)
        whole = Upload(
            1, "merge", f"Lecture {n}.mp4", path, SIZE, hashlib.sha256(data).hexdigest(),
            Placement("504", None, DAY, READERS),
        )  # fmt: skip
        return replace(whole, **changes)

    return one


def faulty(
    google: Google, to: DriveDestination, parcels: Parcels, faults: int, seed: int
) -> tuple[int, Counter[str]]:
    """Send files until so many things have gone wrong; return how many files, and what it was."""
    lines: list[Line] = []
    google.faults.by_chance(seed, 0.25)
    while len(google.faults.happened) < faults:
        lines.append(Line(to, parcels()))
        lines[-1].send_until_done(100)
    google.faults.chance = None
    check_right(google, *lines)
    return len(lines), Counter(said.split()[0] for said in google.faults.happened)


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/soak drive", description=__doc__)
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    upload.PART = UNIT
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as text, google_served() as google:
        folder = Path(text)
        credentials = credentials_from(google.credentials_file(folder), SUBJECT)
        client = Client(credentials, google.address, pause=lambda seconds: None)
        to = DriveDestination(client, Folders(client, Memory()))
        files, kinds = faulty(google, to, maker(folder), options.faults, options.seed)
    print(f"seed {options.seed}: {files} files, each there once and right, with its readers;")
    print(f"{sum(kinds.values())} faults in {time.monotonic() - begun:.0f} s:")
    for kind, times in sorted(kinds.items()):
        print(f"  {kind}: {times}")


if __name__ == "__main__":
    main()
