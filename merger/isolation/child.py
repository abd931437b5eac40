"""The process of a reader: forks for each request, and hands on what the fork answers.

A fork restricts itself to the files of its request before it opens any, and ends with its answer:
what a file has done to it is not there when the next one is read. This process never opens one.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import resource
import select
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

from merger.errors import Broken, Temporary
from merger.isolation import landlock, wire
from merger.isolation.confinement import ALWAYS_WRITABLE, always_readable, most_memory
from merger.isolation.reader import LENGTH, Request, failure_of

_IDLE_S = 60.0  # a daemon reads a header now and then: meanwhile nothing is kept for it
# Of a processor, for one request: what takes longer is a file that never ends.
_MOST_CPU_S = 3600
_CHUNK = 1 << 20
_MERGER = str(Path(__file__).parents[1])  # texts, and what is imported late


@dataclass(frozen=True)
class _Pipes:
    """Where requests come from, and where answers go."""

    requests: int
    answers: int


def main() -> None:
    # What libraries print must not stand among the answers.
    pipes = _Pipes(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (most_memory(), most_memory()))
    with suppress(OSError):
        landlock.renounce_privileges()
    with suppress(BrokenPipeError):  # nobody waits for the answer any more
        while (data := _next_request(pipes.requests)) is not None:
            answer = _answer_to(data, pipes)
            _write(pipes.answers, LENGTH.pack(len(answer)) + answer)


def _next_request(pipe: int) -> bytes | None:
    """Return what is asked next; None once nobody asks any more."""
    if not select.select([pipe], [], [], _IDLE_S)[0]:
        return None
    head = _read(pipe, LENGTH.size)
    return None if head is None else _read(pipe, LENGTH.unpack(head)[0])


def _answer_to(data: bytes, pipes: _Pipes) -> bytes:
    try:
        # Nobody but the process that started us holds the other end of this pipe.
        request: Request = pickle.loads(data)
        function = _function(request)
    except Exception as error:  # nothing has been opened yet: it is about the program
        return _failure(error)
    # What all that was imported consists of is not looked through for garbage, nor copied for it.
    gc.freeze()
    return _answer_of_fork(request, function, pipes)


def _function(request: Request) -> Callable[..., Any]:
    """Import a function, and make ready what its module keeps for all files (`prepare`)."""
    module = importlib.import_module(request.module)
    if prepare := getattr(module, "prepare", None):
        prepare()
    function: Any = module
    for part in request.name.split("."):
        function = getattr(function, part)
    return cast(Callable[..., Any], function)


def _failure(error: Exception) -> bytes:
    return wire.encode((failure_of(error), None))


# --- forks ----------------------------------------------------------------------------------------


def _answer_of_fork(request: Request, function: Callable[..., Any], pipes: _Pipes) -> bytes:
    """Have a fork answer. Where it dies, or nobody waits any more, this process ends, too."""
    us = os.getpid()
    reading, writing = os.pipe()
    try:
        fork = os.fork()
    except OSError as error:
        os.close(reading)
        os.close(writing)
        return _failure(Temporary("reader", "media.reader_not_started", why=str(error)))
    if fork == 0:
        try:
            for pipe in (reading, pipes.requests, pipes.answers):
                os.close(pipe)
            with suppress(OSError):
                landlock.die_with_parent(us)
            _write(writing, _answer(request, function))
        finally:
            os._exit(0)
    os.close(writing)
    answer = _read_until_end(reading, pipes.requests)
    os.close(reading)
    if answer is None:
        os.kill(fork, signal.SIGKILL)
        os._exit(0)
    _, status = os.waitpid(fork, 0)
    if status or not answer:
        _end_as(os.waitstatus_to_exitcode(status))
    return answer


def _answer(request: Request, function: Callable[..., Any]) -> bytes:
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_S, resource.RLIM_INFINITY))
    try:
        if request.files is not None:
            _restrict(*request.files)
        return wire.encode((None, function(*request.args, **request.kwargs)))
    except Exception as error:  # whatever it is: it is about this file
        return _failure(error)


def _restrict(readable: Sequence[str], writable: Sequence[str]) -> None:
    try:
        landlock.restrict((*always_readable(), _MERGER, *readable), (*ALWAYS_WRITABLE, *writable))
    except OSError as error:
        raise Broken("reader", "media.reader_not_confined", why=str(error)) from error


def _read_until_end(pipe: int, requests: int) -> bytes | None:
    """Return all that a fork writes; None once nobody is there who has asked."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    poll.register(requests, 0)  # that the other end is closed is always told
    data = bytearray()
    while True:
        if requests in dict(poll.poll()):
            return None
        part = os.read(pipe, _CHUNK)
        if not part:
            return bytes(data)
        data += part


def _end_as(code: int) -> NoReturn:
    """End as a fork has ended: whoever has asked sees a reader die of the file."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # that of the fork is enough
        with suppress(OSError):  # of some signals nothing can be changed
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


# --- pipes ----------------------------------------------------------------------------------------


def _read(pipe: int, length: int) -> bytes | None:
    """Return so many bytes; None where the other end is closed before."""
    data = bytearray()
    while len(data) < length:
        part = os.read(pipe, min(_CHUNK, length - len(data)))
        if not part:
            return None
        data += part
    return bytes(data)


def _write(pipe: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(pipe, rest) :]


if __name__ == "__main__":
    main()
