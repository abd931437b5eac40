"""Landlock and seccomp, by their system calls: a process gives up files and the network, for good.

`launch` pays for what is imported here before every start of a program: so it is next to nothing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys

TYPE_CHECKING = False  # the module typing would cost as much again as all that `launch` imports
if TYPE_CHECKING:
    from collections.abc import Iterable

    Paths = Iterable[str | os.PathLike[str]]

_libc = ctypes.CDLL(None, use_errno=True)

# By machine: its name for filters (<linux/audit.h>), and the numbers of socket and truncate.
_MACHINES = {"x86_64": (0xC000003E, 41, 76), "aarch64": (0xC00000B7, 198, 45)}
_IO_URING_SETUP, _CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 425, 444, 445, 446

# <linux/prctl.h>
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25  # the module signal is one more to import

# <linux/landlock.h>
_ASK_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _WRITE, _READ, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_FOLDER, _MAKE_FILE = 1 << 5, 1 << 7, 1 << 8
_TRUNCATE, _CONTROL_DEVICE = 1 << 14, 1 << 15
_READABLE = _EXECUTE | _READ | _READ_FOLDER
# No links, pipes, sockets or devices are made, and nothing moves to another folder.
_WRITABLE = (
    _READ | _READ_FOLDER | _WRITE | _TRUNCATE | _MAKE_FILE | _MAKE_FOLDER | _REMOVE_FILE
    | _CONTROL_DEVICE
)  # fmt: skip
_OF_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _CONTROL_DEVICE  # all that one can be given
_RIGHTS = (0, 13, 14, 15, 15)  # how many there are, by version; in later ones 16
_TCP = 0b11  # to bind and to connect, from version 4 on
_SCOPES = 0b11  # abstract sockets and signals, from version 6 on

# <linux/seccomp.h>, <linux/filter.h>: a filter is shown the number, the machine and the arguments
# of a call.
_SECCOMP_MODE_FILTER = 2
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_X32 = 0x40000000  # x86_64 takes each call by a second number, too
_AF_UNIX = 1


def abi() -> int:
    """Return the version of Landlock that the system has; 0 where there is none."""
    if _machine() is None:
        return 0
    try:
        return _call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def renounce_privileges() -> None:
    """Give up the ways to gain rights, such as setuid programs. Raises OSError."""
    _control(_PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent(parent: int) -> None:
    """Have this process be killed once the thread that started it ends. Raises OSError.

    Args:
        parent: the process of that thread, which may have ended by now.
    """
    _control(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def restore_signals() -> None:
    """Have the signals that Python ignores do what they do to other programs."""
    _libc.signal(_SIGPIPE, None)
    _libc.signal(_SIGXFSZ, None)


def restrict(readable: Paths, writable: Paths, *, local_sockets: bool = False) -> None:
    """Leave this thread, and what it starts, some files and no network, as far as the system can.

    Links are followed now: what they lead to is allowed. What cannot be opened is left out, and
    whoever opens it later is told why.

    Args:
        readable: files, and folders with all that is in them; programs among it can be run.
        writable: what can also be written; in folders, files can be made and removed.
        local_sockets: sockets within this machine are allowed, which drivers may need.

    Raises:
        OSError: the system knows how, and refuses.
    """
    machine = _machine()
    if machine is None:
        return
    renounce_privileges()
    if version := abi():
        _restrict_files(version, readable, writable)
    _refuse_calls(*machine, local_sockets=local_sockets)


def _restrict_files(version: int, readable: Paths, writable: Paths) -> None:
    rights = (1 << (_RIGHTS[version] if version < len(_RIGHTS) else 16)) - 1
    rules = _new_ruleset(rights, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    try:
        for path in readable:
            _allow(rules, path, _READABLE & rights)
        for path in writable:
            _allow(rules, path, _WRITABLE & rights)
        _call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)


def _new_ruleset(rights: int, network: int, scopes: int) -> int:
    for scoped in (scopes, 0):  # kernels of Red Hat call themselves version 6, and know no scopes
        handled = struct.pack("=QQQ", rights, network, scoped)
        try:
            return _call(_CREATE_RULESET, handled, len(handled), 0)
        except OSError as error:
            if error.errno != errno.EINVAL or not scoped:
                raise
    raise AssertionError("the second try returns or raises")


def _allow(rules: int, path: str | os.PathLike[str], rights: int) -> None:
    try:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(file).st_mode):
            rights &= _OF_FILES
        _call(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, file), 0)
    finally:
        os.close(file)


def _refuse_calls(named: int, socket: int, truncate: int, *, local_sockets: bool) -> None:
    """Refuse sockets, of which Landlock knows TCP's alone, and what goes around its rules.

    io_uring opens sockets past filters; before version 3 of Landlock, truncate empties any file.
    """
    onward, allow, refuse = range(3)
    steps = [
        (_LOAD, _MACHINE, onward, onward),
        (_IF_EQUAL, named, onward, refuse),  # for another machine, calls have other numbers
        (_LOAD, _NUMBER, onward, onward),
        (_IF_AT_LEAST, _X32, refuse, onward),
        (_IF_EQUAL, _IO_URING_SETUP, refuse, onward),
        (_IF_EQUAL, truncate, refuse, onward),
    ]
    if local_sockets:
        steps += [
            (_IF_EQUAL, socket, onward, allow),
            (_LOAD, _FIRST_ARGUMENT, onward, onward),
            (_IF_EQUAL, _AF_UNIX, allow, refuse),
        ]
    else:
        steps.append((_IF_EQUAL, socket, refuse, allow))
    program = b""
    for n, (code, value, *targets) in enumerate(steps):
        # How many steps are left out: those that decide stand behind all others.
        skips = [0 if target == onward else len(steps) - n - 2 + target for target in targets]
        program += struct.pack("=HBBI", code, *skips, value)
    for answer in (_ALLOW, _REFUSE):
        program += struct.pack("=HBBI", _RETURN, 0, 0, answer)
    kept = ctypes.create_string_buffer(program)
    told = struct.pack("@HP", len(program) // 8, ctypes.addressof(kept))
    _control(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, told)


def _machine() -> tuple[int, int, int] | None:
    """Return what filters need to know of this machine; None where its numbers are not known."""
    if sys.platform != "linux" or sys.maxsize < 1 << 32:
        return None
    return _MACHINES.get(os.uname().machine)


def _control(option: int, value: int, more: bytes | None = None) -> None:
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    numbers = (ctypes.c_ulong(value), more, ctypes.c_ulong(0), ctypes.c_ulong(0))
    if _libc.prctl(option, *numbers) != 0:
        raise _last_error()


def _call(number: int, *values: int | bytes | None) -> int:
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in values]
    answer: int = _libc.syscall(ctypes.c_long(number), *words)
    if answer < 0:
        raise _last_error()
    return answer


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
