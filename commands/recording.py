"""The command that records live sources, alone or beside the rest of the service."""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from commands.base import Context, Printed, database_when_there, settings
from merger import logs

if TYPE_CHECKING:
    from merger.service import Service
    from recorders.supervisor.supervisor import Supervisor

# More than any source is recorded before a lecture begins, or after it ends.
_MARGIN = timedelta(hours=2)


def recorder(_: argparse.Namespace, context: Context) -> Printed:
    """Record the live sources of booked rooms, until asked to stop."""
    from recorders.supervisor.supervisor import run

    known = settings()
    logs.start_logging(known.log_form)
    context.stopping.most = 2  # at the second, the recording processes are killed
    service = context.create_service(known, database_when_there(known, context.stopping))
    logging.info("the recorder is at work")
    run(_supervisor(service), service.now, context.stopping.asked, _pause)
    logging.info("the recorder has ended")
    return {}, ""


@contextmanager
def recording(service: Service, asked: Callable[[], int]) -> Iterator[None]:
    """Record in a thread while the block lasts. asked: how often it was asked to stop."""
    from recorders.supervisor.supervisor import run

    ends = threading.Event()
    supervisor = _supervisor(service)
    thread = threading.Thread(
        target=run,
        args=(supervisor, service.now, lambda: max(asked(), int(ends.is_set())), _pause),
        name="recorder",
    )
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _supervisor(service: Service) -> Supervisor:
    from merger.analysis import thumbnails
    from merger.errors import MergerError
    from merger.live import bookings, source_status
    from merger.timeline.clock import Span
    from recorders.supervisor.supervisor import Supervisor, Wiring

    engine, known = service.engine, service.settings
    with suppress(MergerError):  # the folder is away: signs expire by themselves
        source_status.remove_sign(known)
    return Supervisor(
        Wiring(
            recorded=known.recorded,
            cameras=partial(bookings.cameras, engine, "rtsp"),
            bookings=lambda now: bookings.bookings(engine, Span(now - _MARGIN, now + _MARGIN)),
            add_history=partial(bookings.add_to_histories, engine),
            keep_picture=partial(thumbnails.save_thumbnail, known),
            write_sign=partial(source_status.write_sign, known),
            allow_local=known.allow_local_cameras,
        )
    )
