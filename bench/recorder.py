"""`python -m bench.recorder`: what it takes to record cameras, and what is lost when it is killed.

One camera of GStreamer's serves all: its encoder would take the machine otherwise. Each source has
a connection and a process of its own, as with cameras that are many.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bench.run import PAGE, WORK, machine
from bench.table import between_marks
from merger.live.bookings import Camera as Source
from merger.media.index import read_media
from merger.media.sidecar import load_sidecar
from merger.network.addresses import LOCAL_NETWORKS, Rules
from merger.ports.recorder import SourceOfRoom
from merger.render import ffmpeg
from recorders.rtsp.recordings import RAW
from recorders.supervisor.supervisor import Supervisor, Wiring
from tests.recorders.cameras import Camera

MARKS = ("<!-- recorder: begin -->", "<!-- recorder: end -->")
_FULL_HD = ("--size", "1920x1080", "--kbit", "4000", "--noise", "100", "--key-s", "2")
_SMALL = ("--size", "320x180", "--pitch", "0")
_TICKS = os.sysconf("SC_CLK_TCK")
_WITHIN_S = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.recorder", description=__doc__)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 8], help="at once (1 8)")
    parser.add_argument("--seconds", type=float, default=30, help="how long they are recorded (30)")
    parser.add_argument("--kills", type=int, default=20, help="of a process that records (20)")
    parser.add_argument("--restarts", type=int, default=50, help="of a camera (50)")
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    WORK.mkdir(exist_ok=True)
    result: dict[str, Any] = {"machine": machine(ffmpeg.find_tool(None)), "runs": []}
    for cameras in options.cameras:
        with bench(cameras, *_FULL_HD) as at_work:
            run = {"cameras": cameras, **measure_load(at_work, options.seconds)}
        result["runs"].append(run)
        print(run, file=sys.stderr)
    with bench(1, *_SMALL) as at_work:
        result["lost_s"] = [seconds_lost(at_work) for _ in range(options.kills)]
    print(result["lost_s"], file=sys.stderr)
    with bench(1, *_SMALL) as at_work:
        result["reconnect_s"] = [seconds_to_reconnect(at_work) for _ in range(options.restarts)]
    print(result["reconnect_s"], file=sys.stderr)
    (WORK / "recorder.json").write_text(json.dumps(result, indent=1))
    text = table(result)
    print(text)
    if options.write_docs:
        PAGE.write_text(between_marks(PAGE.read_text(), text, MARKS))


@dataclass
class Bench:
    """A camera, and a recorder of it."""

    camera: Camera
    recorder: Supervisor
    folder: Path

    def until(self, what: Callable[[], Any]) -> None:
        """Have the recorder go on until something is so."""
        end_s = time.monotonic() + _WITHIN_S
        while not what():
            self.recorder.tick(datetime.now(UTC))
            if time.monotonic() > end_s:
                raise RuntimeError("it never happened")
            time.sleep(0.02)

    def raw(self, since: str = "") -> list[Path]:
        """Return what is being recorded, of what was begun since an instant."""
        return [p for p in self.folder.glob(f"*/{RAW}/*.mkv") if p.name > since]

    def finished(self) -> set[Path]:
        return set(self.folder.glob("*/*.mkv"))

    def processes(self) -> list[int]:
        sources = self.recorder.sources.values()
        return [one.child.process.pid for one in sources if one.child]


@contextmanager
def bench(cameras: int, *options: str) -> Iterator[Bench]:
    """Give so many sources of one camera, all of which are being recorded."""
    camera, folder = Camera(*options), Path(tempfile.mkdtemp(prefix="recorder", dir=WORK))
    camera.start()
    zone = ZoneInfo("Europe/Moscow")
    sources = [
        Source(
            n,
            SourceOfRoom("504", f"c{n}", "speaker", "rtsp", f"{camera.url}#always", zone),
            early=timedelta(),
            late=timedelta(),
        )
        for n in range(cameras)
    ]
    recorder = Supervisor(
        Wiring(
            recorded=folder,
            cameras=lambda: sources,
            bookings=lambda now: (),
            add_history=lambda *_: None,
            keep_picture=lambda *_: None,
            write_sign=lambda *_: None,
            rules=Rules("cameras", LOCAL_NETWORKS),
        )
    )
    made = Bench(camera, recorder, folder)
    try:
        made.until(lambda: sum(p.stat().st_size > 20_000 for p in made.raw()) == cameras)
        yield made
    finally:
        recorder.end(lambda: datetime.now(UTC), lambda: 0, time.sleep)
        camera.kill()
        shutil.rmtree(folder)


def measure_load(at_work: Bench, seconds: float) -> dict[str, float]:
    """Return CPU and memory of the processes that record, for each camera."""
    before_s, before_bytes = _cpu_s(at_work), _bytes(at_work)
    begun_s = time.monotonic()
    at_work.until(lambda: time.monotonic() - begun_s >= seconds)
    took_s, count = time.monotonic() - begun_s, len(at_work.processes())
    return {
        "cpu_percent": 100 * (_cpu_s(at_work) - before_s) / took_s / count,
        "pss_mib": sum(_pss_kib(pid) for pid in at_work.processes()) / 1024 / count,
        "mbit_s": (_bytes(at_work) - before_bytes) * 8e-6 / took_s / count,
    }


def seconds_lost(at_work: Bench) -> float:
    """Return how many seconds before a kill the last picture was captured that is kept."""
    known = at_work.finished()
    at_work.until(lambda: any(path.stat().st_size > 60_000 for path in at_work.raw()))
    [process] = at_work.processes()
    os.kill(process, signal.SIGKILL)
    killed_at = datetime.now(UTC)
    at_work.until(lambda: at_work.finished() - known)
    [path] = at_work.finished() - known
    sidecar = load_sidecar(path)
    assert sidecar is not None and sidecar.start is not None
    media = read_media(path)
    end = sidecar.start + timedelta(microseconds=media.length_us)
    at_work.until(lambda: at_work.raw(f"{killed_at:%Y%m%dT%H%M%S}"))
    return (killed_at - end).total_seconds()


def seconds_to_reconnect(at_work: Bench) -> float:
    """Return how long after a camera is back the first picture was captured that is recorded."""
    at_work.camera.kill()
    sources = at_work.recorder.sources.values()
    at_work.until(lambda: all(one.child is None for one in sources))
    at_work.camera.start()
    back_at = datetime.now(UTC)
    at_work.until(lambda: at_work.raw(f"{back_at:%Y%m%dT%H%M%S.%f}"))
    [path] = at_work.raw(f"{back_at:%Y%m%dT%H%M%S.%f}")
    begun = datetime.strptime(path.stem, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    at_work.until(lambda: path.stat().st_size > 20_000)
    return (begun - back_at).total_seconds()


def _cpu_s(at_work: Bench) -> float:
    total = 0
    for pid in at_work.processes():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])  # utime, stime
    return total / _TICKS


def _pss_kib(pid: int) -> int:
    """Return the memory of a process, with its share of what it shares with others."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def _bytes(at_work: Bench) -> int:
    return sum(path.stat().st_size for path in at_work.raw())


def table(result: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| cameras, 1080p25 with sound | CPU of one core, each | memory (PSS), each |"
        " Mbit/s, each |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {run['cameras']} | {run['cpu_percent']:.1f} % | {run['pss_mib']:.0f} MiB"
        f" | {run['mbit_s']:.1f} |"
        for run in result["runs"]
    ]
    lines += ["", "| | times | p50 | p99 |", "|---|---|---|---|"]
    for key, what in (
        ("lost_s", "seconds of media lost at `kill -9`"),
        ("reconnect_s", "seconds from a camera being back to the first picture recorded"),
    ):
        values = result[key]
        p99 = statistics.quantiles(values, n=100, method="inclusive")[98]
        lines.append(f"| {what} | {len(values)} | {statistics.median(values):.2f} | {p99:.2f} |")
    m = result["machine"]
    lines += [
        "",
        f"Measured on {m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB. The camera is on the"
        " same cores: asked for more than they can encode, it sends less.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
