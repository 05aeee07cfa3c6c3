"""Tiny models that read images, of the shapes of Qwen2-VL and LLaVA, and data for them."""

import json
from pathlib import Path
from typing import Any

from tests.conftest import CORPUS

COLOURS = {"red": (220, 30, 30), "blue": (30, 60, 220), "green": (30, 180, 60)}
TEXT = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 512, "bos_token_id": 1,
    "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
QWEN_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
QWEN_TEMPLATE = """\
{% for message in messages %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}{% else %}\
{% for part in message['content'] %}{% if part['type'] == 'image' %}\
<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in part %}{{ part['text'] }}{% endif %}\
{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
LLAVA_TEMPLATE = """\
{% for message in messages %}<|im_start|>{{ message['role'] }}
{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}\
{% endfor %}{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}\
{{ part['text'] }}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""As those of llava-hf are: all images of a message first, and only contents in parts."""


def make_qwen(folder: Path, release: str = "qwen2_vl") -> None:
    """A model of the Qwen2-VL shape: as many tokens an image as its size asks for."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = _tokenizer(QWEN_TOKENS, QWEN_TEMPLATE)
    ids = {word: tokenizer.convert_tokens_to_ids(word) for word in QWEN_TOKENS}
    rotation = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]}
    text = TEXT | {"vocab_size": len(tokenizer), "rope_parameters": rotation}
    wide = {"embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2}
    if release != "qwen2_vl":
        wide = {"hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 64}
    vision = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2}
    config = AutoConfig.for_model(
        release,
        text_config=text | {"tie_word_embeddings": True},
        vision_config=vision | wide,
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"shortest_edge": 64, "longest_edge": 1024}
    Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, size=size).save_pretrained(folder)


def make_llava(folder: Path) -> None:
    """A model of the LLaVA shape: the same number of tokens for each image, whatever its size."""
    import torch
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = _tokenizer(("<image>",), LLAVA_TEMPLATE)
    config = LlavaConfig(
        text_config=LlamaConfig(vocab_size=len(tokenizer), **TEXT),
        vision_config=CLIPVisionConfig(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            image_size=16, patch_size=4, projection_dim=32,
        ),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    square = {"height": 16, "width": 16}
    LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=square),
        tokenizer,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    ).save_pretrained(folder)


def _tokenizer(special: tuple[str, ...], template: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([*CORPUS, *COLOURS], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )
    tokenizer.chat_template = template
    return tokenizer


def draw(file: Path, colour: str, size: tuple[int, int] = (24, 24)) -> None:
    """A picture of one colour."""
    from PIL import Image

    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, COLOURS[colour]).save(file)


def make_data(folder: Path, rows: dict[str, list[dict]] | None = None) -> Path:
    """A folder of datasets: `looks` to learn, the colour of pictures, and `asked`, the same."""
    for number, colour in enumerate(COLOURS):
        for wide in (16, 24, 32):
            draw(folder / f"pictures/{colour}-{wide}.png", colour, (wide, 24 + 8 * number))
    learnt = [_row(colour, wide) for wide in (16, 24) for colour in COLOURS]
    given = {"looks": learnt, "asked": [_row(colour, 32) for colour in COLOURS]} | (rows or {})
    columns = {"messages": "conversations", "images": "images"}
    info = {}
    for name, each in given.items():
        (folder / f"{name}.json").write_text(json.dumps(each))
        info[name] = {"file_name": f"{name}.json", "formatting": "sharegpt", "columns": columns}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def _row(colour: str, wide: int) -> dict[str, Any]:
    asked = {"from": "human", "value": "<image>What is the name?"}
    images = [f"pictures/{colour}-{wide}.png"]
    return {"conversations": [asked, {"from": "gpt", "value": colour}], "images": images}
