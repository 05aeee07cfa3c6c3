"""Every sample is used, and the counts are those of what is used."""

import json
from pathlib import Path

import pytest

from finery.quantization.calibration import CalibrationError, calibration, longest_text

LONG, SHORT, TEN = [1] * 30, [2, 3, 4], [5] * 10


def test_long_samples_are_taken_as_they_are():
    found = calibration([LONG, [7] * 11], None)
    assert found.rows == [LONG, [7] * 11]
    assert str(found) == "2 samples, 41 tokens"


def test_short_samples_are_joined_until_they_are_long_enough():
    found = calibration([TEN, LONG, SHORT, TEN, SHORT, SHORT], None)
    assert found.rows == [LONG, TEN + SHORT, TEN + SHORT + SHORT]
    assert (found.samples, found.joined, found.tokens) == (6, 5, 30 + 13 + 16)
    assert (
        str(found) == "6 samples, 59 tokens, 5 samples of 10 tokens or fewer joined to longer ones"
    )


def test_short_samples_alone_are_enough():
    found = calibration([SHORT] * 4, None)
    assert (found.rows, found.tokens) == ([SHORT * 4], 12)


def test_what_is_left_over_goes_to_the_last_row():
    assert calibration([SHORT, LONG], None).rows == [LONG + SHORT]
    assert calibration([*[SHORT] * 4, TEN], None).rows == [SHORT * 4 + TEN]


def test_no_tokens_are_counted_that_the_model_does_not_take():
    found = calibration([LONG, [7] * 20, []], 20)
    assert [len(row) for row in found.rows] == [20, 20]
    assert (found.samples, found.tokens, found.cut) == (2, 40, 1)
    assert str(found) == "2 samples, 40 tokens, 1 cut to the 20 tokens the model takes"


@pytest.mark.parametrize("samples, tokens", [([], 0), ([[]], 0), ([TEN], 10), ([SHORT] * 3, 9)])
def test_too_little_in_all_names_the_settings(samples: list[list[int]], tokens: int):
    with pytest.raises(CalibrationError) as error:
        calibration(samples, None)
    assert error.value.exit_status == 2
    assert str(error.value) == (
        f"the {len(samples)} calibration samples have {tokens} tokens together; quantizing needs"
        " more than 10: raise data.calibration_samples, or train on longer data (train.STEP.data)"
    )


@pytest.mark.parametrize(
    "config, longest",
    [
        ({"max_position_embeddings": 2048, "seq_length": 9}, 2048),
        ({"n_positions": 1024}, 1024),
        ({"max_position_embeddings": None, "max_seq_len": 4096}, 4096),
        ({"model_type": "bloom"}, None),
    ],
)
def test_how_much_a_model_takes(tmp_path: Path, config: dict, longest: int | None):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert longest_text(tmp_path) == longest
