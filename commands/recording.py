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

from commands.base import Context, Printed, database_when_there, load_settings, process_name
from merger import logs

if TYPE_CHECKING:
    from merger.service import Service
    from recorders.supervisor.supervisor import Supervisor

# More than any source is recorded before a lecture begins, or after it ends.
_MARGIN = timedelta(hours=2)


def recorder(_: argparse.Namespace, context: Context) -> Printed:
    """Record the live sources of booked rooms, until asked to stop."""
    from recorders.supervisor.supervisor import run

    settings = load_settings()
    logs.start_logging(settings.log_form)
    context.stopping.most = 2  # at the second, the recording processes are killed
    service = context.create_service(settings, database_when_there(settings, context.stopping))
    logging.info("the recorder is at work")
    run(_supervisor(service), service.now, context.stopping.requests, _pause)
    logging.info("the recorder has ended")
    return {}, ""


@contextmanager
def recording(service: Service, stop_requests: Callable[[], int]) -> Iterator[None]:
    """Record in a thread while the block lasts. stop_requests: counts them."""
    from recorders.supervisor.supervisor import run

    ends = threading.Event()
    supervisor = _supervisor(service)
    thread = threading.Thread(
        target=run,
        args=(supervisor, service.now, lambda: max(stop_requests(), int(ends.is_set())), _pause),
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
    from merger.db.connection_rules import rules_of
    from merger.errors import MergerError
    from merger.live import bookings, source_status
    from merger.monitoring.heartbeats import write_heartbeat
    from merger.timeline.clock import Span
    from recorders.supervisor.supervisor import Supervisor, Wiring

    engine, settings = service.engine, service.settings
    with suppress(MergerError):  # the folder is away: signs expire by themselves
        source_status.remove_sign(settings)
    return Supervisor(
        Wiring(
            recorded=settings.recorded,
            cameras=partial(bookings.cameras, engine, "rtsp"),
            bookings=lambda now: bookings.bookings(engine, Span(now - _MARGIN, now + _MARGIN)),
            add_history=partial(bookings.add_to_histories, engine),
            keep_picture=partial(thumbnails.save_thumbnail, settings),
            write_sign=partial(source_status.write_sign, settings),
            write_heartbeat=lambda now: write_heartbeat(engine, process_name(), now, "recorder"),
            rules=rules_of(settings, engine, "cameras"),
        )
    )
