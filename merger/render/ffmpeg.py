"""ffmpeg as a child process: finding it, what it can do, running it, and what it complained about.

ffmpeg's exit code is not evidence of anything; `Outcome` says what was seen, and whoever reads the
output file decides.
"""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

from merger.errors import Broken, Cancelled, Temporary
from merger.i18n import Message
from merger.isolation.confinement import clean_environment, confined, is_wanted
from merger.timeline.profiles import Encoder, Profile, candidates

_TAIL_LINES = 30  # of ffmpeg's output, kept for error messages
_STOP_AFTER_S = 3.0  # between TERM, TERM and KILL
_POLL_S = 0.25
_STALLS_AFTER_S = 3600.0  # without any progress; the slowest second try takes minutes
_MOST_COMPLAINTS = 1000


@dataclass(frozen=True)
class Tool:
    """An ffmpeg program."""

    path: str
    version: str


@dataclass
class Outcome:
    """What a run of ffmpeg showed."""

    code: int = 0
    decoded: dict[int, int] = field(default_factory=dict)  # pictures by number of input
    complaints: list[str] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)  # filters
    reconfigured: bool = False  # a graph was begun anew in the middle, and lost its place
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))

    @property
    def disk_full(self) -> bool:
        return any("No space left on device" in line for line in (*self.complaints, *self.tail))

    def last_words(self) -> str:
        """Return the lines of ffmpeg that most likely say what went wrong."""
        lines = self.complaints or [line for line in self.tail if line.strip()]
        return " | ".join(line[:300] for line in lines[-3:]) or f"exit code {self.code}"


def find_tool(configured: str | None) -> Tool:
    """Return the ffmpeg to use: the configured one, else the one that a package carries.

    Raises Broken where there is none or it does not run.
    """
    path = configured or _bundled_path()
    if os.sep not in path:
        path = shutil.which(path) or path
    try:
        command = [path, "-hide_banner", "-version"]
        output = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Broken("ffmpeg", "render.ffmpeg_fails", path=path, why=str(error)) from error
    match = re.match(r"ffmpeg version (\S+)", output)
    if not match:
        raise Broken("ffmpeg", "render.not_ffmpeg", path=path)
    return Tool(str(Path(path).resolve()), match[1])


def _bundled_path() -> str:
    import imageio_ffmpeg  # late: its import looks for a program, which MERGER_FFMPEG spares

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise Broken("ffmpeg", "render.no_ffmpeg") from error


@cache
def why_refused(tool: Tool, encoder: Encoder) -> str | None:
    """Return why an encoder does not work here, found out by encoding one frame; None if it does.

    The list of encoders is no evidence: it names NVENC on machines without any GPU.
    """
    device = {"cuda": "cuda=gpu", "vaapi": "vaapi=gpu", None: None}[encoder.hardware]
    upload = {"cuda": ",hwupload_cuda", "vaapi": ",format=nv12,hwupload", None: ""}[
        encoder.hardware
    ]
    options = [str(v) for k, value in encoder.options for v in (f"-{k}", value)]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "-hide_banner", "-nostdin",
            *(["-init_hw_device", device, "-filter_hw_device", "gpu"] if device else []),
            "-f", "lavfi", "-i", "color=size=320x240:rate=25",
            "-vf", f"format=yuv420p{upload}", "-frames:v", "1",
            "-c:v", encoder.name, *options, "-f", "matroska", "frame.mkv",
        ]  # fmt: skip
        outcome = run(tool, command, Path(folder))
        if outcome.code == 0 and (Path(folder) / "frame.mkv").stat().st_size > 0:
            return None
    return outcome.last_words()


def choose_encoder(tool: Tool, profile: Profile, choice: str) -> tuple[Encoder, list[Message]]:
    """Return the first encoder of a profile that works here, and what the owner should know.

    Args:
        choice: MERGER_ENCODER.
    """
    preferred = {"nvenc": "h264_nvenc", "vaapi": "h264_vaapi"}.get(choice)
    notes: list[Message] = []
    for encoder in candidates(profile):
        if encoder.hardware and choice == "software":
            continue
        if encoder.hardware and preferred and encoder.name != preferred:
            continue
        reason = why_refused(tool, encoder)
        if reason is None:
            return encoder, notes
        if encoder.hardware and (preferred or profile.name == "auto"):
            notes.append(Message("render.in_software", encoder=encoder.name, why=reason))
        elif not encoder.hardware:
            raise Broken(
                "encoder", "render.no_encoder", path=tool.path, encoder=encoder.name, why=reason
            )
    raise AssertionError("every profile has a software encoder")


def input_files(arguments: Sequence[str]) -> list[tuple[str, int | None]]:
    """Return the files that a command reads, in order, each with its seek time in microseconds."""
    files: list[tuple[str, int | None]] = []
    seek: int | None = None
    for option, value in pairwise(arguments):
        if option == "-ss":
            seek = int(value.removesuffix("us"))
        elif option == "-i":
            files.append((value, seek))
            seek = None
    return files


def run(
    tool: Tool,
    arguments: Sequence[str],
    folder: Path,
    *,
    reads: Sequence[Path] = (),
    writes: Sequence[Path] = (),
    on_progress: Callable[[dict[str, str]], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run ffmpeg in a folder until it ends, and return what it showed.

    Other files than its inputs and those in the folder do not exist for it, nor does the network.

    The calling thread waits, which also keeps the child's parent-death signal from firing early (it
    fires when the *thread* that started the child ends).

    Args:
        reads: files that its inputs name.
        writes: other folders with outputs.
        on_progress: gets ffmpeg's own progress values about twice a second.

    Raises:
        Cancelled: `cancelled` says so.
        Broken: the program cannot be started.
    """
    inputs = [folder / file for file, _ in input_files(arguments)]
    uses_gpu = "-init_hw_device" in arguments
    command = [
        *confined(tool.path, [*inputs, *reads], [folder, *writes], uses_gpu=uses_gpu),
        "-loglevel", "level+verbose", "-nostats", "-progress", "pipe:1", *arguments,
    ]  # fmt: skip
    # What CUDA compiles it keeps at home otherwise, where it may not write.
    more = {"CUDA_CACHE_PATH": str(folder / "cuda")} if uses_gpu and is_wanted() else {}
    outcome = Outcome()
    with _child(command, folder, more) as child:
        _listen(child, outcome, on_progress, cancelled)
        outcome.code = child.wait()
    return outcome


@contextmanager
def _child(
    command: list[str], folder: Path, more: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    try:
        child = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(AV_LOG_FORCE_NOCOLOR="1", **more),
            process_group=0,  # Ctrl-C is ours to handle
        )
    except OSError as error:
        raise Broken("ffmpeg", "render.cannot_start", path=command[0], why=str(error)) from error
    with child:
        try:
            yield child
        finally:
            stop_process(child)


def stop_process(child: subprocess.Popen[bytes]) -> None:
    """Stop a child: TERM, TERM, KILL. ffmpeg ends its output tidily at the first."""
    for sent in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        child.send_signal(sent)
        try:
            child.wait(_STOP_AFTER_S)
        except subprocess.TimeoutExpired:
            continue


def _listen(
    child: subprocess.Popen[bytes],
    outcome: Outcome,
    on_progress: Callable[[dict[str, str]], None] | None,
    cancelled: Callable[[], bool],
) -> None:
    assert child.stdout is not None and child.stderr is not None
    progress: dict[str, str] = {}
    errors = child.stderr.fileno()
    rest = {child.stdout.fileno(): b"", errors: b""}
    last_reached: tuple[str | None, str | None] = (None, None)
    progressed_s = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for pipe in (child.stdout, child.stderr):
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            if cancelled():
                raise Cancelled("cancelled", "render.stopped")
            if time.monotonic() - progressed_s > _STALLS_AFTER_S:
                raise Temporary("encoder_stalled", "render.stalled")
            for key, _ in selector.select(_POLL_S):
                read = os.read(key.fd, 65536)
                if not read:
                    selector.unregister(key.fileobj)
                lines = (rest[key.fd] + read).split(b"\n")
                rest[key.fd] = lines.pop()
                for line in lines:
                    text = line.decode("utf-8", "replace").rstrip("\r")
                    if key.fd == errors:
                        _parse_line(text, outcome)
                        continue
                    name, _, value = text.partition("=")
                    progress[name.strip()] = value.strip()
                    if name != "progress":
                        continue
                    # It reports twice a second, also when it waits for a share that hangs.
                    reached = (progress.get("frame"), progress.get("out_time_us"))
                    if reached != last_reached:
                        last_reached, progressed_s = reached, time.monotonic()
                    if on_progress:
                        on_progress(progress)


_DECODED = re.compile(r"Input stream #(\d+):\d+ \(video\): .* (\d+) frames decoded")
_BEGINS = re.compile(r"\[(Parsed_(?:aresample|fps)_\d+) @ \w+\] \[verbose\] (?:ch:|fps=)")
# Said of any open group of pictures that is begun with after a seek; nothing is wrong then.
_HARMLESS = ("mmco: unref short failure",)


def _parse_line(line: str, outcome: Outcome) -> None:
    outcome.tail.append(line)
    if match := _DECODED.search(line):
        outcome.decoded[int(match[1])] = int(match[2])
        return
    if match := _BEGINS.match(line):
        # FFmpeg 5.1 does not say that it begins a graph anew, but its filters do it twice then.
        outcome.reconfigured |= match[1] in outcome.begun
        outcome.begun.add(match[1])
    complains = "[error]" in line or "[fatal]" in line or "corrupt decoded frame" in line
    harmless = any(text in line for text in _HARMLESS)
    if complains and not harmless and len(outcome.complaints) < _MOST_COMPLAINTS:
        outcome.complaints.append(re.sub(r" @ 0x[0-9a-f]+", "", line))
