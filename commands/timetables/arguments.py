"""The command line: what the commands about timetables and series take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

Command = Callable[[str, str], argparse.ArgumentParser]


def add_timetable_commands(
    command: Command, parser_class: type[argparse.ArgumentParser]
) -> list[argparse.ArgumentParser]:
    """Add the commands; return those that print an object with --json.

    Args:
        command: adds a command, by its name and what it is about.
    """
    timetable = command("timetable", "import a timetable, or show the lectures ahead")
    actions = timetable.add_subparsers(
        dest="action", parser_class=parser_class, metavar="ACTION", required=True
    )
    load = actions.add_parser("import", help="import a timetable: CSV, iCalendar or a Google sheet")
    load.add_argument("file", type=Path, nargs="?", metavar="FILE", help="FILE.csv or FILE.ics")
    load.add_argument("--sheet", metavar="ID", help="a Google sheet instead of a file")
    load.add_argument("--tabs", default="", metavar="NAMES",
                      help="its tabs with lectures; the first if left out")  # fmt: skip
    load.add_argument("--source", metavar="NAME",
                      help="its name; that of the file if left out")  # fmt: skip
    load.add_argument("--zone", default="", metavar="ZONE",
                      help="the time zone of lectures without a room")  # fmt: skip
    load.add_argument("--from", dest="first", metavar="DAY", help="the first day of the term")
    load.add_argument("--until", dest="last", metavar="DAY", help="the last day of the term")
    load.add_argument("--adopt", metavar="NAME",
                      help="an earlier name of it, whose series it takes over")  # fmt: skip
    load.add_argument("--end", metavar="NAME",
                      help="another timetable, whose series end")  # fmt: skip
    refresh = actions.add_parser("refresh", help="read the timetables of the settings now")
    for sub in (load, refresh):
        sub.add_argument("--dry-run", action="store_true", help="only print what would change")
        sub.add_argument("--remove", action="store_true",
                         help="end the series that the timetable no longer has")  # fmt: skip
    show = actions.add_parser("show", help="show the lectures ahead")
    show.add_argument("--days", type=int, default=7, metavar="N", help="so many days ahead")
    off = command("days-off", "list the days without lectures, add some, or remove them")
    off.add_argument("days", nargs="?", metavar="DAY[..DAY]", help="like 2026-05-01..2026-05-10")
    off.add_argument("name", nargs="?", metavar="NAME", help="what they are called")
    off.add_argument("--room", metavar="NAME", help="in this room alone")
    off.add_argument("--remove", type=int, metavar="ID", help="remove the days of this number")
    series = command("series", "list lectures that repeat, add some, or switch them off and on")
    actions_of_series = series.add_subparsers(
        dest="action", parser_class=parser_class, metavar="ACTION"
    )
    add = actions_of_series.add_parser("add", help="add lectures that repeat")
    add.add_argument("--room", required=True, metavar="NAME", help="the room's name")
    add.add_argument("--start", required=True, metavar="TIME",
                     help="of the first, like 2026-09-07T10:00, by the room's clock")  # fmt: skip
    add.add_argument("--length", required=True, metavar="LENGTH", help="like 90m")
    add.add_argument("--rule", metavar="RRULE",
                     help="like FREQ=WEEKLY;BYDAY=MO; once if left out")  # fmt: skip
    add.add_argument("--until", metavar="DAY", help="the last day")
    add.add_argument("--except", dest="exdates", default="", metavar="DAYS",
                     help="days on which it isn't held, with commas")  # fmt: skip
    add.add_argument("--course", default="", metavar="CODE", help="the code of the course")
    add.add_argument("--title", default="", metavar="TEXT", help="the title of the lectures")
    add.add_argument("--user", action="append", default=[], metavar="EMAIL",
                     help="who gets the recordings; the first is the owner")  # fmt: skip
    add.add_argument("--layout", metavar="NAME", help="as of a request")
    add.add_argument("--profile", metavar="NAME", help="as of a request")
    disable = actions_of_series.add_parser("disable", help="switch a series off for now")
    disable.add_argument("--why", required=True, metavar="TEXT", help="the reason, for people")
    enable = actions_of_series.add_parser("enable", help="switch a series on again")
    end = actions_of_series.add_parser("end", help="end a series for good")
    for sub in (disable, enable, end):
        sub.add_argument("series", type=int, metavar="ID", help="the number of the series")
    for sub in (load, refresh, show, add, disable, enable, end):
        sub.add_argument("--json", action="store_true", default=argparse.SUPPRESS,
                         help="print one JSON object on stdout")  # fmt: skip
    return [off, series]
