"""Files by which others run a package: a Modelfile for Ollama, compose.yaml for vLLM.

Formats: docs.ollama.com/modelfile, docs.docker.com/reference/compose-file.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finery.models.chat_template import chat_template
from finery.models.jinja import environment
from finery.models.settings import CONFIG, GGUF, read_settings
from finery.models.tokens import read_tokens

MODELFILE, COMPOSE = "Modelfile", "compose.yaml"
MOST_CONTEXT = 8192
"""Tokens: Ollama reserves memory for all of its context."""
IMAGE = "vllm/vllm-openai:v0.33.0"
SERVED_BITS = (4, 8)
"""What vLLM has kernels for of GPTQ's, if zero is in the middle."""
PROBES = (
    [("user", "a b")],
    [("system", "c"), ("user", "a b")],
    [("user", "a"), ("assistant", "<think>\nd\n</think>\n\nb"), ("user", " c\n e ")],
)
"""With what some templates add, take out or cut off."""
CHATML = """TEMPLATE \"\"\"{{ range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
\"\"\""""
NAMES = {
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
}


def deployment(package: Path, name: str, quantization: Mapping[str, Any]) -> dict[str, str]:
    """The files to put into a package, by their names; `quantization` is how its weights are."""
    if (package / GGUF).is_file():
        return {MODELFILE: modelfile(package)}
    method = quantization.get("quant_method")
    odd = quantization.get("bits") not in SERVED_BITS or not quantization.get("sym", True)
    if method not in (None, "gptq", "awq") or (method == "gptq" and odd):
        return {}
    return {COMPOSE: compose(name, trusted=any(package.glob("*.py")))}


def modelfile(model: Path) -> str:
    """For Ollama: what ends an answer, how it is sampled, the context, and ChatML in Go's syntax.

    Another chat template is left to Ollama, which looks for one it knows by the GGUF's own.
    """
    generation = read_settings(model / "generation_config.json")
    lines = [f"FROM ./{GGUF}", *(f"PARAMETER {line}" for line in _parameters(model, generation))]
    if (system := _chatml_with(chat_template(model))) is not None:
        lines += [CHATML] + ([f'SYSTEM """{system}"""'] if system else [])
    return "\n".join(lines) + "\n"


def compose(name: str, trusted: bool) -> str:
    """For Docker: vLLM with an OpenAI-compatible API on port 8000 of this machine alone."""
    command = ["--model", "/model", "--served-model-name", name]
    command += ["--trust-remote-code"] if trusted else []
    return f"""# In this folder, on a machine with an NVIDIA GPU: docker compose up
services:
  vllm:
    image: {IMAGE}
    command: {json.dumps(command)}
    environment: {{HF_HUB_OFFLINE: "1", VLLM_NO_USAGE_STATS: "1"}}
    volumes: ["./:/model:ro"]
    ports: ["127.0.0.1:8000:8000"]
    ipc: host
    deploy:
      resources:
        reservations:
          devices: [{{driver: nvidia, count: 1, capabilities: [gpu]}}]
"""


def _parameters(model: Path, generation: Mapping[str, Any]) -> Iterator[str]:
    words = {number: word for word, number in read_tokens(model).whole.items()}
    ends = generation.get("eos_token_id")
    for end in ends if isinstance(ends, list) else [ends]:
        if end in words:
            yield f"stop {json.dumps(words[end], ensure_ascii=False)}"
    longest = read_settings(model / CONFIG).get("max_position_embeddings")
    if isinstance(longest, int):
        yield f"num_ctx {min(longest, MOST_CONTEXT)}"
    sampled = generation.get("do_sample", False)
    yield f"temperature {generation.get('temperature') or 1.0 if sampled else 0}"
    if sampled:
        yield from (f"{NAMES[key]} {generation[key]}" for key in NAMES if generation.get(key))


def _chatml_with(template: str) -> str | None:
    """The system prompt that a ChatML template begins with by itself, "" if none.

    None if it renders a conversation in any other way than ChatML does.
    """
    start = _rendered(template, PROBES[0]).partition("<|im_end|>\n")[0]
    begin = "<|im_start|>system\n"
    own = start.removeprefix(begin) if start.startswith(begin) else ""
    if '"""' in own or "{{" in own:
        return None
    for probe in PROBES:
        given = probe if not own or probe[0][0] == "system" else [("system", own), *probe]
        if _rendered(template, probe) != _chatml(given):
            return None
    return own


def _rendered(template: str, turns: Sequence[tuple[str, str]]) -> str:
    messages = [{"role": role, "content": content} for role, content in turns]
    tokens = {"bos_token": "<|bos|>", "eos_token": "<|eos|>"}
    try:
        parsed = environment().from_string(template)
        return parsed.render(messages=messages, add_generation_prompt=True, **tokens)
    except Exception:  # a template may refuse by whatever it raises: then it is no plain ChatML
        return ""


def _chatml(turns: Sequence[tuple[str, str]]) -> str:
    said = (f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)
    return "".join(said) + "<|im_start|>assistant\n"
