"""The process of a reader: calls what it is asked to, and answers, until nobody asks any more."""

from __future__ import annotations

import ctypes
import importlib
import io
import os
import pickle
import queue
import resource
import threading
from contextlib import suppress
from typing import Any, BinaryIO

from merger.isolation import wire
from merger.isolation.confinement import most_memory
from merger.isolation.reader import LENGTH, failure_of

_PR_SET_NO_NEW_PRIVS = 38  # <linux/prctl.h>
_IDLE_S = 60.0  # a daemon reads a header now and then: meanwhile nothing is kept for it
# Of a processor, for one request: what takes longer is a file that never ends.
_MOST_CPU_S = 3600


def main() -> None:
    # What libraries print must not stand among the answers.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (most_memory(), most_memory()))
    _renounce_privileges()
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, waiting), daemon=True).start()
    while True:
        try:
            request = waiting.get(timeout=_IDLE_S)
        except queue.Empty:
            return
        _limit_cpu()
        answer = _answer(request)
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


def _renounce_privileges() -> None:
    """Give up the ways to gain rights, such as setuid programs, where the system knows how."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _listen(requests: BinaryIO, waiting: queue.SimpleQueue[bytes]) -> None:
    """Take requests; end the process, whatever it does, once nobody is there to ask."""
    while len(head := requests.read(LENGTH.size)) == LENGTH.size:
        waiting.put(requests.read(LENGTH.unpack(head)[0]))
    os._exit(0)


def _limit_cpu() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + _MOST_CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def _answer(request: bytes) -> bytes:
    try:
        # Nobody but the process that started us holds the other end of this pipe.
        module, name, args, kwargs = pickle.load(io.BytesIO(request))
        function: Any = importlib.import_module(module)
        for part in name.split("."):
            function = getattr(function, part)
        return wire.encode((None, function(*args, **kwargs)))
    except Exception as error:  # whatever it is: it is about this file
        return wire.encode((failure_of(error), None))


if __name__ == "__main__":
    main()
