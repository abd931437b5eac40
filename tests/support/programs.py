"""Programs that stand for ffmpeg, as scripts of the shell."""

from __future__ import annotations

import shlex
from pathlib import Path

# For those that look at other files than ffmpeg does, or send signals.
UNCONFINED = {"MERGER_CONFINE": "off"}


def write_program(path: Path, body: str, **variables: object) -> Path:
    """Write a script. What it needs to know stands in it: its environment holds next to nothing."""
    known = "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in variables.items())
    path.write_text(f"#!/bin/sh\n{known}{body}")
    path.chmod(0o755)
    return path
