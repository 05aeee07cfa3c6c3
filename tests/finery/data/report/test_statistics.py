import numpy as np

from finery.data.report.statistics import describe
from finery.data.tokens.tokenizing import FACTS


def facts(*rows: tuple[int, int, bool]) -> np.ndarray:
    return np.array([(0, 0, *row) for row in rows], FACTS)


def test_the_numbers():
    rows = [(tokens, 1, tokens == 40) for tokens in (10, 20, 30, 40)]
    assert describe(facts(*rows)) == {
        "samples": 4, "tokens": 100, "trained_tokens": 4, "trained_share": 0.04, "cut": 1,
        "mean": 25.0, "median": 20, "p95": 30, "longest": 40,
    }  # fmt: skip


def test_nothing_to_describe():
    assert set(describe(facts()).values()) == {0}
