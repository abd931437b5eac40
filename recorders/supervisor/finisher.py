"""Has closed raw files made into complete recordings, by a process of its own."""

from __future__ import annotations

import logging
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from merger.errors import Temporary
from recorders.supervisor.processes import start_module

log = logging.getLogger(__name__)

_RETRY_AFTER_S = 20.0  # somebody makes room meanwhile


@dataclass
class Finisher:
    """Finishes folders, one at a time."""

    _folders: dict[Path, float] = field(default_factory=dict)  # not before, by `time.monotonic`
    _folder: Path | None = None
    _process: subprocess.Popen[bytes] | None = None

    def add(self, folder: Path) -> None:
        """Have a folder finished; once more if it is being finished now."""
        self._folders.setdefault(folder, 0.0)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to be done, or nothing that can be done just now."""
        return self._next_folder() is None and self._process is None

    def _next_folder(self) -> Path | None:
        now_s = time.monotonic()
        return next((folder for folder, at_s in self._folders.items() if at_s <= now_s), None)

    def go_on(self) -> None:
        """Begin with the next folder, where the last one is done."""
        if self._process is not None:
            if self._process.poll() is None:
                return
            _, errors = self._process.communicate()
            if self._process.returncode != 0:
                why = errors.decode("utf-8", "replace")[-500:].strip()
                log.error("recordings are not finished yet: %s", why)
                self._retry_later()
            self._process = None
        folder = self._next_folder()
        if folder is not None:
            self._folder = folder
            del self._folders[folder]
            try:
                self._process = start_module("recorders.rtsp.finish", str(folder))
            except Temporary as error:
                log.warning("%s", error.message)
                self._retry_later()

    def _retry_later(self) -> None:
        """Try the last folder again in a while; the others do not wait for it."""
        assert self._folder is not None
        self._folders[self._folder] = time.monotonic() + _RETRY_AFTER_S

    def kill(self) -> None:
        """End at once; the next recorder does anew what is half-done."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
