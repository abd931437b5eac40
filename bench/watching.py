"""What watching a screen costs beside decoding all of it, and what reading a slide costs.

`python -m bench.watching [--minutes 10] [--rounds 3]`. Processor seconds (user and system) of one
process, in turn: ratios of one run hold on a machine that is busy with other things, too.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, cast

import av
import cv2
import numpy as np

from bench.lectures import Shot, write_lecture
from merger.analysis.watching.watch import watch
from merger.analysis.words.slides import read_slide
from merger.media.index import read_media
from merger.timeline.clock import Stretch
from merger.timeline.media import MediaFile
from merger.timeline.screen.signals import WINDOW_US
from tests.analysis.watching.screens import Picture
from tests.analysis.words.drawn import ENGLISH, draw_slide

SIZE = (1920, 1080)
CHANGES_AN_HOUR = 100


def pointed(picture: Picture, number: int) -> Callable[[int], Picture]:
    """Draw a slide on which the pointer moves for three seconds of each ten."""
    shown = [picture.copy() for _ in range(75)]
    for n, one in enumerate(shown):
        x, y = 300 + 12 * n, 400 + 3 * n + 17 * number % 200
        cv2.fillPoly(one, [np.array([[x, y], [x, y + 24], [x + 16, y + 18]])], (0, 0, 0))
    return lambda n: shown[n % 250] if n % 250 < 75 else picture


def shots(minutes: float) -> Iterator[Shot]:
    count = max(1, round(minutes * CHANGES_AN_HOUR / 60))
    for number in range(count):
        drawn = draw_slide(ENGLISH[number % len(ENGLISH)], number, "en", 1 + number % 3)
        picture = np.asarray(cv2.resize(drawn, SIZE), np.uint8)
        yield Shot(minutes * 60 / count, pointed(picture, number), "screen", slide=True)


def cpu_s(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def watch_all(media: MediaFile) -> Iterator[bytes]:
    """Watch a file as a merge does, window by window, and yield the pictures of its slides."""
    for start_us in range(0, media.picture_ends_us, WINDOW_US):
        seen = watch(media, Stretch(start_us, start_us + WINDOW_US), (), reads=False)
        yield from (slide.jpeg for slide in seen.slides)


def decode_all(path: Path) -> int:
    with av.open(str(path)) as container:
        stream = cast(Any, container.streams.video[0])
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.watching", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long the screen is (10)")
    parser.add_argument("--rounds", type=int, default=3, help="how often both are measured (3)")
    options = parser.parse_args()
    cv2.setNumThreads(1)  # as in a reader
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "screen.mp4"
        write_lecture(path, list(shots(options.minutes)), SIZE)
        media = read_media(path)
        slides = list(watch_all(media))
        read_slide(slides[0], True, False)  # loads the networks
        rounds = []
        for _ in range(options.rounds):
            watched = cpu_s(lambda: list(watch_all(media)))
            rounds.append((watched, cpu_s(lambda: decode_all(path))))
        distinct = slides[:: max(1, len(slides) // 20)]
        reading = cpu_s(lambda: [read_slide(jpeg, True, False) for jpeg in distinct])
    print("| what | CPU s | beside |")
    print("| --- | ---: | ---: |")
    print(f"| decode all of it | {median(bare for _, bare in rounds):.2f} | 1 |")
    ratio = median(watched / bare for watched, bare in rounds)
    print(f"| watch it | {median(watched for watched, _ in rounds):.2f} | {ratio:.2f} |")
    print(f"| read a slide | {reading / len(distinct):.2f} | |")


if __name__ == "__main__":
    main()
