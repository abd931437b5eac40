"""Reading what strangers wrote, in processes of their own.

Demuxers and decoders are native code: some files end the process that reads them. So they are read
in forks of a child, which is kept for the next file. Whatever goes wrong there is about that file.
"""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from merger.errors import Broken, MergerError, Temporary
from merger.i18n import Message
from merger.isolation import wire
from merger.isolation.confinement import clean_environment, is_wanted

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

LENGTH = struct.Struct(">Q")  # in front of each request and each answer
_ROOT = Path(__file__).parents[2]
_ENDS_WITHIN_S = 5.0


class Unreadable(Exception):
    """A file that holds no media that we can read; the message says why."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return str(self.message)


@dataclass(frozen=True)
class Failure:
    """What a function raised in a reader. kind: a class of _KINDS."""

    kind: str
    code: str
    message: Message | None = None
    errno: int | None = None
    path: str | None = None


@dataclass(frozen=True)
class Request:
    """What a reader is asked to call. files: to read, and folders to write to; None: all."""

    module: str
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    files: tuple[list[str], list[str]] | None


def call(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function of a module in a reader, and return what it returns.

    It can read the files among its arguments: paths, and what has a path.

    Args:
        function: whose arguments can be pickled, and whose type of result `wire` knows.

    Raises:
        Unreadable: the file is not media, the reader died of it, or failed as nobody foresaw.
        Temporary, Broken, OSError: as the function does.
    """
    return _call(None, function, args, kwargs)


def call_writing(folder: Path, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that also writes to a folder; else as `call`."""
    return _call(folder, function, args, kwargs)


def _call(
    folder: Path | None, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> T:
    files = (_paths_in([*args, *kwargs.values()]), [str(folder)] if folder else [])
    name = (function.__module__, function.__qualname__)
    request = pickle.dumps(Request(*name, args, kwargs, files if is_wanted() else None))
    for is_last in (False, True):
        with _reader() as reader:
            answer = reader.answer_to(request)
        if answer is not None:
            break
        # One reader may have been killed by the system; two are no chance.
        log.warning("a reader ended in %s (%s)", function.__name__, reader.ending)
        if is_last:
            raise Unreadable(Message("media.reader_died", how=reader.ending))
    assert answer is not None
    try:
        failure, result = wire.decode(answer, tuple[Failure | None, _returns(function) | None])  # type: ignore[misc]
    except ValueError as error:
        raise Unreadable(Message("media.reader_failed", why=str(error))) from error
    if failure is not None:
        raise _exception(failure)
    return typing.cast(T, result)


def _paths_in(values: Iterable[Any]) -> list[str]:
    """Return the paths among values, in lists, and of what has one."""
    paths: list[str] = []
    for value in values:
        path = getattr(value, "path", value)
        if isinstance(path, Path):
            paths.append(str(path))
        elif isinstance(value, list | tuple):
            paths += _paths_in(value)
    return paths


@cache
def _returns(function: Callable[..., Any]) -> Any:
    return typing.get_type_hints(function)["return"]


# --- failures -------------------------------------------------------------------------------------


def failure_of(error: BaseException) -> Failure:
    """Return what a function raised, in a form that travels."""
    if isinstance(error, Unreadable):
        return Failure("unreadable", "", error.message)
    if isinstance(error, MergerError):
        kind = "temporary" if isinstance(error, Temporary) else "broken"
        return Failure(kind, error.code, error.message)
    if type(error).__module__ == "builtins" and isinstance(error, OSError) and error.errno:
        path = str(error.filename) if error.filename else None
        return Failure("os", error.strerror or "", None, error.errno, path)
    return Failure("unexpected", f"{type(error).__name__}: {error}")


def _exception(failure: Failure) -> Exception:
    message = failure.message or Message("media.reader_failed", why=failure.code)
    if failure.kind == "os":
        return OSError(failure.errno, failure.code, failure.path)
    if failure.kind == "temporary":
        return Temporary(failure.code, message)
    if failure.kind == "broken":
        return Broken(failure.code, message)
    return Unreadable(message)


# --- processes ------------------------------------------------------------------------------------


class _Reader:
    """A child that answers one request after another."""

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "merger.isolation.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=clean_environment(PYTHONPATH=str(_ROOT), OPENBLAS_NUM_THREADS="1"),
                process_group=0,  # Ctrl-C is ours to handle
            )
        except OSError as error:
            raise Temporary("reader", "media.reader_not_started", why=str(error)) from error

    @property
    def is_there(self) -> bool:
        return self._process.poll() is None

    @property
    def ending(self) -> str:
        """How the process ended, in a word or two."""
        code = self._process.wait()
        if code >= 0:
            return f"exit {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def answer_to(self, request: bytes) -> bytes | None:
        """Return the answer to a request; None from a process that has ended."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        with suppress(BrokenPipeError):
            stdin.write(LENGTH.pack(len(request)) + request)
            stdin.flush()
            head = stdout.read(LENGTH.size)
            if len(head) == LENGTH.size:
                answer = stdout.read(LENGTH.unpack(head)[0])
                if len(answer) == LENGTH.unpack(head)[0]:
                    return answer
        self.end()
        return None

    def end(self) -> None:
        """End the process: it does so by itself where nobody asks any more."""
        with suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


_idle: list[_Reader] = []
_lock = threading.Lock()


@contextmanager
def _reader() -> Iterator[_Reader]:
    """Lend a reader that nobody else uses; each thread that reads at the same time has its own."""
    with _lock:
        reader = _idle.pop() if _idle else None
    if reader is not None and not reader.is_there:
        reader.end()
        reader = None
    reader = reader or _Reader()
    try:
        yield reader
    except BaseException:
        reader.end()  # its answer would be taken for that to the next request
        raise
    if reader.is_there:
        with _lock:
            _idle.append(reader)


def end_all() -> None:
    """End the readers that nobody uses."""
    with _lock:
        readers, _idle[:] = list(_idle), []
    for reader in readers:
        reader.end()


atexit.register(end_all)
os.register_at_fork(after_in_child=_idle.clear)
