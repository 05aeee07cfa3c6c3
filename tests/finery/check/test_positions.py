"""Samples are no longer than a model has positions, however those are stretched."""

from pathlib import Path
from typing import Any

import pytest

from finery.check.facts import Model
from finery.check.positions import positions

from .conftest import change, make, problems


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"max_position_embeddings": 2048}, 2048),
        ({"model_type": "gpt2", "n_positions": 1024, "n_ctx": 1024}, 1024),
        ({"max_position_embeddings": 32768, "sliding_window": 4096}, 32768),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}},
         16384),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "dynamic", "factor": 2}}, 8192),
        ({"max_position_embeddings": 32768,
          "rope_scaling": {"type": "yarn", "factor": 4.0,
                           "original_max_position_embeddings": 32768}}, 131072),
        ({"max_position_embeddings": 131072,
          "rope_parameters": {"rope_type": "yarn", "factor": 4.0,
                              "original_max_position_embeddings": 32768}}, 131072),
        ({"max_position_embeddings": 131072,
          "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
                           "original_max_position_embeddings": 8192}}, 131072),
        ({"max_position_embeddings": 131072, "original_max_position_embeddings": 4096,
          "rope_scaling": {"type": "longrope", "long_factor": [1.0], "short_factor": [1.0]}},
         131072),
        ({"max_position_embeddings": 512,
          "rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}}, 512),
        ({"max_position_embeddings": 8192, "rope_parameters": {
            "sliding_attention": {"rope_type": "default"},
            "full_attention": {"rope_type": "linear", "factor": 8.0}}}, 65536),
        ({"model_type": "mpt", "max_seq_len": 2048}, None),
        ({"model_type": "mpt", "max_seq_len": 2048, "attn_config": {"alibi": False}}, 2048),
        ({"model_type": "falcon", "max_position_embeddings": 2048, "alibi": True}, None),
        ({"model_type": "bloom", "seq_length": 2048}, None),
        ({"model_type": "mamba", "max_position_embeddings": 128}, None),
        ({"text_config": {"max_position_embeddings": 1024}}, 1024),
        ({}, None),
    ],
)  # fmt: skip
def test_the_longest_sequence(config: dict[str, Any], limit: int | None):
    assert positions(Model(Path("x"), config, {})) == limit


def test_the_cutoff_is_within(project: Path):
    make(project / "tiny")
    assert problems() == []
    change(**{"data.cutoff_len": 513})
    assert problems() == [
        "data.cutoff_len: 513 tokens are more than the 512 positions of tiny; lower it to 512"
    ]
