"""A short look at cameras, whoever records them: does each send a picture now?"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from tempfile import gettempdir

from merger.errors import MergerError
from merger.i18n import Message
from merger.live.bookings import Camera
from merger.network.addresses import Rules
from recorders.rtsp.address import address_of
from recorders.rtsp.wire import Ended, Job
from recorders.supervisor.processes import Child

LOOK_S = 5.0
_AT_ONCE = 16  # each is a process
_START_S = 3.0  # that a process may need before it begins to look
_STEP_S = 0.05


@dataclass(frozen=True)
class Seen:
    """What a look at a camera found. why: it sends nothing; None: a picture came.

    is_lasting: somebody has to put something right first.
    """

    camera: Camera
    why: Message | None = None
    is_lasting: bool = False


def look_at_cameras(cameras: Iterable[Camera], rules: Rules, look_s: float = LOOK_S) -> list[Seen]:
    """Return what each camera sends, in their order; they are looked at side by side."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda camera: _look_at(camera, rules, look_s), cameras))


def _look_at(camera: Camera, rules: Rules, look_s: float) -> Seen:
    try:
        child = Child(_job_for(camera, rules))
    except MergerError as error:
        return Seen(camera, error.message)
    try:
        ended = _await_end(child, look_s)
    finally:
        child.kill()
        child.close()
    if ended is None:
        return Seen(camera, Message("recorders.no_answer"))
    return Seen(camera) if ended.code == "seen" else Seen(camera, ended.why, ended.is_lasting)


def _await_end(child: Child, look_s: float) -> Ended | None:
    """Return how a process ended by itself; None where it did not in time."""
    until_s = time.monotonic() + look_s + _START_S
    is_over = False
    while not is_over:
        is_over = child.has_ended or time.monotonic() > until_s
        for message in child.read_messages():
            if isinstance(message, Ended):
                return message
        time.sleep(0 if is_over else _STEP_S)
    return None


def _job_for(camera: Camera, rules: Rules) -> Job:
    """Return the job of a process that looks. Raises Invalid for an unusable address."""
    source = camera.source
    address = address_of(source, rules)
    return Job(
        url=address.url,
        credentials=source.credentials,
        room=source.room,
        source=source.name,
        zone=source.zone.key,
        folder=gettempdir(),  # nothing is written there
        allowed=", ".join(map(str, rules.networks_for(address.host))),
        look=True,
    )
