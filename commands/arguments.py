"""The command line: which commands there are, and what they take."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from commands.timetables.arguments import add_timetable_commands
from merger.errors import Refused
from merger.timeline.layout import CORNERS, DEFAULT_CORNER, DEFAULT_LAYOUT, LAYOUTS
from merger.timeline.profiles import DEFAULT_PROFILE, PROFILES


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument like every other mistake of a request."""

    def error(self, message: str) -> NoReturn:
        raise Refused("arguments", "commands.arguments", why=message, program=self.prog)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    root = _Parser(
        prog="app.py", description="Merge a lecture's recordings into one synchronised video."
    )
    commands = root.add_subparsers(
        dest="command", required=True, parser_class=_Parser, metavar="COMMAND"
    )

    def command(name: str, about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        added.set_defaults(json=False)
        return added

    _merge(command("merge", "merge a lecture from the files in a folder, without the service"))
    _request(command("request", "request the recording of a lecture"))
    records = command("records", "list the newest recordings")
    records.add_argument("--room", metavar="NAME", help="only those of this room")
    records.add_argument(
        "--status", metavar="WORD",
        help="only those that are queued, running, delivered, failed or cancelled",
    )  # fmt: skip
    records.add_argument("--limit", type=int, default=50, metavar="N", help="at most this many")
    fetch = command("fetch-zoom", "request a meeting that was recorded by Zoom")
    fetch.add_argument("recording", nargs="?", metavar="UUID|LINK",
                       help="the meeting's UUID or a link to its recording")  # fmt: skip
    fetch.add_argument("--from", dest="file", type=Path, metavar="FILE.csv",
                       help="all in a file: a link and, in a second column, a course")  # fmt: skip
    fetch.add_argument("--course", metavar="CODE", help="the code of its course")
    fetch.add_argument("--user", action="append", default=[], metavar="EMAIL",
                       help="share it with this person, too; may be repeated")  # fmt: skip
    show = command("show", "show a recording with its history")
    cancel = command("cancel", "cancel a recording")
    retry = command("retry", "queue a failed or cancelled recording again")
    for sub in (show, cancel):
        sub.add_argument("record", type=int, metavar="ID", help="the number of the recording")
    _retry(retry)
    offers = command("offers", "list the recordings that nobody requested, or match them again")
    offers.add_argument("--again", action="store_true",
                        help="match those without a lecture with the timetable again")  # fmt: skip
    offers.add_argument("--state", metavar="WORD",
                        help="only those that are ignored, unplaced, or a record")  # fmt: skip
    offers.add_argument("--limit", type=_count, metavar="N", help="at most this many")
    where = command("where", "find a lecture, and what became of its recordings")
    where.add_argument("text", metavar="TEXT", nargs="+",
                       help="a meeting's number, a course, a room, a day, or words")  # fmt: skip
    where.add_argument("--limit", type=_count, default=20, metavar="N", help="at most this many")
    rooms = command("rooms", "list the rooms, or import them from a file")
    actions = rooms.add_subparsers(dest="action", parser_class=_Parser, metavar="ACTION")
    load = actions.add_parser("import", help="add and change rooms as described in a YAML file")
    load.add_argument("file", type=Path, metavar="FILE.yaml")
    load.add_argument("--dry-run", action="store_true", help="only print what would change")
    load.add_argument("--remove", action="store_true",
                      help="remove sources that the file no longer lists")  # fmt: skip
    load.add_argument("--json", action="store_true", default=argparse.SUPPRESS,
                      help="print one JSON object on stdout")  # fmt: skip
    google = actions.add_parser(
        "google-setup", help="create the Drive folder and the calendar of a room"
    )
    google.add_argument("room", metavar="ROOM")
    google.add_argument("--share", action="append", default=[], metavar="EMAIL",
                        help="who may add files and events there; may be repeated")  # fmt: skip
    google.add_argument("--json", action="store_true", default=argparse.SUPPRESS,
                        help="print one JSON object on stdout")  # fmt: skip
    courses = command("courses", "list the course codes and their Classroom courses, or set them")
    courses.add_argument("courses", nargs="*", metavar="CODE=ID",
                         help="set the course of a code; CODE= removes the code")  # fmt: skip
    for_programs = add_timetable_commands(command, _Parser)
    check = command("check", "check whether everything the service needs is in place")
    check.add_argument("--here", action="store_true",
                       help="connect to no cameras and to no servers elsewhere")  # fmt: skip
    verify = command("verify", "read all files that are kept, and say which are damaged")
    user = command("user", "allow someone to sign in, or change their role")
    password = command("set-password", "set someone's password")
    link = command("password-link", "print a link with which someone sets their password")
    release = command("release-account", "let someone sign in with another OpenID account")
    for sub in (user, password, link, release):
        sub.add_argument("email", metavar="EMAIL")
    user.add_argument("--role", required=True, metavar="WORD", help="user, editor or admin")
    rotate = command("rotate-key", "encrypt the secrets in the database with a new key")
    rotate.add_argument("--lost", action="store_true",
                        help="the key is lost: remove the secrets that cannot be read")  # fmt: skip
    for sub in (
        records, fetch, show, cancel, retry, offers, where, rooms, courses, user, link, release,
        check, verify, rotate, *for_programs,
    ):  # fmt: skip
        sub.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    command("init-db", "create the database tables, or bring them up to date; encrypt secrets")
    daemon = command("daemon", "process recordings as they become due")
    daemon.add_argument("--once", action="store_true", help="process all that is due, then exit")
    web = command("web", "serve the pages and the API")
    run = command("run", "run the whole service (web, daemon and recorder) in one process")
    for sub in (web, run):
        sub.add_argument("--host", metavar="ADDRESS", help="the address to listen on (MERGER_HOST)")
        sub.add_argument(
            "--port", type=_port, metavar="N", help="the port; 0 for any (MERGER_PORT)"
        )
    command("recorder", "record the cameras for the recordings that are requested")
    # Started by the daemon, not by people, and so left out of the help.
    commands.add_parser("keep-house").set_defaults(json=False)
    commands.add_parser("errands").set_defaults(json=False)
    work = commands.add_parser("work")
    work.set_defaults(json=False)
    work.add_argument("record", type=int)
    work.add_argument("attempt", type=int)
    work.add_argument("worker")
    return root


def _retry(retry: argparse.ArgumentParser) -> None:
    add = retry.add_argument
    add("record", type=int, nargs="?", metavar="ID", help="the number of the recording")
    add("--failed", action="store_true", help="all that failed, the earliest lecture first")
    add("--code", metavar="WORD", help="with --failed: only those that failed with this code")
    add("--room", metavar="NAME", help="with --failed: only those of this room")
    add("--since", type=_age, metavar="LENGTH",
        help="with --failed: only those that failed within this time, like 3d or 12h")  # fmt: skip
    add("--limit", type=_count, metavar="N", help="with --failed: at most this many")
    add("--dry-run", action="store_true", help="with --failed: only print which these are")


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([mhd])", text, re.ASCII)
    if found is None:
        raise argparse.ArgumentTypeError("write a length like 3d, 12h or 30m")
    unit = {"m": "minutes", "h": "hours", "d": "days"}[found[2]]
    return timedelta(**{unit: int(found[1])})


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError("write a whole number from 1 to 100000")
    return int(text)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("write a whole number from 0 to 65535")
    return int(text)


def _merge(merge: argparse.ArgumentParser) -> None:
    add = merge.add_argument
    add("--library", metavar="DIR", required=True, type=Path, help="folder with the recorded files")
    add("--room", required=True, help="the room, as in the names of the files")
    _span(merge)
    add("--zone", required=True, help="the room's time zone, like Europe/Moscow")
    add("--speaker", required=True, metavar="NAME", help="the source that films the speaker")
    add("--screen", metavar="NAME", help="the source that captures the screen")
    add("--board", metavar="NAME", help="the source that films the board")
    add("--audio", metavar="NAME", help="the source whose sound is preferred")
    add("--output", metavar="DIR", required=True, type=Path, help="folder for the result")
    _look(merge)
    add("--corner", default=DEFAULT_CORNER, metavar="NAME",
        help=f"where screen_large shows the speaker: {', '.join(CORNERS)}")  # fmt: skip
    add("--chunk", metavar="LENGTH",
        help="decide once for each so long whether a presentation is shown: 30m, 10s; "
        "otherwise it is decided for every instant")  # fmt: skip
    add("--both-after", metavar="LENGTH",
        help="show the board with the slide, while somebody writes, once the slide has stood for "
        "so long: 60s; otherwise never")  # fmt: skip
    add("--name", default="lecture", metavar="TEXT", help="the beginning of the result's file name")
    add("--card", action="append", default=[], nargs="+", type=Path, metavar="IMAGE",
        help="the picture that the screen encoder sends without a signal")  # fmt: skip
    add("--json", action="store_true", help="print one JSON object on stdout")


def _request(request: argparse.ArgumentParser) -> None:
    add = request.add_argument
    add("--room", required=True, help="the room's name")
    _span(request)
    add("--name", default="", metavar="TEXT", help="the name of the lecture")
    _look(request)
    add("--user", action="append", default=[], metavar="EMAIL",
        help="who requests it; may be repeated, the first is the owner")  # fmt: skip
    add("--course", metavar="CODE", help="the code of the course in which to announce it")
    add("--key", metavar="TEXT", help="idempotency key: it makes repeating the request harmless")
    add("--json", action="store_true", help="print one JSON object on stdout")


def _span(command: argparse.ArgumentParser) -> None:
    command.add_argument("--start", required=True, metavar="INSTANT",
                         help="like 2026-11-20T10:05, in local time or with an offset")  # fmt: skip
    command.add_argument("--end", required=True, metavar="INSTANT", help="like --start")


def _look(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", default=DEFAULT_PROFILE, metavar="NAME",
                         help=f"one of {', '.join(PROFILES)}")  # fmt: skip
    command.add_argument("--layout", default=DEFAULT_LAYOUT, metavar="NAME",
                         help=f"one of {', '.join(LAYOUTS)}")  # fmt: skip
