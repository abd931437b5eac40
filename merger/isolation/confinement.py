"""How child processes are started: none outlives us, and what decodes strangers' files has little.

Native decoders are where an attack by a file would succeed. Their processes know none of our
secrets, cannot gain rights, and may not fill the memory of the machine.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from functools import cache

# What programs need of our environment, and the drivers of GPUs by their prefix.
_NAMES = {
    "PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
}  # fmt: skip
_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "LIBVA_", "VDPAU_", "MESA_", "ZE_")
_LEAST_MEMORY = 8 << 30  # bytes: an encoder of AV1 with many threads reserves some


def dying_with_parent() -> list[str]:
    """Return what stands before a command whose process must not outlive the calling thread."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def confined(*, uses_gpu: bool = False) -> list[str]:
    """Return what stands before a command that decodes what strangers sent.

    Args:
        uses_gpu: its driver maps more memory than there is, so that no limit makes sense.
    """
    setpriv, prlimit = shutil.which("setpriv"), shutil.which("prlimit")
    limit = [prlimit, f"--as={most_memory()}"] if prlimit and not uses_gpu else []
    return [*limit, *([setpriv, "--no-new-privs", "--pdeathsig", "KILL"] if setpriv else [])]


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment of such a command: without what is ours, and with something more."""
    return {**_passed_on(os.environ), **more}


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
