"""Values between a reader and us, as MessagePack: what comes back is checked against its type.

Never pickle: a reader decodes what strangers sent, and may have been taken over by it.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, get_origin

import msgspec
import numpy as np


def encode(value: Any) -> bytes:
    """Return a value of plain types, dataclasses, instants, paths, fractions and int64 arrays."""
    return msgspec.msgpack.encode(value, enc_hook=_to_plain)


def decode(data: bytes, form: Any) -> Any:
    """Return the value of a type. Raises ValueError for what is not of that type."""
    return msgspec.msgpack.decode(data, type=form, dec_hook=_from_plain)


def _to_plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == np.int64:
        return value.tobytes()
    if isinstance(value, Fraction):
        return [value.numerator, value.denominator]
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"no form for {type(value).__name__}")


def _from_plain(form: Any, plain: Any) -> Any:
    if get_origin(form) is np.ndarray:
        return np.frombuffer(plain, np.int64)
    if form is Fraction:
        numerator, denominator = plain
        return Fraction(int(numerator), int(denominator))
    if form is Path:
        return Path(plain)
    raise NotImplementedError(f"no form for {form}")
