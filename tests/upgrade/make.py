"""Makes the fixture of the tests in this folder, with the code of an earlier version.

`script/make-upgrade-fixture [REVISION]` takes the code of a revision out of the repository, has
`REVISION/fill.py` (with `_` for `-`) fill a database and a folder with it, and packs both. Paths in
there begin with `FOLDER`, whatever the folder was in which they were made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDER = "/where/it/was/installed"
DATABASE = Path("data/merger.db")
KEPT = "kept.json"
_LEFT_OUT = ("cache", "uploads.lock")


def take_out(revision: str, folder: Path) -> None:
    """Write the code of a revision into a folder."""
    packed = subprocess.run(
        ["git", "archive", "--format=tar", revision], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    subprocess.run(["tar", "x", "-C", str(folder)], input=packed.stdout, check=True)


def fill(revision: str, code: Path, folder: Path) -> None:
    """Have a version fill a folder; what it says of that goes into a file in there."""
    script = HERE / revision.replace("-", "_") / "fill.py"
    done = subprocess.run(
        # Nothing of today's is imported: -P leaves out the folder of the script.
        [sys.executable, "-P", str(script), str(folder)], cwd=code, check=True,
        env={**os.environ, "PYTHONPATH": str(code)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    (folder / KEPT).write_text(json.dumps(json.loads(done.stdout), ensure_ascii=False, indent=1))


def move(folder: Path, before: str, after: str) -> None:
    """Have an installation know that it lies elsewhere: in all texts of its tables and files."""
    with closing(sqlite3.connect(folder / DATABASE)) as database, database:
        for table, column in _text_columns(database):
            database.execute(
                f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?)'
                f" WHERE typeof(\"{column}\") = 'text'",
                (before, after),
            )
    for path in folder.rglob("*.json"):
        text = path.read_text()
        if before in text:
            status = path.stat()
            path.write_text(text.replace(before, after))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _text_columns(database: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        for _, column, kind, *_ in database.execute(f'PRAGMA table_info("{table}")').fetchall():
            if kind.upper().startswith(("VARCHAR", "TEXT", "JSON")):
                yield table, column


def pack(folder: Path, archive: Path) -> None:
    """Pack a folder, without what can be made again."""

    def only_what_counts(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        return None if Path(info.name).name in _LEFT_OUT else info

    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for path in sorted(folder.iterdir()):
            packed.add(path, path.name, filter=only_what_counts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/make-upgrade-fixture", description=__doc__)
    parser.add_argument("revision", nargs="?", default="before-house", help="a tag of ours")
    revision = parser.parse_args().revision
    with tempfile.TemporaryDirectory() as text:
        code, folder = Path(text, "code"), Path(text, "installation")
        code.mkdir()
        folder.mkdir()
        take_out(revision, code)
        fill(revision, code, folder)
        shutil.rmtree(code)
        move(folder, str(folder.resolve()), FOLDER)
        archive = HERE / f"{revision}.tar.xz"
        pack(folder, archive)
    print(f"{archive.relative_to(ROOT)}: {archive.stat().st_size} bytes")


if __name__ == "__main__":
    main()
