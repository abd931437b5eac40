"""The command line: which commands there are, and what they take."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from merger.errors import Refused
from merger.timeline.layout import DEFAULT_LAYOUT, LAYOUTS
from merger.timeline.profiles import DEFAULT_PROFILE, PROFILES


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument like every other mistake of a request."""

    def error(self, message: str) -> NoReturn:
        raise Refused("arguments", f"{message} ({self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    root = _Parser(prog="app.py", description="Merges recorded lectures into one video.")
    commands = root.add_subparsers(
        dest="command", required=True, parser_class=_Parser, metavar="COMMAND"
    )

    def command(name: str, about: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        added.set_defaults(json=False)
        return added

    _merge(command("merge", "merge a lecture from the segments in a folder, without the service"))
    _request(command("request", "ask the service for the video of a lecture"))
    records = command("records", "list the newest records")
    records.add_argument("--room", metavar="NAME", help="of this room only")
    records.add_argument("--status", metavar="WORD",
                         help="queued, running, delivered, failed or cancelled")  # fmt: skip
    records.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many")
    fetch = command("fetch-zoom", "ask for the video of a meeting that Zoom has recorded")
    fetch.add_argument("recording", metavar="UUID|LINK",
                       help="the meeting's UUID, or a link to its recording")  # fmt: skip
    fetch.add_argument("--user", action="append", default=[], metavar="EMAIL",
                       help="who wants it beside the host; several times")  # fmt: skip
    show = command("show", "show what is known of a record, with its history")
    cancel = command("cancel", "stop a record")
    retry = command("retry", "queue a failed record again")
    for about_one in (show, cancel, retry):
        about_one.add_argument("record", type=int, metavar="ID")
    rooms = command("rooms", "list the rooms, or import them from a file")
    actions = rooms.add_subparsers(dest="action", parser_class=_Parser, metavar="ACTION")
    load = actions.add_parser("import", help="add and change rooms as a YAML file says")
    load.add_argument("file", type=Path, metavar="FILE.yaml")
    load.add_argument("--dry-run", action="store_true", help="say what would change, and stop")
    load.add_argument("--json", action="store_true", default=argparse.SUPPRESS,
                      help="print one JSON object on stdout")  # fmt: skip
    google = actions.add_parser(
        "google-setup", help="make the folder in Drive and the calendar of a room"
    )
    google.add_argument("room", metavar="ROOM")
    google.add_argument("--share", action="append", default=[], metavar="EMAIL",
                        help="who may put files and events in there; several times")  # fmt: skip
    google.add_argument("--json", action="store_true", default=argparse.SUPPRESS,
                        help="print one JSON object on stdout")  # fmt: skip
    courses = command("courses", "list which course of Classroom a code means, or say so")
    courses.add_argument("courses", nargs="*", metavar="CODE=ID",
                         help="a code and its course; without a course, it is removed")  # fmt: skip
    check = command("check", "explain what is missing for the service to run")
    user = command("user", "let somebody sign in, or change what they may")
    password = command("set-password", "give somebody another password")
    for about_one in (user, password):
        about_one.add_argument("email", metavar="EMAIL")
    user.add_argument("--role", required=True, metavar="WORD", help="user, editor or admin")
    for told in (records, fetch, show, cancel, retry, rooms, courses, user, check):
        told.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    command("init-db", "make the tables, or bring them up to date")
    daemon = command("daemon", "work on records as they become due")
    daemon.add_argument("--once", action="store_true", help="work off what is due, and end")
    web = command("web", "answer requests: the pages and the API")
    run = command("run", "run the whole service, web, daemon and recorder, in one process")
    for answering in (web, run):
        answering.add_argument("--host", metavar="ADDRESS", help="where to listen (MERGER_HOST)")
        answering.add_argument("--port", type=_port, metavar="N", help="0 for any (MERGER_PORT)")
    command("recorder", "record the cameras of rooms that are booked")
    # What the daemon starts; no commands for people, so the help is silent about them.
    commands.add_parser("keep-house").set_defaults(json=False)
    commands.add_parser("errands").set_defaults(json=False)
    work = commands.add_parser("work")
    work.set_defaults(json=False)
    work.add_argument("record", type=int)
    work.add_argument("attempt", type=int)
    work.add_argument("worker")
    return root


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a whole number from 0 to 65535")
    return int(text)


def _merge(merge: argparse.ArgumentParser) -> None:
    add = merge.add_argument
    add("--library", metavar="DIR", required=True, type=Path, help="folder with the segments")
    add("--room", required=True, help="the room as the files name it")
    _span(merge)
    add("--zone", required=True, help="the room's time zone, like Europe/Moscow")
    add("--speaker", required=True, metavar="NAME", help="source that films the speaker")
    add("--screen", metavar="NAME", help="source that captures the screen")
    add("--board", metavar="NAME", help="source that films the board")
    add("--audio", metavar="NAME", help="source whose sound is preferred")
    add("--output", metavar="DIR", required=True, type=Path, help="folder for the result")
    _look(merge)
    add("--chunk", default="30m", metavar="LENGTH",
        help="stretch for which presence is decided: 30m, 10s")  # fmt: skip
    add("--name", default="lecture", metavar="TEXT", help="beginning of the result's name")
    add("--card", action="append", default=[], nargs="+", type=Path, metavar="IMAGE",
        help="picture that the screen's encoder sends when it has no signal")  # fmt: skip
    add("--json", action="store_true", help="print one JSON object on stdout")


def _request(request: argparse.ArgumentParser) -> None:
    add = request.add_argument
    add("--room", required=True, help="the room's name")
    _span(request)
    add("--name", default="lecture", metavar="TEXT", help="what the video is of")
    _look(request)
    add("--user", action="append", default=[], metavar="EMAIL",
        help="who wants it; several times, the first is the owner")  # fmt: skip
    add("--course", metavar="CODE", help="course in which it is announced")
    add("--key", metavar="TEXT", help="idempotency key: the same key is the same request")
    add("--json", action="store_true", help="print one JSON object on stdout")


def _span(command: argparse.ArgumentParser) -> None:
    command.add_argument("--start", required=True, metavar="INSTANT",
                         help="like 2026-11-20T10:05, local or with offset")  # fmt: skip
    command.add_argument("--end", required=True, metavar="INSTANT", help="like --start")


def _look(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", default=DEFAULT_PROFILE, metavar="NAME",
                         help=f"one of {', '.join(PROFILES)}")  # fmt: skip
    command.add_argument("--layout", default=DEFAULT_LAYOUT, metavar="NAME",
                         help=f"one of {', '.join(LAYOUTS)}")  # fmt: skip
