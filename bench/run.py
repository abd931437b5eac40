"""`script/bench`: makes the lecture, runs everything in turn, prints the tables and writes JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import contenders, media, table
from bench.contenders import PlannedLecture, plan_lecture
from bench.measure import measure
from bench.presence import presence_rounds
from bench.quality import ssim
from merger import config
from merger.render import ffmpeg

_HERE = Path(__file__).parent
WORK = _HERE / "out"
PAGE = _HERE.parent / "docs" / "benchmarks.md"

_PRESENCE_ROUNDS = 15
_SSIM_S = 20


@dataclass(frozen=True)
class Contender:
    """A command, and how the merge that it leaves behind is to be judged."""

    name: str
    command: list[str]
    environ: Callable[[Path], Mapping[str, str]]
    ideal: PlannedLecture

    @property
    def media_s(self) -> float:
        return float(self.ideal.plan.frames / self.ideal.plan.rate)


def main() -> None:
    options = _options()
    out = options.out.absolute()
    if options.read:
        result = json.loads(options.read.read_text())
    else:
        result = _benchmark(options, out)
        _say(f"\nwritten to {out}")
    text = table.tables(result)
    print(text)
    if options.write_docs:
        PAGE.write_text(table.between_marks(PAGE.read_text(), text))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=10, help="how long the lecture is (10)")
    add("--middle-minutes", type=float, default=0.5, help="how much the short runs merge (0.5)")
    add("--rounds", type=int, default=3, help="how often everything runs (3)")
    add("--out", type=Path, default=WORK / "result.json", help="where the figures go, as JSON")
    add("--read", type=Path, metavar="JSON", help="measure nothing, print an earlier result")
    add("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args()


def _benchmark(options: argparse.Namespace, out: Path) -> dict[str, Any]:
    tool = ffmpeg.find_tool(config.load(os.environ).ffmpeg or None)
    WORK.mkdir(exist_ok=True)
    _say("filming the lecture (kept for the next time) ...")
    lecture = media.make_lecture(tool.path, WORK, options.minutes)
    # Planning reads every file, so all runs find them in the page cache.
    all_of_them = _contenders(tool, lecture, timedelta(minutes=options.middle_minutes))
    result: dict[str, Any] = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": {
            "minutes": options.minutes,
            "middle_minutes": all_of_them[-1].media_s / 60,
            "rounds": options.rounds,
        },
        "machine": machine(tool),
        "media": media.describe(lecture),
        "runs": [],
        "presence": presence_rounds(all_of_them[0].ideal, _PRESENCE_ROUNDS),
        "ssim": {},
    }
    for number in range(options.rounds):
        for contender in all_of_them:
            run = {"round": number, "contender": contender.name, **_run(contender)}
            result["runs"].append(run)
            _say(f"round {number + 1}: {contender.name}: {run['wall_s']:.1f} s")
            # What has been measured is kept, also when the rest is not waited for.
            out.write_text(json.dumps(result, indent=1))
    for contender in all_of_them:
        value = ssim(tool, contender.ideal, _merge_path(contender), _SSIM_S)
        result["ssim"][contender.name] = value
    out.write_text(json.dumps(result, indent=1))
    return result


def _contenders(
    tool: ffmpeg.Tool, lecture: media.Lecture, middle_length: timedelta
) -> list[Contender]:
    middle = lecture.middle(middle_length)

    def ours(name: str, of: media.Lecture, profile: str) -> Contender:
        command = contenders.our_command(of, profile)
        return Contender(name, command, contenders.our_environment, plan_lecture(of, profile))

    def others(name: str, command: list[str], ideal: PlannedLecture) -> Contender:
        return Contender(name, command, lambda folder: os.environ, ideal)

    first, full = ours(table.OURS, lecture, "720p"), ours(table.FULL, middle, "full")
    return [
        first,
        others(table.LIMIT, contenders.bare_command(tool, first.ideal), first.ideal),
        full,
        others(table.COMMON, contenders.common_command(tool, middle), full.ideal),
        ours(table.SHORT, middle, "720p"),
        ours(table.AV1, middle, "av1"),
    ]


def _run(contender: Contender) -> dict[str, Any]:
    """Run a contender in an empty folder; its merge is kept until the next round."""
    folder = WORK / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.sync()  # what an earlier run left to be written is not this one's burden
    took = measure(contender.command, folder, contender.environ(folder))
    results = _results(folder)
    kept = _merge_path(contender)
    kept.parent.mkdir(exist_ok=True)
    document = {
        "media_s": contender.media_s,
        **took.document(),
        "results": {kind: path.stat().st_size for kind, path in results.items()},
        "left_bytes": sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()),
        **_read_result(folder),
    }
    results["merge"].rename(kept)
    shutil.rmtree(folder)
    return document


def _read_result(folder: Path) -> dict[str, Any]:
    """Return what our command says of its own time, by stage."""
    if not (folder / "result").is_dir():
        return {}
    return {"timings": json.loads((folder / "stdout").read_text())["timings"]}


def _merge_path(contender: Contender) -> Path:
    name = "".join(letter if letter.isalnum() else "-" for letter in contender.name)
    return WORK / "merges" / f"{name}.mp4"


def _results(folder: Path) -> dict[str, Path]:
    """Return the files that a run was for, by kind: ours says which, the others name them so."""
    if (folder / "result").is_dir():
        said = json.loads((folder / "stdout").read_text())
        return {r["kind"]: Path(r["path"]) for r in said["renditions"]}
    named = {kind: folder / f"{kind}.mp4" for kind in ("merge", "backup")}
    return {kind: path for kind, path in named.items() if path.exists()}


def machine(tool: ffmpeg.Tool) -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages * page / 1024**3),
        "kernel": platform.release(),
        "ffmpeg": tool.version,
        "python": platform.python_version(),
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
