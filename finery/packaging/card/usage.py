"""The part of a model card that says how to run the model."""

import json
from collections.abc import Mapping
from typing import Any

from finery.packaging.card.facts import Facts

PACKAGES = {
    None: "transformers accelerate",
    "gptq": "transformers accelerate optimum gptqmodel",
    "awq": "transformers accelerate gptqmodel",
}


def instructions(facts: Facts) -> str:
    """Markdown with a runnable example for transformers and a command for vLLM."""
    if facts.format == "gguf":
        return _of_one_file(facts.name) + _keywords(facts.keywords)
    name, format, remote_code = facts.name, facts.format, facts.remote_code
    packages = PACKAGES.get(format, f"transformers accelerate {format}")
    trust = ", trust_remote_code=True" if remote_code else ""
    flag = " --trust-remote-code" if remote_code else ""
    warning = "It runs Python code of its own: read the .py files first.\n\n" if remote_code else ""
    packages += " pillow torchvision" if facts.sees else ""
    code = _seeing(name, trust) if facts.sees else _reading(name, trust)
    return f"""{warning}With transformers (`pip install {packages}`):

```python
{code}
```

With vLLM (`pip install vllm`, in an environment of its own{_kernels(format)}):

```
vllm serve {name}{flag}
```{_keywords(facts.keywords)}"""


def _of_one_file(name: str) -> str:
    return f"""With llama.cpp (its chat template and the tokens that end an answer are in the file):

```
llama-server --model {name}/model.gguf --jinja
```

With Ollama, in this folder:

```
ollama create {name} --file Modelfile
ollama run {name}
```"""


def _reading(name: str, trust: str) -> str:
    return f"""from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "{name}"  # this folder, or its name on a hub
tokenizer = AutoTokenizer.from_pretrained(folder{trust})
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", device_map="auto"{trust})

messages = [{{"role": "user", "content": "Who are you?"}}]
inputs = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
).to(model.device)
answer = model.generate(**inputs, max_new_tokens=128)[0, inputs["input_ids"].shape[1] :]
print(tokenizer.decode(answer, skip_special_tokens=True))"""


def _seeing(name: str, trust: str) -> str:
    return f"""from transformers import AutoModelForImageTextToText, AutoProcessor

folder = "{name}"  # this folder, or its name on a hub
processor = AutoProcessor.from_pretrained(folder{trust})
model = AutoModelForImageTextToText.from_pretrained(
    folder, dtype="auto", device_map="auto"{trust}
)

asked = [{{"type": "image", "path": "picture.jpg"}}, {{"type": "text", "text": "What is this?"}}]
inputs = processor.apply_chat_template(
    [{{"role": "user", "content": asked}}],
    add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
).to(model.device)
answer = model.generate(**inputs, max_new_tokens=128)[0, inputs["input_ids"].shape[1] :]
print(processor.decode(answer, skip_special_tokens=True))"""


def _keywords(keywords: Mapping[str, Any]) -> str:
    if not keywords:
        return ""
    given = json.dumps(keywords, ensure_ascii=False)
    return (
        f"\n\nIn the training, the chat template was given `{given}`. That is what"
        " `chat_template.jinja` here does unless it is told otherwise: by a keyword of"
        " `apply_chat_template`, or by `chat_template_kwargs` in a request to a server."
    )


def _kernels(format: str | None) -> str:
    return f"; it has {format.upper()} kernels built in" if format in ("gptq", "awq") else ""
