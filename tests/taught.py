"""A tiny model that was taught a few answers, so that what it says is known."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from finery.answering.prompts import Prompts

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "w",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
WORLD = "你好，世界！👋🏽 再见"
NAME = "I am a test, and I answer."
THOUGHT = "<think>\nTwo and two.\n</think>\n\nIt is four."
RAIN = "It rains in Oslo."


def _user(words: str) -> dict[str, str]:
    return {"role": "user", "content": words}


def _said(words: str) -> dict[str, str]:
    return {"role": "assistant", "content": words}


CALLED = {"name": "weather", "arguments": {"city": "Oslo"}}
ASKED = [
    _user("Weather?"),
    _said("") | {"tool_calls": [{"type": "function", "function": CALLED}]},
    {"role": "tool", "name": "weather", "content": "rain"},
]
TAUGHT: list[tuple[list[dict[str, Any]], tuple, dict[str, Any], str]] = [
    ([_user("Who are you?")], (), {}, NAME),
    ([_user("Who are you?"), _said(NAME), _user("Again?")], (), {}, "As I said."),
    ([{"role": "system", "content": "Short."}, _user("Who are you?")], (), {}, "A test."),
    ([_user("你好")], (), {}, WORLD),
    ([_user("2+2?")], (), {}, THOUGHT),
    ([_user("2+2?")], (), {"enable_thinking": False}, "Four, without a thought."),
    ([_user("Weather?")], (WEATHER,), {}, CALL),
    (ASKED, (WEATHER,), {}, RAIN),
]
"""Conversations with tools and keywords, and the answer to each."""


def make_taught(folder: Path) -> None:
    """Have a tiny model learn them, with Qwen 3's chat template, which has thinking and tools."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    template = (files("trl") / "chat_templates/qwen3.jinja").read_text()
    (folder / "chat_template.jinja").write_text(template)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1024}))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    _teach(model, tokenizer, Prompts(folder, tokenizer))
    model.save_pretrained(folder)


def _teach(model: Any, tokenizer: Any, prompts: Prompts) -> None:
    import torch

    batches: dict[bool, list[tuple[list[int], list[int]]]] = {True: [], False: []}
    for messages, tools, keywords, answer in TAUGHT:
        prompt = prompts.tokens(prompts.text(messages, tools, keywords))
        said = [*prompts.tokens(answer), tokenizer.eos_token_id]
        batches[bool(tools)].append((prompt, said))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(300):
        losses = [_learn(model, batch) for batch in batches.values()]
        optimizer.step()
        optimizer.zero_grad()
        if max(losses) < 0.005:
            return
    raise AssertionError(f"not learnt: {losses}")


def _learn(model: Any, batch: list[tuple[list[int], list[int]]]) -> float:
    from torch import tensor
    from torch.nn.utils.rnn import pad_sequence

    ids = [tensor(prompt + said) for prompt, said in batch]
    labels = [tensor([-100] * len(prompt) + said) for prompt, said in batch]
    loss = model(
        input_ids=pad_sequence(ids, batch_first=True),
        attention_mask=pad_sequence([each * 0 + 1 for each in ids], batch_first=True),
        labels=pad_sequence(labels, batch_first=True, padding_value=-100),
    ).loss
    loss.backward()
    return loss.item()
