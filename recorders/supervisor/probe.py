"""One look at a camera, by a process of its own, for somebody who has just entered its address."""

from __future__ import annotations

import time
from datetime import timedelta

from merger.errors import Broken, Refused, Temporary
from merger.i18n import Message
from merger.network.addresses import Rules
from merger.ports.recorder import Probe, SourceOfRoom
from recorders.rtsp.address import address_of
from recorders.rtsp.wire import Arriving, Ended, Job, PictureTaken
from recorders.supervisor.processes import Child

_PAUSE_S = 0.05


def probe_camera(source: SourceOfRoom, rules: Rules, within: timedelta) -> Probe:
    """Return what a camera shows.

    Raises:
        MergerError: it is not connected to, or sends nothing, and why.
    """
    address = address_of(source, rules)
    job = Job(
        url=address.url, credentials=source.credentials, room=source.room, source=source.name,
        zone=source.zone.key, folder="", look=True,  # which writes nothing
        allowed=", ".join(map(str, rules.networks_for(address.host))),
    )  # fmt: skip
    until_s = time.monotonic() + within.total_seconds()
    child = Child(job)
    try:
        return _watch(child, until_s, within)
    finally:
        child.kill()
        child.close()


def _watch(child: Child, until_s: float, within: timedelta) -> Probe:
    jpeg: bytes | None = None
    arrives = False
    while True:
        has_ended = child.has_ended  # before its last words are read
        for message in child.read_messages():
            match message:
                case PictureTaken():
                    jpeg = message.jpeg
                case Arriving():
                    arrives = True
                case Ended(code="seen"):
                    key = "sends_pictures" if jpeg else "sends_no_picture"
                    return Probe(Message(f"recorders.rtsp.{key}"), jpeg)
                case Ended():
                    raise (Refused if message.is_lasting else Temporary)(message.code, message.why)
                case _:
                    pass
        child.read_complaints()  # or it would wait for somebody to read them
        if has_ended:
            raise Broken("crashed", "recorders.crashed", status=child.process.returncode)
        if time.monotonic() > until_s:
            break
        time.sleep(_PAUSE_S)
    seconds = within // timedelta(seconds=1)
    if not arrives:
        raise Temporary("silent", "recorders.rtsp.no_answer_within", seconds=seconds)
    return Probe(Message("recorders.rtsp.sends_no_key_frame", seconds=seconds))
