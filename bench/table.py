"""The tables of a result: what was measured, paired ratios, and the goals beside them.

Pure: the JSON document of a result in, Markdown out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

Run = dict[str, Any]

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
NOT_MEASURED = "not measured yet"

_MIB = 1024 * 1024

# The names of what runs, in the order in which it runs within a round.
OURS, LIMIT = "720p", "bare ffmpeg"
FULL, COMMON = "full, short", "common way, short"
SHORT, AV1 = "720p, short", "av1, short"
CONTENDERS = (OURS, LIMIT, FULL, COMMON, SHORT, AV1)
_PAIRS = ((OURS, LIMIT), (FULL, COMMON), (AV1, SHORT))


def result_bytes(run: Run) -> int:
    return sum(run["results"].values())


def _cpu_per_second(run: Run) -> float:
    return float(run["cpu_s"] / run["media_s"])


def _rewritten_share(run: Run) -> float:
    # The kernel does not count what goes to a file system in memory; what is left there is less
    # exact, as it lacks what was written and removed.
    return float((run["written_bytes"] or run["left_bytes"]) / result_bytes(run))


def tables(result: dict[str, Any]) -> str:
    """Return all tables of a result as Markdown."""
    machine, options = result["machine"], result["options"]
    media = ", ".join(f"{name} {said['mbit_s']} Mbit/s" for name, said in result["media"].items())
    return "\n".join(
        [
            f"Measured {result['made_at'][:10]} on {machine['cpu']}, {machine['cores']} cores,"
            f" {machine['memory_gib']} GiB; Linux {machine['kernel']}; FFmpeg {machine['ffmpeg']},"
            f" Python {machine['python']}. A lecture of {options['minutes']:g} min ({media});"
            f" `short` is {options['middle_minutes']:g} min in its middle."
            f" Rounds: {len(_rounds(result))}; medians, and in parentheses the smallest and the"
            " largest. Cores that other programs kept busy meanwhile:"
            f" {_spread([run['others_cpu_s'] / run['wall_s'] for run in result['runs']])}.",
            "",
            *_measured(result),
            "",
            *_ratios(result),
            "",
            *_goals(result),
        ]
    )


def _rounds(result: dict[str, Any]) -> list[dict[str, Run]]:
    """Return the runs of each round by name."""
    by_round: dict[int, dict[str, Run]] = {}
    for run in result["runs"]:
        by_round.setdefault(run["round"], {})[run["contender"]] = run
    return [by_round[n] for n in sorted(by_round)]


def _runs_of(result: dict[str, Any], name: str) -> list[Run]:
    return [run for run in result["runs"] if run["contender"] == name]


def paired_ratios(
    result: dict[str, Any], a: str, b: str, value: Callable[[Run], float]
) -> list[float]:
    """Return the ratio of a value of two contenders in each round that holds both."""
    return [value(r[a]) / value(r[b]) for r in _rounds(result) if a in r and b in r]


def _presence(result: dict[str, Any], unit: str) -> list[float]:
    return [r[f"ours_{unit}"] / r[f"bare_{unit}"] for r in result["presence"]]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _head(*cells: str) -> list[str]:
    return [_row(*cells), _row("---", *("---:" for _ in cells[1:]))]


def _spread(values: Sequence[float], form: str = ".2f") -> str:
    if not values:
        return "-"
    middle = format(median(values), form)
    return f"{middle} ({min(values):{form}} to {max(values):{form}})" if len(values) > 1 else middle


def _measured(result: dict[str, Any]) -> list[str]:
    lines = _head(
        "run", "wall, s", "x real time", "CPU s per media s", "peak RSS, MiB", "results, MB",
        "written / results", "SSIM",
    )  # fmt: skip
    for name in CONTENDERS:
        runs = _runs_of(result, name)
        if not runs:
            continue
        ssim = result["ssim"].get(name)
        lines.append(
            _row(
                name,
                _spread([r["wall_s"] for r in runs], ".1f"),
                format(median(r["media_s"] / r["wall_s"] for r in runs), ".2f"),
                format(median(map(_cpu_per_second, runs)), ".2f"),
                format(median(r["peak_rss_bytes"] / _MIB for r in runs), ".0f"),
                format(median(result_bytes(r) / 1e6 for r in runs), ".1f"),
                format(median(map(_rewritten_share, runs)), ".2f"),
                "-" if ssim is None else format(ssim, ".4f"),
            )
        )
    return lines


def _ratios(result: dict[str, Any]) -> list[str]:
    lines = _head("ratio, run by run", "wall", "CPU", "peak RSS", "bytes of the merge")
    for a, b in _PAIRS:
        values: tuple[Callable[[Run], float], ...] = (
            lambda run: float(run["wall_s"]),
            _cpu_per_second,
            lambda run: float(run["peak_rss_bytes"]),
            lambda run: float(run["results"]["merge"]),
        )
        found = [paired_ratios(result, a, b, value) for value in values]
        if found[0]:
            lines.append(_row(f"{a} / {b}", *map(_spread, found)))
    if result["presence"]:
        wall, cpu = (_spread(_presence(result, unit)) for unit in ("wall_s", "cpu_s"))
        lines.append(_row("presence analysis / bare decoding", wall, cpu, "-", "-"))
    return lines


def _goals(result: dict[str, Any]) -> list[str]:
    ours = _runs_of(result, OURS)
    measured = (
        (
            "wall of 720p / bare ffmpeg",
            paired_ratios(result, OURS, LIMIT, lambda r: r["wall_s"]),
            1.10,
        ),
        ("wall of presence analysis / bare decoding", _presence(result, "wall_s"), 1.4),
        ("peak RSS of 720p, GiB", [r["peak_rss_bytes"] / _MIB / 1024 for r in ours], 1.0),
        ("bytes written by 720p / bytes of its results", [_rewritten_share(r) for r in ours], 2.1),
    )
    lines = _head("goal", "at most", "measured", "reached")
    for what, values, goal in measured:
        if values:
            reached = "yes" if median(values) <= goal else "no"
            lines.append(_row(what, f"{goal:g}", _spread(values), reached))
    return lines


def between_marks(page: str, text: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """Return a page with the text between its two marks replaced."""
    before, begin, rest = page.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"the page lacks {marks[0]} or {marks[1]}")
    return f"{before}{begin}\n{text}\n{end}{after}"
