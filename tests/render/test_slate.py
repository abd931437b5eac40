"""The pictures that are drawn where there is no media: one of each, in every language."""

from typing import get_args

import cv2
import numpy as np
import pytest

from merger import i18n
from merger.render.slate import draw_slate, slate_png
from merger.timeline.layout import Size
from merger.timeline.plan import SlateKey

pytestmark = pytest.mark.quick

SIZES = [Size(1280, 720), Size(320, 720), Size(640, 360)]


def test_every_language_has_a_text_for_each_slate() -> None:
    keys = {f"slate.{key}" for key in get_args(SlateKey)}
    for language in i18n.languages():
        texts = i18n.catalogue(language).keys()
        assert {text for text in texts if text.startswith("slate.")} == keys


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_slate_holds_its_whole_text(size: Size) -> None:
    for language in i18n.languages():
        for key in get_args(SlateKey):
            data = np.frombuffer(slate_png(key, size, language), np.uint8)
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
            assert picture is not None and picture.shape == (size.height, size.width, 3)
            is_ink = picture.max(axis=2) > 128
            columns = np.flatnonzero(is_ink.any(axis=0))
            assert columns[0] > size.width * 0.05 and columns[-1] < size.width * 0.95


def test_the_text_is_that_of_the_language() -> None:
    size = SIZES[0]
    english, russian = (
        draw_slate(i18n.say(language, "slate.nothing"), size) for language in ("en", "ru")
    )
    assert not np.array_equal(english, russian)
