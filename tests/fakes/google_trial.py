"""The whole way through Google without an account, as `script/demo --google` shows it.

A stand-in for Google and a mail server run in this process; the service runs as it is, by its own
commands. An event in a room's calendar becomes a record, is merged, delivered to Drive, attached to
the event, announced in the course, and told by mail.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from merger import config
from merger.db.engine import connect, writing
from merger.render import ffmpeg
from models import Calendar, Record
from recorders.testing.sample_lecture import ZONE
from tests.fakes.google import SUBJECT, Google, google_served
from tests.fakes.mail_server import mail_served
from tests.support.films import film_sample
from tests.support.waiting import living, until

ROOT = Path(__file__).parents[2]
Film = Callable[[Path, ffmpeg.Tool, datetime], None]
COURSE, LECTURER = "123456789012", "lecturer@example.edu"
ROOMS = """rooms:
  - name: "504"
    zone: Europe/Moscow
    chunk: 30s
    sources:
      - {{name: speaker, role: speaker, kind: folder, address: "{library}"}}
      - {{name: screen, role: screen, kind: folder, address: "{library}"}}
      - {{name: board, role: board, kind: folder, address: "{library}"}}
"""


@dataclass
class Trial:
    """A service beside the stand-ins. say: hears what is done; film: writes what was recorded."""

    folder: Path
    google: Google
    mails: list[EmailMessage]
    environ: Mapping[str, str]
    film: Film = film_sample
    say: Callable[[str], None] = field(default=lambda line: None)
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

    def work_until(self, what: Callable[[], object], how: signal.Signals) -> None:
        """Let a daemon work until something has happened; then end it, and all that it started."""
        command = [sys.executable, str(ROOT / "app.py"), "daemon"]
        daemon = subprocess.Popen(command, env=dict(self.environ), cwd=self.folder)
        try:
            until(what)
        finally:
            daemon.send_signal(how)
            daemon.wait()
        until(lambda: not living(self.folder))

    def killed_at(self, line: str, *, after: bool) -> None:
        """Work until Google is asked something; then end all of it with -9.

        after: once that had its effect, though nobody heard the answer.
        """
        happened = self.google.faults.happened
        known = len(happened)
        self.google.faults.add(line, "drop_after" if after else "drop_before")
        self.work_until(lambda: len(happened) > known, signal.SIGKILL)
        # Its lease ends now: nobody waits for that, nor for the pause after a worker that died.
        held = update(Record).where(Record.status == "running").values(lease_until=self.begin)
        others = update(Record).values(lost=0, run_after=self.begin)
        self._write(lambda session: [session.execute(one) for one in (held, others)])

    def set_up(self) -> str:
        """Make tables, the room with its media, its folder and calendar; return the calendar."""
        self.say("Filming a sample lecture, three hours ago ...")
        library = self.folder / "library"
        self.film(library, ffmpeg.find_tool(config.load(self.environ).ffmpeg or None), self.begin)
        (self.folder / "rooms.yaml").write_text(ROOMS.format(library=library))
        self.app("init-db")
        self.app("rooms", "import", "rooms.yaml")
        self.say("Making the room's folder in Drive and its calendar ...")
        said = self.app("rooms", "google-setup", "504", "--share", LECTURER, "--json")
        self.google.classroom.announcements[COURSE] = []
        self.google.sheets.values["sheet", "A2:B"] = [["SQL-1", COURSE]]
        return str(json.loads(said)["calendar_id"])

    def put_event(self, calendar: str, **more: Any) -> str:
        """Somebody puts the lecture into the calendar."""
        start, end = self.begin + timedelta(seconds=10), self.begin + timedelta(minutes=2)
        event = {
            "summary": "A queue in SQL", "description": "Поток: SQL-1",
            "creator": {"email": LECTURER}, "organizer": {"email": calendar, "self": True},
            "start": {"dateTime": start.isoformat()},
            "end": {"dateTime": end.isoformat()}, **more,
        }  # fmt: skip
        return self.google.calendar.put(calendar, **event)

    def read_calendars_again(self) -> None:
        """Have calendars read by the next who looks, as some minutes later."""
        self._write(lambda s: s.execute(update(Calendar).values(due_at=self.begin)))

    def _write(self, act: Callable[[Session], object]) -> None:
        engine = connect(config.load(self.environ).database_address)
        writing(engine, act)
        engine.dispose()


@contextmanager
def trial(
    folder: Path,
    film: Film = film_sample,
    say: Callable[[str], None] = lambda line: None,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Trial]:
    """Have the stand-ins at hand, and a service beside them in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with google_served() as google, mail_served() as server:
        variables = {
            "PATH": os.environ["PATH"], "HOME": str(folder),
            "MERGER_FFMPEG": os.environ.get("MERGER_FFMPEG", ""),
            "MERGER_DATA": str(folder / "data"), "MERGER_CACHE": str(folder / "cache"),
            "MERGER_GOOGLE_CREDENTIALS": str(google.credentials_file(folder)),
            "MERGER_GOOGLE_SUBJECT": SUBJECT, "MERGER_GOOGLE_ADDRESS": google.address,
            "MERGER_COURSES_SHEET": "sheet", "MERGER_POLL": "0.2",
            "MERGER_MAIL_SERVER": f"smtp://127.0.0.1:{server.port}",
            "MERGER_MAIL_FROM": "lectures@example.edu", **environ,
        }  # fmt: skip
        yield Trial(folder.absolute(), google, server.mails, variables, film, say)


def main() -> None:
    """Show the whole way; print what the stand-ins were asked for."""

    def say(line: str) -> None:
        print(line, flush=True)

    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier trial, with another stand-in
    with trial(folder, say=say) as one:
        calendar = one.set_up()
        event = one.put_event(calendar)
        say(f"The event {event} is in the calendar. Working off the queue (a minute or so) ...")
        one.app("daemon", "--once")
        say(one.app("show", "1"))
        say("What the stand-in for Google was asked for:")
        for line in one.google.history:
            say(f"  {line}")
        for mail in one.mails:
            say(f"Mail to {mail['To']}: {mail['Subject']}")


if __name__ == "__main__":
    main()
