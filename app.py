"""Command line and composition root."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

try:
    from merger import config
    from merger.errors import Broken, Cancelled, MergerError, NoMedia, Refused
    from merger.layout import DEFAULT_LAYOUT, LAYOUTS
    from merger.localtime import instant_from, length_from, zone_named
    from merger.profiles import DEFAULT_PROFILE, PROFILES
    from merger.progress import printable
    from merger.timeline import Span
except ModuleNotFoundError as missing:
    sys.exit(
        f"app.py: the package {missing.name} is missing."
        " Run script/bootstrap, then .venv/bin/python app.py ..."
    )

DONE, BROKEN, REFUSED, NO_MEDIA, INTERRUPTED = 0, 1, 2, 3, 130
LONGEST_SPAN = timedelta(hours=24)


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument like every other mistake of a request."""

    def error(self, message: str) -> NoReturn:
        raise Refused("arguments", f"{message} ({self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    root = _Parser(prog="app.py", description="Merges recorded lectures into one video.")
    commands = root.add_subparsers(dest="command", required=True, parser_class=_Parser)
    merge = commands.add_parser(
        "merge", help="merge a lecture from its recorded segments",
        description="Make the side-by-side video of a lecture from the segments in a folder.",
    )  # fmt: skip
    add = merge.add_argument
    add("--library", metavar="DIR", required=True, type=Path, help="folder with the segments")
    add("--room", required=True, help="the room as the files name it")
    add(
        "--start",
        required=True,
        metavar="INSTANT",
        help="like 2026-11-20T10:05, local or with offset",
    )
    add("--end", required=True, metavar="INSTANT", help="like --start")
    add("--zone", required=True, help="the room's time zone, like Europe/Moscow")
    add("--speaker", required=True, metavar="NAME", help="source that films the speaker")
    add("--screen", metavar="NAME", help="source that captures the screen")
    add("--board", metavar="NAME", help="source that films the board")
    add("--audio", metavar="NAME", help="source whose sound is preferred")
    add("--output", metavar="DIR", required=True, type=Path, help="folder for the result")
    add("--profile", default=DEFAULT_PROFILE, metavar="NAME", help=f"one of {', '.join(PROFILES)}")
    add("--layout", default=DEFAULT_LAYOUT, metavar="NAME", help=f"one of {', '.join(LAYOUTS)}")
    add(
        "--chunk",
        default="30m",
        metavar="LENGTH",
        help="stretch for which presence is decided: 30m, 10s",
    )
    add("--name", default="lecture", metavar="TEXT", help="beginning of the result's name")
    add("--card", action="append", default=[], nargs="+", type=Path, metavar="IMAGE",
        help="picture that the screen's encoder sends when it has no signal")  # fmt: skip
    add("--json", action="store_true", help="print one JSON object on stdout")
    return root


def main(
    arguments: Sequence[str] | None = None, stopping: Callable[[], bool] = lambda: False
) -> int:
    """Run a command; return its exit code: 0 done, 1 broken, 2 refused, 3 no media for the span.

    stopping says whether somebody asked to stop; then the exit code is 130, as of a shell.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    context: dict[str, Any] = {}
    try:
        document = _merge(parser().parse_args(arguments), context, stopping)
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
    if "--json" in arguments:
        told = _tell(json.dumps(document, ensure_ascii=False))
    elif code == DONE:
        told = _tell("\n".join(rendition["path"] for rendition in document["renditions"]))
    else:
        told = True
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

    print(f"app.py: {printable(error.message)}", file=sys.stderr)
    code = BROKEN
    if isinstance(error, NoMedia):
        code = NO_MEDIA
    elif isinstance(error, Refused):
        code = REFUSED
    elif isinstance(error, Cancelled):
        code = INTERRUPTED
    document = failure_document(error.code, error.message, context.get("span"), context.get("zone"))
    return code, document


def _span(options: argparse.Namespace, zone: ZoneInfo) -> Span:
    start = instant_from(options.start, zone, "--start")
    end = instant_from(options.end, zone, "--end")
    if end <= start:
        raise Refused("end", f"--end: {options.end} is not after --start {options.start}")
    if end - start > LONGEST_SPAN:
        raise Refused("end", "--end: a record lasts at most 24 hours")
    return Span(start, end)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _merge(
    options: argparse.Namespace, context: dict[str, Any], stopping: Callable[[], bool]
) -> dict[str, Any]:
    # Heavy libraries are imported once the request makes sense.
    zone = zone_named(options.zone)
    context |= {"zone": zone, "span": _span(options, zone)}
    for argument in ("room", "name", "library", "output"):
        if not _is_utf8(str(getattr(options, argument))):
            raise Refused(argument, f"--{argument}: it is not UTF-8; check the terminal's encoding")
    for argument in ("room", "speaker", "screen", "board", "audio"):
        value = getattr(options, argument)
        if value is not None and (not value.strip() or "/" in value or "\0" in value):
            raise Refused(argument, f"--{argument}: {value!r} cannot be part of a file name")
    chunk = length_from(options.chunk, "--chunk")

    from merger import ffmpeg
    from merger.analysis.cards import read_card
    from merger.layout import layout_named
    from merger.pipeline import MergeRequest, merge
    from merger.plan import Sources
    from merger.profiles import profile_named
    from merger.progress import Terminal
    from merger.report import result_document

    profile_named(options.profile)
    layout_named(options.layout)
    settings = config.load(os.environ)
    request = MergeRequest(
        library=options.library.resolve(),
        output=options.output.resolve(),
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
        result = merge(request, settings, tool, reporter, stopping)
    finally:
        reporter.clear()
    for warning in result.warnings:
        print(f"warning: {printable(warning)}", file=sys.stderr)
    return result_document(result, zone)


def _terminal_width() -> int:
    return 0 if os.environ.get("TERM") == "dumb" else shutil.get_terminal_size().columns


class _Stopping:
    """Remembers that a signal asked to stop; at the second one the process ends at once.

    Raising from the handler instead could happen between starting a child and knowing of it.
    """

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, _: object) -> None:
        if self.asked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


if __name__ == "__main__":
    if sys.stderr is None:  # closed by whoever started us
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    stopping = _Stopping()
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, stopping.ask)
    sys.exit(main(stopping=stopping))
