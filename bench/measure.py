"""Runs a command and measures it from outside, with all its descendants."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY_S = 0.1
_PAGE = os.sysconf("SC_PAGE_SIZE")
_KERNEL_BLOCK = 512  # what ru_oublock counts in


@dataclass(frozen=True)
class Measurement:
    """What one run of a command took.

    peak_rss_bytes: the largest sum of the resident memory of all processes of the tree, seen ten
    times a second (pages that they share count once for each). written_bytes: what the tree sent to
    storage, as the kernel counts it for the process and every descendant that was waited for.
    others_cpu_s: what everything else on the machine computed meanwhile.
    """

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    written_bytes: int
    others_cpu_s: float

    def document(self) -> dict[str, float]:
        return {k: round(v, 3) for k, v in dataclasses.asdict(self).items()}


def measure(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Measurement:
    """Run a command in a folder until it ends; its output goes to `stdout` and `stderr` there.

    Raises RuntimeError where it fails.
    """
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        begun, busy_s = time.monotonic(), _machine_cpu_s()
        child = subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        peak = _Peak(child.pid)
        try:
            with peak:
                _, status, used = os.wait4(child.pid, 0)
                wall_s, busy_s = time.monotonic() - begun, _machine_cpu_s() - busy_s
        except BaseException:
            child.terminate()
            child.wait()
            raise
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        said = (folder / "stderr").read_text(errors="replace")
        raise RuntimeError(f"{' '.join(command)}\nended with {child.returncode}:\n{said[-2000:]}")
    cpu_s = used.ru_utime + used.ru_stime
    return Measurement(
        wall_s,
        cpu_s,
        # A peak between two looks is at least that of the largest single process.
        max(peak.bytes, used.ru_maxrss * 1024),
        used.ru_oublock * _KERNEL_BLOCK,
        max(0.0, busy_s - cpu_s),
    )


def _machine_cpu_s() -> float:
    """Return the seconds that all processors were busy, or taken away by a hypervisor."""
    with open("/proc/stat", "rb") as file:
        user, nice, system, _, _, *rest = map(int, file.readline().split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


class _Peak:
    """Watches the memory of a process tree in a thread."""

    def __init__(self, root: int) -> None:
        self.bytes = 0
        self._root = root
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self.bytes = max(self.bytes, tree_rss_bytes(self._root))


def tree_rss_bytes(root: int) -> int:
    """Return the resident memory of a process and all its descendants, together."""
    pages: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"{entry.path}/stat", "rb") as file:
                # The name, in parentheses, may hold anything; after it the fields are numbers.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it has just ended
        pid = int(entry.name)
        children.setdefault(int(fields[1]), []).append(pid)  # field 4 of proc(5): ppid
        pages[pid] = int(fields[21])  # field 24: rss
    total, rest = 0, [root]
    while rest:
        pid = rest.pop()
        total += pages.get(pid, 0)
        rest += children.get(pid, [])
    return total * _PAGE
