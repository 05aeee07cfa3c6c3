"""How a tokenizer splits text into words, by llama.cpp's name of it.

llama.cpp goes by a hash of some tokens, and so knows only vocabularies that it has been shown. What
it has to know is the rule that splits, which tokenizer.json states: a vocabulary of one's own that
splits as a known one does converts by that.
The rules are those of llama.cpp's src/llama-vocab.cpp.
"""

from pathlib import Path
from typing import Any

from finery.models.gguf.errors import GgufError
from finery.models.settings import read_settings

WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASES = [rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}{more}" for more in (f"*{LOWER}+", f"+{LOWER}*")]
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
REST_OF_CASES = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
NAMES: dict[tuple[str, bool], str] = {
    ("bytes", False): "gpt-2",
    ("digits", False): "smollm",
    (WORDS + r"|\p{N}{1,3}" + REST, True): "llama-bpe",
    (WORDS + r"|\p{N}{1,3}" + REST, False): "smaug-bpe",
    (WORDS + r"|\p{N}" + REST, False): "qwen2",
    (f"{CASES[0]}{SHORT}|{CASES[1]}{SHORT}" + r"|\p{N}{1,3}" + REST_OF_CASES, False): "gpt-4o",
    ("|".join(CASES) + r"|\p{N}" + REST_OF_CASES, True): "tekken",
}
"""By the rule, and by whether a word that is a token is taken whole without any merge."""


def pre_tokenizer(model: Path) -> str:
    """The name for the tokenizer of a model folder. Raises `GgufError` if there is none."""
    tokenizer = read_settings(model / "tokenizer.json")
    core = tokenizer.get("model") or {}
    whole = bool(core.get("ignore_merges"))
    name = NAMES.get((_rule(tokenizer.get("pre_tokenizer") or {}), whole))
    normalizer = tokenizer.get("normalizer")
    if name is None or core.get("type") != "BPE" or (normalizer or NFC) != NFC:
        raise GgufError(
            "llama.cpp knows no tokenizer that splits text as this one does (pre_tokenizer in"
            " tokenizer.json); leave gguf out (quantize.formats), and serve another format"
        )
    return name


NFC = {"type": "NFC"}
"""What llama.cpp leaves to who writes the text, for the models that ask for it."""


def _rule(step: dict[str, Any]) -> str | None:
    """What a pre-tokenizer splits by, if llama.cpp may know it."""
    steps = step.get("pretokenizers") or [step]
    last = steps[-1]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        return None
    if len(steps) == 1:
        return "bytes" if last.get("use_regex", True) else None
    if len(steps) != 2:
        return None
    first = steps[0]
    if first.get("type") == "Digits" and first.get("individual_digits"):
        return "digits" if last.get("use_regex", True) else None
    isolated = first.get("behavior") == "Isolated" and not first.get("invert")
    if first.get("type") == "Split" and isolated and not last.get("use_regex", True):
        return (first.get("pattern") or {}).get("Regex")
    return None
