import datetime
import decimal
from typing import Any

import pytest

from finery.data.rows.bad_rows import BadRow
from finery.data.rows.fields import shown


def test_a_bad_row_is_one_line_that_can_be_written():
    bad = BadRow("f", 1, "a\nb\ud83d", "missing-column", "the row has x\r\u2028\0, 鱼\u3000")
    assert str(bad) == "f: row 1: a\\nb\\ud83d: the row has x\\r\\u2028\\x00, 鱼\u3000"
    assert str(bad).encode()


@pytest.mark.parametrize(
    "value, said",
    [
        ({"a": [None, True, 1.5]}, '{"a": [null, true, 1.5]}'),
        (datetime.date(2020, 1, 2), '"date 2020-01-02"'),
        (decimal.Decimal("1.10"), '"Decimal 1.10"'),
        (b"ab", "\"bytes b'ab'\""),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        ("x" * 100, '"' + "x" * 59),
    ],
)
def test_values_as_they_are_shown(value: Any, said: str):
    assert shown(value) == said
