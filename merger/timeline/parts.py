"""Which pictures a part is made of: from the plan to the spec of each part. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from itertools import groupby, pairwise

from merger.timeline.clock import Segment
from merger.timeline.layout import (
    ALONE,
    DEFAULT_CORNER,
    LAYOUTS,
    Lane,
    Pane,
    Size,
    canvas_of,
    cell_of,
    fit_into,
    layout_of_scene,
    panes_of,
    slide_pane,
)
from merger.timeline.media import MediaFile, Video
from merger.timeline.plan import EditPlan, Part, Scene, Slate
from merger.timeline.profiles import Encoder
from merger.timeline.specs import Input, LaneSpec, PartSpec, Picture, Place, Shot

_MOST_KINDS = 6  # of pictures, in one lane of a part


def cells(plan: EditPlan, media: Mapping[str, MediaFile], lines: int) -> dict[Lane, Size]:
    """Return the cell of each lane: one height, as wide as the widest picture shown in it."""
    aspects: dict[Lane, set[Fraction]] = {"left": set(), "right": set(), "slide": set()}
    for scene in plan.scenes:
        for lane, found in aspects.items():
            view = _view(scene, lane)
            if isinstance(view, Segment):
                shown = _kinds_shown(plan, view, scene.first, scene.end, media[view.file])
                found |= {video.aspect for _, _, video in shown}
    return {lane: cell_of(lines, found) for lane, found in aspects.items()}


def part_spec(
    plan: EditPlan,
    part: Part,
    media: Mapping[str, MediaFile],
    identities: Mapping[str, str],
    layout: str,
    lines: int,
    encoder: Encoder,
    *,
    language: str,
    backup: bool,
) -> PartSpec:
    """Return all that determines one part of a plan.

    Args:
        media, identities: by the `file` of the plan's segments.
        layout: of the record; `speaker_only` scenes of a record with another layout are centred on
            its canvas.
    """
    sizes = cells(plan, media, lines)
    record_layout = LAYOUTS[layout if plan.has_right_side else ALONE]
    size = canvas_of(record_layout, sizes)
    scenes = [
        dataclasses.replace(s, first=max(s.first, part.first), end=min(s.end, part.end))
        for s in plan.scenes
        if s.first < part.end and s.end > part.first
    ]
    runs: list[tuple[LaneSpec, ...]] = []
    backups: list[LaneSpec] = []
    for (name, has_slide), group in groupby(scenes, key=lambda s: (s.layout, s.slide is not None)):
        run = list(group)

        def lane(pane: Pane, run: list[Scene] = run, has_slide: bool = has_slide) -> LaneSpec:
            spec = _lane(plan, run, pane, media, identities)
            if pane.lane != "right" or not has_slide:
                return spec
            slide = slide_pane(pane.box, sizes["slide"], plan.corner)
            return dataclasses.replace(spec, above=_lane(plan, run, slide, media, identities))

        panes = panes_of(layout_of_scene(name), size, sizes, plan.corner or DEFAULT_CORNER)
        runs.append(tuple(map(lane, panes)))
        backups.append(lane(Pane("right", sizes["right"], 0)))
    return PartSpec(
        frames=part.end - part.first,
        rate=plan.rate,
        size=size,
        runs=tuple(runs),
        backup=tuple(backups) if backup else None,
        encoder=encoder,
        language=language,
    )


def _lane(
    plan: EditPlan,
    run: list[Scene],
    pane: Pane,
    media: Mapping[str, MediaFile],
    identities: Mapping[str, str],
) -> LaneSpec:
    shots: list[Shot] = []
    for view, same in groupby(run, key=lambda s: _view(s, pane.lane)):
        scenes = list(same)
        first, end = scenes[0].first, scenes[-1].end
        if isinstance(view, Segment):
            file = media[view.file]
            shots += [
                _shot(plan, view, begins, ends, pane.box, file, video, identities)
                for begins, ends, video in _runs(_kinds_shown(plan, view, first, end, file))
            ]
        else:
            key = view.key if isinstance(view, Slate) else "nothing"
            shots.append(Shot(end - first, slate=key))
    place = Place(pane.x, pane.y, pane.border) if pane.is_above else None
    return LaneSpec(pane.box, tuple(shots), place)


def _view(scene: Scene, lane: Lane) -> Segment | Slate | None:
    return {"left": scene.left, "right": scene.right, "slide": scene.slide}[lane]


def _kinds_shown(
    plan: EditPlan, segment: Segment, first: int, end: int, file: MediaFile
) -> list[tuple[int, int, Video]]:
    """Return frames [first, end) of a segment as runs, each with what its pictures are like."""
    edges = {plan.grid.first_at(segment.clock.wall(since_us)) for since_us, _ in file.changes}
    runs = []
    for begins, ends in pairwise(sorted({first, end} | {at for at in edges if first < at < end})):
        video = file.video_at(segment.clock.file_us(plan.grid.instant(begins)))
        assert video is not None
        runs.append((begins, ends, video))
    return runs


def _runs(kinds: list[tuple[int, int, Video]]) -> list[tuple[int, int, Video]]:
    """Return the kinds of pictures that need a shot of their own: another size alone does not."""
    runs = kinds[:1]
    for begins, ends, video in kinds[1:]:
        first, _, before = runs[-1]
        resized = dataclasses.replace(before, width=video.width, height=video.height)
        if resized == video and not video.interlaced:
            runs[-1] = first, ends, before
        else:
            runs.append((begins, ends, video))
    if len(runs) > _MOST_KINDS:  # a broken stream: each shot opens a decoder
        return [(runs[0][0], runs[-1][1], runs[0][2])]
    return runs


def _shot(
    plan: EditPlan,
    segment: Segment,
    first: int,
    end: int,
    box: Size,
    file: MediaFile,
    video: Video,
    identities: Mapping[str, str],
) -> Shot:
    at_us = segment.clock.file_us(plan.grid.instant(first))
    until_us = segment.clock.file_us(plan.grid.instant(end))
    if at_us >= file.picture_ends_us:
        # The last picture stands here: ffmpeg shows none whose time is over.
        at_us = int(file.picture_us[-1])
    key = file.key_before(at_us)
    from_us = at_us if key is None else int(file.key_us[key])
    # HD pictures that do not say otherwise are BT.709, smaller ones BT.601 (ITU-R practice).
    matrix = video.matrix or ("bt709" if video.height >= 720 else "bt601")
    return Shot(
        frames=end - first,
        input=Input(
            segment.file,
            identities[segment.file],
            file.demuxer,
            video.stream,
            file.ffmpeg_seek_us(key) if key else None,  # the first key frame needs no seeking
        ),
        picture=Picture(
            fit_into(video.aspect, box),
            video.full_range,
            matrix,
            video.interlaced,
            video.frame_us,
            _upright_size(video),
            suits_gpu=_suits_gpu(video, matrix) and not file.changes,
            colours=video.colours,
            pixel_aspect=video.pixel_aspect,
            rotation=video.rotation,
        ),
        at_us=at_us,
        rate=segment.clock.rate,
        pictures=file.pictures_in(from_us, until_us),
    )


def _upright_size(video: Video) -> Size:
    if video.rotation % 180:
        return Size(video.height, video.width)
    return Size(video.width, video.height)


def _suits_gpu(video: Video, matrix: str) -> bool:
    return (
        video.codec in ("h264", "hevc", "vp9", "av1", "libdav1d")
        and video.pixel_format in ("yuv420p", "nv12")
        and matrix == "bt709"
        and not video.full_range
        and not video.rotation
        and video.colours is None
    )
