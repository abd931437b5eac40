"""How child processes are started: none outlives us, and what decodes strangers' files has little.

Native decoders are where an attack by a file would succeed. Their processes know none of our
secrets, cannot gain rights, may not fill the memory of the machine, and where the system can do it
(`landlock`), they have no network and no files but those that they work on.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

# What programs need of our environment, and the drivers of GPUs by their prefix.
_NAMES = {
    "PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
}  # fmt: skip
_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "LIBVA_", "VDPAU_", "MESA_", "ZE_")
_LEAST_MEMORY = 8 << 30  # bytes: an encoder of AV1 with many threads reserves some

# What every program may read: programs, libraries, and what kind of machine this is.
_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/ld.so.preload",
    "/etc/localtime", "/dev/urandom", "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
    "/proc/filesystems", "/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)  # fmt: skip
_LIBRARIES = ("LD_LIBRARY_PATH", "LIBVA_DRIVERS_PATH")  # of our environment, which name others
ALWAYS_WRITABLE = ("/dev/null",)
# And the drivers of GPUs.
_OF_DRIVERS = (
    "/sys", "/etc/drirc", "/etc/libva.conf", "/etc/glvnd", "/etc/nvidia", "/etc/OpenCL",
    "/etc/vulkan",
)  # fmt: skip
_DEVICES = ("nvidia*", "dri", "kfd", "dxg", "nvhost*", "nvmap")  # in /dev

_LAUNCH = Path(__file__).with_name("launch.py")
_is_wanted = True


def confine_decoders(wanted: bool) -> None:
    """Say for the whole process whether what decodes is kept from other files and the network."""
    global _is_wanted
    _is_wanted = wanted


def is_wanted() -> bool:
    """Return whether what decodes is to be kept from other files and the network."""
    return _is_wanted


def dying_with_parent() -> list[str]:
    """Return what stands before a command whose process must not outlive the calling thread."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def confined(
    program: str,
    readable: Iterable[Path] = (),
    writable: Iterable[Path] = (),
    *,
    uses_gpu: bool = False,
) -> list[str]:
    """Return a program that decodes what strangers sent, and before it what confines it.

    Args:
        readable: the files that it may read, beside programs and libraries.
        writable: the folders that it may also write to.
        uses_gpu: its driver maps more memory than there is, so that no limit makes sense, and needs
            devices.
    """
    if sys.platform != "linux":
        return [program]
    options = ["--parent", str(os.getpid())]
    if not uses_gpu:
        options += ["--memory", str(most_memory())]
    if _is_wanted:
        options += ["--confine", "local" if uses_gpu else "none"]
        drivers = (*_OF_DRIVERS, *_machine_facts()) if uses_gpu else ()
        for path in (*always_readable(), *drivers, *_parts_of(program), *readable):
            options += ["--read", str(path)]
        devices = [path for name in _DEVICES if uses_gpu for path in Path("/dev").glob(name)]
        for path in (*ALWAYS_WRITABLE, *devices, *writable):
            options += ["--write", str(path)]
    return [sys.executable, "-I", "-S", str(_LAUNCH), *options, "--", program]


def always_readable() -> tuple[str, ...]:
    """Return what whoever decodes may read: programs, libraries, and nothing that is secret."""
    named = [os.environ.get(name, "") for name in _LIBRARIES]
    return (*_SYSTEM, *_packages(), *filter(os.path.isabs, ":".join(named).split(":")))


@cache
def _packages() -> tuple[str, ...]:
    """Return the folders of Python's modules and packages, one of which carries ffmpeg."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple(dict.fromkeys(sysconfig.get_path(name) for name in names))


def _machine_facts() -> list[Path]:
    """Return what is in /proc, but for other processes, whose environment is secret, and memory."""
    names = Path("/proc").iterdir()
    return [path for path in names if not path.name.isdigit() and path.name != "kcore"]


def _parts_of(program: str) -> list[Path]:
    """Return a program's file, and where its libraries are if it has a folder for itself."""
    path = Path(program)
    beside = ("lib", "lib32", "lib64") if path.parent.name == "bin" else ()
    return [path, *(path.parent.parent / name for name in beside)]


# What onnxruntime notes about its use is nobody's business; without this it looks for a place.
_SILENT = {"ORT_DISABLE_TELEMETRY": "1"}


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment of such a command: without what is ours, and with something more."""
    return {**_passed_on(os.environ), **_SILENT, **more}


def _passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if name in _NAMES or name.startswith(_PREFIXES)
    }


@cache
def most_memory() -> int:
    """Return how many bytes of address space one process may have: as much as the machine has."""
    try:
        return max(_LEAST_MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError):
        return _LEAST_MEMORY
