"""The two networks that find and read words: loaded once, when they are first asked.

Only the weights are taken from rapidocr, not its code: that imports an HTTP client, writes to the
log, and takes a second to begin with.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[np.float32]

_ERRORS = 3  # severity: a confined process is warned of all that it may not read
_FINDS, _READS = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"


@dataclass(frozen=True)
class Network:
    """A network with one input and one output."""

    session: Any
    input: str

    def run(self, tensor: Tensor) -> Tensor:
        return np.asarray(self.session.run(None, {self.input: tensor})[0], np.float32)

    @property
    def facts(self) -> dict[str, str]:
        """What the file of the network says beside its weights."""
        return dict(self.session.get_modelmeta().custom_metadata_map)


def are_there() -> bool:
    """Return whether the packages are installed: there are systems that they do not exist for."""
    return all(find_spec(name) is not None for name in ("onnxruntime", "rapidocr"))


def finder() -> Network:
    """Return what finds words: (1, 3, H, W), multiples of 32, to (1, 1, H, W), likelihoods."""
    return _load(_FINDS)


def word_reader() -> Network:
    """Return what reads words: (N, 3, 48, W) to (N, T, C), likelihoods of characters in T steps."""
    return _load(_READS)


@cache
def _load(name: str) -> Network:
    with _without_warnings():
        import onnxruntime  # 0.2 s, and 40 MB: nobody pays who reads no words

        onnxruntime.disable_telemetry_events()
        onnxruntime.set_default_logger_severity(_ERRORS)

    package = find_spec("rapidocr")
    assert package is not None and package.submodule_search_locations
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # else it keeps the most that any picture has needed
    options.log_severity_level = _ERRORS
    path = Path(package.submodule_search_locations[0]) / "models" / name
    with _without_warnings():
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    return Network(session, session.get_inputs()[0].name)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep from the log what its start writes to stderr, which looks for GPUs."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
