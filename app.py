"""Composition root and command line."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

try:
    from merger import config
    from merger.arguments import parser
    from merger.errors import Broken, Cancelled, MergerError, NoMedia, Refused, Temporary
    from merger.localtime import instant_from, length_from, zone_named
    from merger.progress import printable
    from merger.timeline import Span, record_span
except ModuleNotFoundError as missing:
    sys.exit(
        f"app.py: the package {missing.name} is missing."
        " Run script/bootstrap, then .venv/bin/python app.py ..."
    )

if TYPE_CHECKING:  # heavy libraries are imported once the command line makes sense
    from sqlalchemy import Engine

    from merger.task import Service

DONE, BROKEN, REFUSED, NO_MEDIA, INTERRUPTED = 0, 1, 2, 3, 130

Printed = tuple[dict[str, Any], str]  # one object for programs, and text for people


class Stopping:
    """Counts how often a signal asked to stop. A command ends at the second; a daemon decides.

    Raising from the handler instead could happen between starting a child and knowing of it.
    """

    def __init__(self) -> None:
        self.count = 0
        self.most = 1  # before the process ends at once

    def ask(self, number: int, _: object) -> None:
        self.count += 1
        if self.count > self.most:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def asked(self) -> int:
        return self.count

    def __call__(self) -> bool:
        return self.count > 0


def main(arguments: Sequence[str] | None = None, stopping: Stopping | None = None) -> int:
    """Run a command; return its exit code: 0 done, 1 broken, 2 refused, 3 no media for the span.

    stopping says whether somebody asked to stop; then the exit code is 130, as of a shell.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    stopping = stopping or Stopping()
    context: dict[str, Any] = {"arguments": arguments}
    text = ""
    try:
        options = parser().parse_args(arguments)
        document, text = COMMANDS[options.command](options, context, stopping)
        code = DONE
    except MergerError as error:
        code, document = _explained(error, context)
    except Exception as error:  # the one place: a person gets a sentence, the operator the trace
        if config.wants_trace(os.environ):
            raise
        message = (
            f"a mistake in this program: {type(error).__name__}: {error}"
            " (MERGER_DEBUG=1 shows where)"
        )
        code, document = _explained(Broken("internal", message), context)
    code = context.get("exit", code)
    told = True
    if "--json" in arguments:
        told = _tell(json.dumps(document, ensure_ascii=False))
    elif text:
        told = _tell(text)
    return code if told else BROKEN


def _tell(text: str) -> bool:
    """Print a result; return whether it could be printed."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # whoever reads had enough; the work is done all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"app.py: the result cannot be printed: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _explained(error: MergerError, context: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    from merger.report import failure_document

    message = error.message
    if isinstance(error, Refused):
        # Whoever typed an argument looks for its name; others never saw one.
        typed = {argument.partition("=")[0] for argument in context["arguments"]}
        message = f"--{error.code}: {message}" if f"--{error.code}" in typed else message
    print(f"app.py: {printable(message)}", file=sys.stderr)
    code = BROKEN
    if isinstance(error, NoMedia):
        code = NO_MEDIA
    elif isinstance(error, Refused):
        code = REFUSED
    elif isinstance(error, Cancelled):
        code = INTERRUPTED
    document = failure_document(error.code, message, context.get("span"), context.get("zone"))
    return code, document


# --- merge: without the service -------------------------------------------------------------------


def _span(options: argparse.Namespace, zone: ZoneInfo) -> Span:
    start = instant_from(options.start, zone, "start")
    end = instant_from(options.end, zone, "end")
    if end <= start:
        raise Refused("end", f"{options.end} is not after --start {options.start}")
    return record_span(start, end)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_utf8(options: argparse.Namespace, *names: str) -> None:
    for name in names:
        if not _is_utf8(str(getattr(options, name))):
            raise Refused(name, "it is not UTF-8; check the terminal's encoding")


def _merge(options: argparse.Namespace, context: dict[str, Any], stopping: Stopping) -> Printed:
    zone = zone_named(options.zone)
    context |= {"zone": zone, "span": _span(options, zone)}
    _check_utf8(options, "room", "name", "library", "output")
    for argument in ("room", "speaker", "screen", "board", "audio"):
        value = getattr(options, argument)
        if value is not None and (not value.strip() or "/" in value or "\0" in value):
            raise Refused(argument, f"{value!r} cannot be part of a file name")
    chunk = length_from(options.chunk, "chunk")

    from merger import ffmpeg
    from merger.analysis.cards import read_card
    from merger.layout import layout_named
    from merger.making import MergeRequest
    from merger.pipeline import merge
    from merger.plan import Sources
    from merger.profiles import profile_named
    from merger.progress import Terminal
    from merger.report import result_document

    profile_named(options.profile)
    layout_named(options.layout)
    settings = config.load(os.environ)
    request = MergeRequest(
        room=options.room,
        span=context["span"],
        zone=zone,
        sources=Sources(options.speaker, options.screen, options.board, options.audio),
        name=options.name,
        profile=options.profile,
        layout=options.layout,
        chunk=chunk,
        cards=tuple(read_card(path) for paths in options.card for path in paths),
    )
    reporter = Terminal(sys.stderr, time.monotonic, _terminal_width)
    try:
        tool = ffmpeg.find(settings.ffmpeg or None)
        result = merge(
            request, options.library.resolve(), options.output.resolve(), settings, tool,
            reporter, stopping,
        )  # fmt: skip
    finally:
        reporter.clear()
    for warning in result.warnings:
        print(f"warning: {printable(warning)}", file=sys.stderr)
    document = result_document(result, zone)
    return document, "\n".join(rendition["path"] for rendition in document["renditions"])


def _terminal_width() -> int:
    return 0 if os.environ.get("TERM") == "dumb" else shutil.get_terminal_size().columns


# --- the service: queue, daemon, workers ----------------------------------------------------------


def _now() -> datetime:
    return datetime.now(UTC)


def _database(settings: config.Settings) -> Engine:
    """Return the database, whose tables are as this program knows them."""
    from merger.database import connected
    from merger.schema import require_current

    engine = connected(settings.database_address)
    require_current(engine)
    return engine


def create_service(settings: config.Settings, engine: Engine) -> Service:
    """Return the service with everything plugged in."""
    from merger.folder_destination import FolderDestination
    from merger.task import Service
    from recorders.kinds import kinds, recorder_of

    folder = FolderDestination(settings.destination, is_ours=settings.output is None)
    recorders = partial(recorder_of, kinds(settings.ffmpeg or None))
    return Service(engine, settings, recorders, (folder,), _now)


def _request(options: argparse.Namespace, context: dict[str, Any], _: Stopping) -> Printed:
    from merger import record_views, records

    _check_utf8(options, "room", "name")
    engine = _database(config.load(os.environ))
    zone = records.room_zone(engine, options.room)
    context |= {"zone": zone, "span": _span(options, zone)}
    request = records.Request(
        room=options.room,
        start=context["span"].start,
        end=context["span"].end,
        name=options.name,
        layout=options.layout,
        profile=options.profile,
        users=tuple(options.user),
        course_code=options.course,
        idempotency_key=options.key,
    )
    record, is_new = records.ask(engine, request, _now())
    document = {**record_views.details(engine, record), "is_new": is_new}
    return document, f"record {record}" + ("" if is_new else " (asked for before)")


def _records(options: argparse.Namespace, _: Mapping[str, Any], __: Stopping) -> Printed:
    from merger import record_views, wording

    engine = _database(config.load(os.environ))
    found = record_views.listing(
        engine, room=options.room, status=options.status, limit=max(1, options.limit)
    )
    return {"records": found}, wording.records_table(found)


def _show(options: argparse.Namespace, _: Mapping[str, Any], __: Stopping) -> Printed:
    from merger import record_views, wording

    document = record_views.details(_database(config.load(os.environ)), options.record)
    return document, wording.record_page(document)


def _cancel(options: argparse.Namespace, _: Mapping[str, Any], __: Stopping) -> Printed:
    from merger import records

    status = records.cancel(_database(config.load(os.environ)), options.record, _now())
    told = "is being stopped" if status == "running" else f"is {status}"
    return {"id": options.record, "status": status}, f"record {options.record} {told}"


def _retry(options: argparse.Namespace, _: Mapping[str, Any], __: Stopping) -> Printed:
    from merger import records

    records.retry(_database(config.load(os.environ)), options.record, _now())
    return {"id": options.record, "status": "queued"}, f"record {options.record} is queued again"


def _rooms(options: argparse.Namespace, _: Mapping[str, Any], __: Stopping) -> Printed:
    from merger import rooms, rooms_file, wording
    from recorders.kinds import kinds

    engine = _database(config.load(os.environ))
    if options.action is None:
        found = rooms.listing(engine)
        return {"rooms": found}, wording.rooms_table(found)
    try:
        text = options.file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused("file", f"{options.file} cannot be read ({error})") from error
    specs = rooms_file.parse(text, kinds(), config.secrets(os.environ))
    for warning in rooms_file.warnings(specs):
        print(f"warning: {printable(warning)}", file=sys.stderr)
    changes = rooms.differences(engine, specs) if options.dry_run else rooms.apply(engine, specs)
    words = [f"would have {change}" if options.dry_run else change for change in changes]
    return {"changes": changes, "dry_run": options.dry_run}, "\n".join(words or ["no change"])


def _init_db(_: argparse.Namespace, __: Mapping[str, Any], ___: Stopping) -> Printed:
    from merger.database import connected
    from merger.schema import upgrade

    done = upgrade(connected(config.load(os.environ).database_address))
    text = f"applied {', '.join(done)}" if done else "the tables are up to date"
    return {"applied": done}, text


def _check(options: argparse.Namespace, context: dict[str, Any], _: Stopping) -> Printed:
    from merger.database import connected
    from merger.health import check

    settings = config.load(os.environ)
    engine = connected(settings.database_address)
    findings = check(settings, engine, create_service(settings, engine).recorder_of, _now)
    context["exit"] = BROKEN if any(f.level == "broken" for f in findings) else DONE
    document = {"findings": [{"what": f.what, "level": f.level, "text": f.text} for f in findings]}
    return document, "\n".join(printable(f"{f.level:8} {f.what}: {f.text}") for f in findings)


def _begin_logging() -> None:
    """Log to stderr, a line each, in UTC."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("schedule").setLevel(logging.WARNING)


def _check_machine(settings: config.Settings) -> None:
    """Raise Broken for what would fail every record: better no daemon than a failed queue."""
    from merger import ffmpeg
    from merger.storage import make_folder

    ffmpeg.find(settings.ffmpeg or None)
    make_folder(settings.data, "the data folder (MERGER_DATA)")
    make_folder(settings.cache, "the cache folder (MERGER_CACHE)")


def _database_when_there(settings: config.Settings, stopping: Stopping) -> Engine:
    """Return the database; wait for one that is not there yet, as after a boot."""
    while True:
        try:
            return _database(settings)
        except Temporary as error:
            if stopping():
                raise
            logging.warning("%s; waiting for it", error.message)
            time.sleep(min(settings.poll.total_seconds(), 2))


def _daemon(options: argparse.Namespace, _: Mapping[str, Any], stopping: Stopping) -> Printed:
    from merger import children, daemon

    _begin_logging()
    stopping.most = 2
    settings = config.load(os.environ)
    _check_machine(settings)
    service = create_service(settings, _database_when_there(settings, stopping))
    this = [sys.executable, str(Path(__file__).resolve())]
    mine = daemon.Daemon(
        service,
        start=children.starter([*this, "work"]),
        start_house=lambda: children.started([*this, "keep-house"]),
        name=f"{socket.gethostname()}-{os.getpid()}",
        check_machine=lambda: _check_machine(settings),
    )
    signals = daemon.Signals(stopping.asked, time.sleep)
    if getattr(options, "once", False):
        daemon.run_once(mine, signals)
    else:
        logging.info("the daemon %s is at work, %s at a time", mine.name, settings.workers)
        daemon.run(mine, signals)
        logging.info("the daemon %s has ended", mine.name)
    return {}, ""


def _work(options: argparse.Namespace, _: Mapping[str, Any], stopping: Stopping) -> Printed:
    from merger.database import connected
    from merger.queue import Claim
    from merger.work import work

    _begin_logging()
    settings = config.load(os.environ)
    service = create_service(settings, connected(settings.database_address))
    work(service, Claim(options.record, options.attempt, options.worker), stopping)
    return {}, ""


def _keep_house(_: argparse.Namespace, __: Mapping[str, Any], ___: Stopping) -> Printed:
    from merger.daemon import keep_house
    from merger.database import connected

    _begin_logging()
    settings = config.load(os.environ)
    keep_house(create_service(settings, connected(settings.database_address)), _now())
    return {}, ""


COMMANDS: dict[str, Callable[[argparse.Namespace, dict[str, Any], Stopping], Printed]] = {
    "merge": _merge,
    "request": _request,
    "records": _records,
    "show": _show,
    "cancel": _cancel,
    "retry": _retry,
    "rooms": _rooms,
    "init-db": _init_db,
    "check": _check,
    "daemon": _daemon,
    "run": _daemon,
    "work": _work,
    "keep-house": _keep_house,
}


if __name__ == "__main__":
    if sys.stderr is None:  # closed by whoever started us
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    signals = Stopping()
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signals.ask)
    sys.exit(main(stopping=signals))
