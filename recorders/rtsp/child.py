"""The process that records one source: `python -m recorders.rtsp.child`, its job on stdin.

What becomes of it is written to stdout (`wire`). Credentials come over stdin and go into
libavformat, and nowhere else.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from pathlib import Path

import av
import av.logging

from merger.errors import MergerError, Refused, Temporary
from merger.i18n import Message
from merger.storage.files import disk_full, is_full, translate_os_error
from recorders.rtsp.connection import ConnectionOver, connect
from recorders.rtsp.first_picture import FirstPicture
from recorders.rtsp.stream_writer import StreamWriter
from recorders.rtsp.wire import Ended, Job, emit, from_line


def main() -> int:
    """Do the job on stdin; return 0 when it ended as it should."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("libav").setLevel(logging.ERROR)
    av.logging.set_level(av.logging.ERROR)
    stop_signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stop_signals.append(number))
    job = from_line(sys.stdin.readline())
    assert isinstance(job, Job)
    try:
        record(job, stop_signals)
    except ConnectionOver as over:
        emit(over.ended)
        return 0 if over.ended.code in ("stopped", "seen") else 1
    except MergerError as error:
        emit(Ended(error.code, error.message, is_lasting=not isinstance(error, Temporary)))
    except av.FFmpegError as error:  # its text would have the address with the password
        emit(_explain(error, Path(job.folder)))
    except OSError as error:
        failure = translate_os_error(error, Path(job.folder))
        emit(Ended(failure.code, failure.message))
    return 0 if stop_signals else 1


def record(job: Job, stop_signals: list[int]) -> None:
    """Record until a signal asks to stop.

    Raises:
        ConnectionOver: in any case in which nothing failed.
        MergerError, av.FFmpegError, OSError: something did.
    """
    with connect(job) as container:
        video = container.streams.best("video")
        audio = container.streams.best("audio")
        lead = video or audio
        if lead is None:
            raise Refused("media", "recorders.rtsp.no_streams")
        streams = tuple(stream for stream in (video, audio) if stream is not None)
        writer = StreamWriter(job, streams, lead)
        reorders = bool(getattr(lead.codec_context, "has_b_frames", False))
        first = FirstPicture(lead.index, reorders)
        try:
            for packet in container.demux(*streams):
                if stop_signals:
                    raise ConnectionOver("stopped", "recorders.rtsp.stopped")
                now_us = time.time_ns() // 1000
                writer.check_clock(now_us, time.monotonic_ns() // 1000)
                for ready, arrived_us in first.feed(packet, now_us):
                    writer.write(ready, arrived_us)
        finally:
            writer.close()
    raise ConnectionOver("ended", "recorders.sends_nothing")


def _explain(error: av.FFmpegError, folder: Path) -> Ended:
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        return Ended("credentials", Message("recorders.rtsp.credentials"), is_lasting=True)
    if isinstance(error, av.error.HTTPNotFoundError):
        # Servers say so, too, while nobody is sending to them.
        return Ended("address", Message("recorders.rtsp.no_stream"))
    if isinstance(error, (av.error.ExitError, av.error.TimeoutError)):
        return Ended("silent", Message("recorders.no_answer"))
    if is_full(error):
        full = disk_full(folder)
        return Ended(full.code, full.message)
    return Ended("away", Message("recorders.rtsp.unreadable", why=error.strerror or "?"))


if __name__ == "__main__":
    sys.exit(main())
