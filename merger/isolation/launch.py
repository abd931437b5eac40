"""A program that becomes another one, with little left: see `confinement`, which starts it.

    python -I -S launch.py [OPTION VALUE ...] -- PROGRAM [ARGUMENT ...]

--parent PID        ends together with the thread of that process that started it
--memory BYTES      of address space, at most
--confine SOCKETS   no files but those of the next two, and sockets: none, or local
--read PATH         a file, or a folder with all that is in it
--write PATH        what can also be written

It keeps its process ID, so whoever started it sees how the program ends. Every start of ffmpeg pays
for what is imported here.
"""

from __future__ import annotations

import os
import sys

_CANNOT_RUN, _NOT_FOUND = 126, 127  # as shells say it


def main(arguments: list[str]) -> int:
    """Become the program; return an exit code where that cannot be."""
    end = arguments.index("--")
    options = list(zip(arguments[:end:2], arguments[1:end:2], strict=True))
    command = arguments[end + 1 :]
    try:
        _prepare(options)
        os.execv(command[0], command)
    except OSError as error:
        print(f"launch: {command[0]}: {error.strerror}", file=sys.stderr)
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_RUN


def _prepare(options: list[tuple[str, str]]) -> None:
    sys.path.append(__file__.rsplit("/", 3)[0])  # -I and -S leave Python its own modules alone
    from merger.isolation import landlock

    single = dict(options)
    if parent := single.get("--parent"):
        landlock.die_with_parent(int(parent))
    if memory := single.get("--memory"):
        _limit_memory(int(memory))
    landlock.renounce_privileges()
    if sockets := single.get("--confine"):
        landlock.restrict(
            [value for option, value in options if option == "--read"],
            [value for option, value in options if option == "--write"],
            local_sockets=sockets == "local",
        )
    landlock.restore_signals()


def _limit_memory(most: int) -> None:
    import resource

    _, most_allowed = resource.getrlimit(resource.RLIMIT_AS)
    if most_allowed != resource.RLIM_INFINITY:
        most = min(most, most_allowed)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
