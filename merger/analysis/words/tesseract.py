"""Tesseract, where it is installed with Russian: reads Cyrillic, which the networks do not know."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections import defaultdict
from functools import cache

from merger.analysis.words.slides import row_at
from merger.isolation.confinement import clean_environment, confined

log = logging.getLogger(__name__)

_LANGUAGES = ("rus", "eng")  # the first is what it is needed for
_LONGEST_S = 60.0
_ONE_BLOCK = "6"  # of lines of one size: how a page is laid out
_WORD = "5"  # the level of a row of its table


@cache
def languages() -> str:
    """Return what it is to read, as its option `-l` takes it; empty where it is not installed."""
    program = shutil.which("tesseract")
    if program is None:
        return ""
    try:
        listed = _run(program, ["--list-langs"], b"").split()
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("%s does not run: %s", program, error)
        return ""
    there = [language for language in _LANGUAGES if language in listed]
    return "+".join(there) if _LANGUAGES[0] in there else ""


def read_rows(sheet: bytes, rows: int) -> list[tuple[str, float]]:
    """Read a sheet of lines (PNG) with so many rows; return the text of each, and how sure it is.

    Of one that could not be read the text is empty.
    """
    program, reads = shutil.which("tesseract"), languages()
    texts: defaultdict[int, list[tuple[int, str, float]]] = defaultdict(list)
    if program and reads:
        command = ["stdin", "stdout", "-l", reads, "--psm", _ONE_BLOCK, "tsv"]
        try:
            table = _run(program, command, sheet)
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("%s could not read a slide: %s", program, error)
            table = ""
        for line in table.splitlines():
            cells = line.split("\t")
            if len(cells) == 12 and cells[0] == _WORD:
                left, top, _, height = map(int, cells[6:10])
                texts[row_at(top + height / 2)].append((left, cells[11], float(cells[10]) / 100))
    found = []
    for n in range(rows):
        words = sorted(texts[n])
        sure = sum(score for *_, score in words) / len(words) if words else 0.0
        found.append((" ".join(text for _, text, _ in words), sure))
    return found


def _run(program: str, arguments: list[str], given: bytes) -> str:
    ran = subprocess.run(
        [*confined(program), *arguments], input=given, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env=clean_environment(OMP_THREAD_LIMIT="1"),
        timeout=_LONGEST_S, check=True,
    )  # fmt: skip
    return ran.stdout.decode("utf-8", "replace")
