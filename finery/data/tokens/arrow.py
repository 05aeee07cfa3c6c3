"""Arrow columns from arrays and strings.

`pyarrow.array` would do it, but imports pandas on its first call, which takes as long as to
tokenize some ten thousand rows.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa


def integers(values: np.ndarray) -> Any:
    """A column of integers, of the array's own type."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), buffers)


def booleans(values: Sequence[bool]) -> Any:
    bits = np.packbits(np.array(values, bool), bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])


def strings(values: Sequence[str]) -> Any:
    encoded = [value.encode() for value in values]
    data = pa.py_buffer(b"".join(encoded))
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(_ends(encoded)), data)


def integer_lists(values: Sequence[np.ndarray]) -> Any:
    """A column of lists of int32."""
    flat = np.concatenate([np.empty(0, np.int32), *values])
    return pa.ListArray.from_arrays(integers(_ends(values)), integers(flat))


def string_lists(values: Sequence[Sequence[str]]) -> Any:
    flat = list(chain.from_iterable(values))
    return pa.ListArray.from_arrays(integers(_ends(values)), strings(flat))


def _ends(values: Sequence[Any]) -> np.ndarray:
    return np.cumsum([0, *map(len, values)], dtype=np.int32)
