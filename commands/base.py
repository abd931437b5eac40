"""What all commands share: their surroundings, and how they end."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from merger.errors import Invalid, Temporary
from merger.i18n import Message, Param
from merger.timeline.clock import Span, record_span
from merger.timeline.zones import instant_from

if TYPE_CHECKING:  # heavy libraries are imported once the command line makes sense
    from flask import Flask
    from sqlalchemy import Engine

    from merger.config import Settings
    from merger.service import Service

DONE, BROKEN, REFUSED, NO_MEDIA, INTERRUPTED = 0, 1, 2, 3, 130
_WAIT_S = 2.0

Printed = tuple[dict[str, Any], str]  # one object for programs, and text for people


class Stopping:
    """Counts the signals that ask to stop. A command ends at the second; a daemon decides.

    A handler that raises could do so between the start of a child and our knowing of it.
    """

    def __init__(self) -> None:
        self.count = 0
        self.most = 1  # before the process ends at once

    def handle(self, number: int, _: object) -> None:
        self.count += 1
        if self.count > self.most:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def requests(self) -> int:
        return self.count

    def __call__(self) -> bool:
        return self.count > 0


@dataclass
class Context:
    """The surroundings of a command, and what it reports back.

    program: what workers are started with. zone, span: of the request, for the report of a failure.
    exit: the code of a command that did its work, and may have found something broken.
    """

    arguments: Sequence[str]
    stopping: Stopping
    program: Path
    create_service: Callable[[Settings, Engine], Service]
    create_web: Callable[[Service], Flask]
    zone: ZoneInfo | None = None
    span: Span | None = None
    exit: int = DONE


Command = Callable[[argparse.Namespace, Context], Printed]


def load_settings() -> Settings:
    """Return the settings of this process, and apply what holds for all of it."""
    from merger.config import load
    from merger.isolation.confinement import confine_decoders

    settings = load()
    confine_decoders(settings.confine != "off")
    return settings


def say(key: str, **params: Param) -> str:
    """Return a message of the commands in English."""
    return str(Message(f"commands.{key}", **params))


def now() -> datetime:
    """Return what time it is."""
    return datetime.now(UTC)


def process_name() -> str:
    """Return the name by which others know this process: its machine's, and its number."""
    return f"{socket.gethostname()}-{os.getpid()}"


def database(settings: Settings | None = None) -> Engine:
    """Return the database, once it is certain that its tables and the key match this program."""
    from merger.db.encryption import ensure_key
    from merger.db.schema import require_current

    settings = settings or load_settings()
    engine = connected(settings)
    require_current(engine)
    ensure_key(engine)
    close_to_others(settings)
    return engine


def connected(settings: Settings) -> Engine:
    """Return the database, whatever is in there, and the key with which its secrets are read."""
    from merger.db.engine import connect
    from merger.db.key_file import use_key_file

    engine = connect(settings.database_address)
    use_key_file(engine, settings.secret_file)
    return engine


def close_to_others(settings: Settings) -> None:
    """Take from other users of the machine what they can read of the service's own files."""
    from merger.db.engine import database_file
    from merger.storage.private import make_private, private_paths

    make_private(private_paths(settings, database_file(settings.database_address)))


def database_when_there(settings: Settings, stopping: Stopping) -> Engine:
    """Return the database; wait for one that is not up yet, as after a boot."""
    while True:
        try:
            return database(settings)
        except Temporary as error:
            if stopping():
                raise
            logging.warning("%s; waiting for it", error.message)
            time.sleep(min(settings.poll.total_seconds(), _WAIT_S))


def span_of(options: argparse.Namespace, zone: ZoneInfo) -> Span:
    """Return the span of --start and --end. Raises Refused."""
    start = instant_from(options.start, zone, "start")
    end = instant_from(options.end, zone, "end")
    if end <= start:
        raise Invalid("end", "commands.end_before_start", end=options.end, start=options.start)
    return record_span(start, end)


def check_utf8(options: argparse.Namespace, *names: str) -> None:
    """Raise Invalid for an argument that no file and no table can hold."""
    for name in names:
        try:
            str(getattr(options, name)).encode()
        except UnicodeEncodeError as error:
            raise Invalid(name, "commands.not_utf8") from error
