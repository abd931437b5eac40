"""Settings from the environment, read once: the only module that looks at it.

What a room records is data, not configuration. The table in docs/operating.md and `.env.example`
are generated from the fields here (`python -m merger.config`), and a test fails when they differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from merger.errors import Refused
from merger.plan import Language

EncoderChoice = Literal["auto", "software", "nvenc", "vaapi"]


def _text(text: str) -> str:
    return text


def _folder(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("there is no such home folder; write an absolute path") from error


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if not match:
        raise ValueError("write a number of bytes, like 20G")
    power = " KMGT".index(match[2].upper() or " ")
    value = int(match[1]) * int(1024**power)
    if value < 64 * 1024**2:
        raise ValueError("at least 64M, or no part survives until it is needed")
    return value


def _one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return text

    return read


def _setting(variable: str, default: str, read: Callable[[str], Any], unit: str, about: str) -> Any:
    return field(
        metadata={
            "variable": variable,
            "default": default,
            "read": read,
            "unit": unit,
            "about": about,
        }
    )


@dataclass(frozen=True)
class Settings:
    """What the operator decides, for a whole process."""

    ffmpeg: str = _setting(
        "MERGER_FFMPEG",
        "",
        _text,
        "path or name",
        "The ffmpeg program, 5.1 or newer; empty for the one that imageio-ffmpeg carries.",
    )
    cache: Path = _setting(
        "MERGER_CACHE",
        "~/.cache/lecture-merger",
        _folder,
        "folder",
        "Where finished parts are kept, so that nothing is encoded twice.",
    )
    cache_bytes: int = _setting(
        "MERGER_CACHE_BYTES",
        "20G",
        _bytes,
        "bytes, at least 64M",
        "How much the cache may hold; parts not used for longest go first.",
    )
    encoder: EncoderChoice = _setting(
        "MERGER_ENCODER",
        "auto",
        _one_of("auto", "software", "nvenc", "vaapi"),
        "auto, software, nvenc, vaapi",
        "What encodes H.264; auto tries the hardware with one frame and falls back to software.",
    )
    language: Language = _setting(
        "MERGER_LANGUAGE", "en", _one_of("en", "ru"), "en, ru",
        "The language of the slates in the video.",
    )  # fmt: skip


def wants_trace(environ: Mapping[str, str]) -> bool:
    """Return whether a mistake in the program is to show where it happened."""
    return bool(environ.get("MERGER_DEBUG"))


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings. Raises Refused, which names every mistake at once."""
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for f in fields(Settings):
        about = f.metadata
        text = environ.get(about["variable"], "").strip() or about["default"]
        try:
            values[f.name] = about["read"](text)
        except ValueError as error:
            mistakes.append(f"{about['variable']}={text!r}: {error}")
    if mistakes:
        raise Refused("config", "; ".join(mistakes))
    return Settings(**values)


def table() -> str:
    """Return the settings as a Markdown table."""
    rows = ["| variable | default | values | what it does |", "|---|---|---|---|"]
    for f in fields(Settings):
        about = f.metadata
        default = f"`{about['default']}`" if about["default"] else "(empty)"
        rows.append(f"| `{about['variable']}` | {default} | {about['unit']} | {about['about']} |")
    return "\n".join(rows) + "\n"


def example() -> str:
    """Return the text of `.env.example`."""
    return "\n".join(
        f"# {f.metadata['about']} ({f.metadata['unit']})\n"
        f"#{f.metadata['variable']}={f.metadata['default']}\n"
        for f in fields(Settings)
    )


if __name__ == "__main__":
    print(table())
    print(example())
