"""A term without a university, as `script/demo --timetable` shows it.

A sheet of four lines is imported: a lecture in a room with cameras, a Zoom meeting that two courses
share, and a lecture that somebody skips. Zoom is a stand-in in this process; the service runs as it
is, by its own commands.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from merger import config
from merger.db.engine import connect
from merger.render import ffmpeg
from merger.series.store import OccurrenceEdit, edit_occurrence
from recorders.testing.clock import plain
from recorders.testing.sample_lecture import ZONE
from tests.fakes.google_trial import ROOMS, Film
from tests.fakes.zoom import NUMBER, UUID, ZoomServer, zoom_served
from tests.support.films import film, film_sample

ROOT = Path(__file__).parents[2]
DAY = timedelta(days=1)
ONLINE_S = 60
SHEET = """course,title,days,start,minutes,room,meeting,from
SQL-1,Lecture,{today},{start},2,504,,{first}
ART-7,Seminar,{today},{start},2,,{number},{first}
ART-8,Seminar,{next},{start},2,,{number},{first}
BIO-2,Lecture,{next},{start},90,504,,{first}
"""


@dataclass
class Trial:
    """A service beside the stand-in.

    say: hears what is done; film: writes what was recorded; reading: the command that reads the
    timetable.
    """

    folder: Path
    zoom: ZoomServer
    environ: Mapping[str, str]
    film: Film = film_sample
    say: Callable[[str], None] = field(default=lambda line: None)
    reading: tuple[str, ...] = ("import", "term.csv")
    begin: datetime = field(
        default_factory=lambda: (datetime.now(ZONE) - timedelta(hours=3)).replace(
            minute=0, second=0, microsecond=0
        )
    )

    def app(self, *arguments: str) -> str:
        """Run a command of the service; return what it prints."""
        command = [sys.executable, str(ROOT / "app.py"), *arguments]
        ran = subprocess.run(
            command, env=dict(self.environ), cwd=self.folder, stdout=subprocess.PIPE, check=True
        )
        return ran.stdout.decode()

    def set_up(self) -> None:
        """Make the tables, and the room; have the lecture filmed, and the meeting recorded."""
        self.say("Filming a sample lecture, three hours ago ...")
        tool = ffmpeg.find_tool(config.load(self.environ).ffmpeg or None)
        library = self.folder / "library"
        self.film(library, tool, self.begin)
        (self.folder / "rooms.yaml").write_text(ROOMS.format(library=library))
        self.app("init-db")
        self.app("rooms", "import", "rooms.yaml")
        path = self.folder / "meeting.mp4"
        film(
            tool.path, path, self.begin, timedelta(seconds=ONLINE_S), ground=plain(320, 180),
            source=5, rate=Fraction(25), pitch_hz=440.0,
        )  # fmt: skip
        self.zoom.add_meeting(topic="Somebody's personal meeting room")
        self.zoom.add_file("active_speaker", self.begin, ONLINE_S, path.read_bytes())

    def write_sheet(self) -> str:
        """Write the sheet of the term; return it."""
        today, following = self.begin, self.begin + DAY
        text = SHEET.format(
            today=f"{today:%a}", next=f"{following:%a}", start=f"{today:%H:%M}", number=NUMBER,
            first=f"{today:%Y-%m-%d}",
        )  # fmt: skip
        (self.folder / "term.csv").write_text(text)
        return text

    def skip(self, course: str) -> None:
        """Have the next lecture of a course skipped, as on its page."""
        lectures = json.loads(self.app("timetable", "show", "--json"))["lectures"]
        occurrence = next(one["id"] for one in lectures if one["course"] == course)
        engine = connect(config.load(self.environ).database_address)
        edit_occurrence(engine, occurrence, OccurrenceEdit(is_off=True), datetime.now(UTC), None)
        engine.dispose()


@contextmanager
def trial(
    folder: Path,
    film: Film = film_sample,
    say: Callable[[str], None] = lambda line: None,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Trial]:
    """Have the stand-in at hand, and a service beside it in a folder."""
    folder = folder.absolute()  # its commands run in there
    folder.mkdir(parents=True, exist_ok=True)
    with zoom_served() as zoom:
        variables = {
            "PATH": os.environ["PATH"], "HOME": str(folder),
            "MERGER_FFMPEG": os.environ.get("MERGER_FFMPEG", ""),
            "MERGER_DATA": str(folder / "data"), "MERGER_CACHE": str(folder / "cache"),
            "MERGER_POLL": "0.2", **zoom.variables, **environ,
        }  # fmt: skip
        yield Trial(folder, zoom, variables, film, say)


def show(one: Trial) -> None:
    """Show the whole way, from the sheet to the history of what was made."""
    one.set_up()
    one.say("The timetable:\n")
    one.say(one.write_sheet())
    one.say("What importing it would change:\n")
    one.say(one.app("timetable", *one.reading, "--dry-run"))
    one.app("timetable", *one.reading)
    one.skip("BIO-2")
    one.say("Imported again, with a lecture skipped meanwhile:\n")
    one.say(one.app("timetable", *one.reading))
    one.say(one.app("timetable", "show"))
    one.say("Working off the queue (a minute or so) ...\n")
    one.app("fetch-zoom", UUID)
    one.app("daemon", "--once")
    for record in json.loads(one.app("records", "--json"))["records"]:
        if record["status"] != "queued":
            one.say(one.app("show", str(record["id"])))


def main() -> None:
    """Show the whole way in a folder."""
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier trial
    with trial(folder, say=lambda line: print(line, flush=True)) as one:
        show(one)


if __name__ == "__main__":
    main()
