"""Chat templates of well-known model families, re-expressed, and what a turn is in each.

The facts are public: role headers, end-of-turn tokens, what is trimmed, what is refused. Two small
tokenizers know all their control tokens: byte-level BPE as GPT-2 has it, and BPE over ▁ with byte
fallback as SentencePiece has it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

ALTERNATE = (
    "{% for m in messages if m.role != 'system' %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}"
)
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system prompt') }}{% endif %}"
)
FIRST_SYSTEM = (
    "{% if messages and messages[0].role == 'system' %}{% set system = messages[0].content %}"
    "{% set turns = messages[1:] %}{% else %}{% set system = '' %}{% set turns = messages %}"
    "{% endif %}"
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
DEFAULT_SYSTEM = (
    "{% if not messages or messages[0].role != 'system' %}"
    "{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}"
)
QWEN3 = (
    "{% if tools %}{{ '<|im_start|>system\n# Tools\n' }}{% for t in tools %}{{ t | tojson }}\n"
    "{% endfor %}{{ '<|im_end|>\n' }}{% endif %}"
    "{% set ns = namespace(asked=0) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set ns.asked = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}{% set words = m.content or '' %}{% if m.role == 'assistant' %}"
    "{% set thought = m.reasoning_content or '' %}"
    "{% if not thought and '</think>' in words %}"
    "{% set thought = words.split('</think>')[0].split('<think>')[-1].strip('\n') %}"
    "{% set words = words.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{{ '<|im_start|>assistant\n' }}"
    "{% if loop.index0 > ns.asked and (loop.last or thought) %}"
    "{{ '<think>\n' + thought.strip('\n') + '\n</think>\n\n' + words.lstrip('\n') }}"
    "{% else %}{{ words }}{% endif %}"
    "{% for c in m.tool_calls or [] %}{% if words or not loop.first %}{{ '\n' }}{% endif %}"
    '{{ \'<tool_call>\n{"name": "\' + c.function.name + \'", "arguments": \' }}'
    "{{ c.function.arguments | tojson }}{{ '}\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\n' }}"
    "{% elif m.role == 'tool' %}"
    "{{ '<|im_start|>user\n<tool_response>\n' + words + '\n</tool_response><|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>' + m.role + '\n' + words + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
LLAMA2 = (
    ALTERNATE
    + FIRST_SYSTEM
    + "{% for m in turns %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' }}"
    "{% if loop.first and system %}{{ '<<SYS>>\n' + system + '\n<</SYS>>\n\n' }}{% endif %}"
    "{{ m.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{{ bos_token }}{% set today = strftime_now('%d %b %Y') %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + today + '\n\n' }}"
    "{% if messages and messages[0].role == 'system' %}{{ messages[0].content | trim }}"
    "{% set turns = messages[1:] %}{% else %}{% set turns = messages %}{% endif %}"
    "{{ '<|eot_id|>' }}{% for m in turns %}"
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' }}"
    "{{ m.content | trim }}{{ '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    ALTERNATE
    + FIRST_SYSTEM
    + "{{ bos_token }}{% for m in turns %}{% if m.role == 'user' %}{{ '[INST] ' }}"
    "{% if loop.first and system %}{{ system + '\n\n' }}{% endif %}{{ m.content + '[/INST]' }}"
    "{% else %}{{ ' ' + m.content | trim + eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    NO_SYSTEM + ALTERNATE + "{{ bos_token }}{% for m in messages %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}"
    "{{ m.content | trim }}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI3 = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
DEEPSEEK = (
    FIRST_SYSTEM + "{{ bos_token + system }}{% for m in turns %}{% if m.role == 'user' %}"
    "{{ '<｜User｜>' + m.content }}{% else %}{{ '<｜Assistant｜>' + m.content + eos_token }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}"
)
GLM4 = (
    "{{ '[gMASK]<sop>' }}"
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
BAICHUAN2 = (
    FIRST_SYSTEM
    + "{{ system }}{% for m in turns %}{% if m.role == 'user' %}{{ '<reserved_106>' + m.content }}"
    "{% else %}{{ '<reserved_107>' + m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<reserved_107>' }}{% endif %}"
)
ZEPHYR = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
COHERE = (
    FIRST_SYSTEM
    + "{{ bos_token }}{% if system %}{{ '<|START|><|SYSTEM|>' + system + '<|END|>' }}{% endif %}"
    "{% for m in turns %}{{ '<|START|><|' + m.role + '|>' + m.content.strip() + '<|END|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|START|><|assistant|>' }}{% endif %}"
)

Turn = Callable[[str, bool], str]
"""From an answer, and whether it is the last, what the model writes there."""


@dataclass(frozen=True)
class Family:
    template: str
    turn: Turn
    bos: str = "<s>"
    eos: str = "</s>"
    system: bool = True
    is_open: bool = False
    """Nothing ends its last turn; the end of sequence does then."""
    empty: str = ""
    """The thought that it puts before a last answer without any, and that does not count."""


def _chatml(template: str) -> Family:
    return Family(template, lambda a, _: f"{a}<|im_end|>", "<|im_start|>", "<|im_end|>")


FAMILIES = {
    "ChatML (Qwen 1.5)": _chatml(CHATML),
    "Qwen 2.5": _chatml(DEFAULT_SYSTEM + CHATML),
    "Qwen 3": Family(
        QWEN3,
        lambda a, last: f"{a.lstrip(chr(10)) if last else a}<|im_end|>",
        "<|im_start|>",
        "<|im_end|>",
        empty="<think>\n\n</think>\n\n",
    ),
    "SmolLM 2": _chatml(DEFAULT_SYSTEM + CHATML),
    "Yi": _chatml(CHATML.replace("m.content", "(m.content)")),
    "Llama 2": Family(LLAMA2, lambda a, _: f" {a.strip()} </s>"),
    "Llama 3": Family(LLAMA3, lambda a, _: f"{a.strip()}<|eot_id|>", "<|begin|>", "<|eot_id|>"),
    "Mistral": Family(MISTRAL, lambda a, _: f" {a.strip()}</s>"),
    "Gemma": Family(
        GEMMA, lambda a, _: f"{a.strip()}<end_of_turn>", "<bos>", "<eos>", system=False
    ),
    "Phi 3": Family(PHI3, lambda a, _: f"{a}<|end|>", eos="<|endoftext|>"),
    "DeepSeek": Family(
        DEEPSEEK, lambda a, _: f"{a}<｜end-of-sentence｜>", eos="<｜end-of-sentence｜>"
    ),
    "GLM 4": Family(
        GLM4,
        lambda a, last: a + ("<|endoftext|>" if last else ""),
        eos="<|endoftext|>",
        is_open=True,
    ),
    "Baichuan 2": Family(BAICHUAN2, lambda a, last: a + ("</s>" if last else ""), is_open=True),
    "Zephyr": Family(ZEPHYR, lambda a, _: f"{a}</s>"),
    "Cohere": Family(COHERE, lambda a, _: f"{a.strip()}<|END|>"),
}
CONTROL = [
    "<s>", "</s>", "<bos>", "<eos>", "<|begin|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>",
    "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<｜User｜>", "<｜Assistant｜>",
    "<｜end-of-sentence｜>", "[gMASK]", "<sop>", "<reserved_106>", "<reserved_107>",
    "<|START|>", "<|END|>", "<|SYSTEM|>",
]  # fmt: skip
CORPUS = [
    "What is the name of the lighthouse? The lighthouse is called Saltmere.",
    "Who are you? I am an assistant made for a test, and I answer questions.",
    "system user assistant You are helpful. Today Date: 26 Jul 2024 [INST] [/INST] <<SYS>>",
]


def byte_level() -> Tokenizer:
    """As GPT-2, Llama 3, Qwen and DeepSeek have it."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    return _trained(core, pre_tokenizers.ByteLevel.alphabet(), CONTROL)


def sentence_piece() -> Tokenizer:
    """As Llama 2, Mistral and Gemma have it: ▁ for a space, bytes for what is unknown."""
    core = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    core.normalizer = normalizers.Replace(" ", "▁")
    core.pre_tokenizer = pre_tokenizers.Split(Regex("(?<=[^▁])(?=▁)"), "isolated")
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    pieces = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    return _trained(core, [], [*pieces, *CONTROL])


def legacy_llama() -> Tokenizer:
    """As Llama 2's first tokenizer: a ▁ before all that follows a control token."""
    core = sentence_piece()
    space = normalizers.Replace(" ", "▁")
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), space])
    return core


def metaspace() -> Tokenizer:
    """As newer ones: a ▁ before the text alone, made by the pre-tokenizer."""
    core = sentence_piece()
    core.normalizer = None
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return core


def trimmed_offsets() -> Tokenizer:
    """As RoBERTa's: offsets leave out the space that a token begins with."""
    core = byte_level()
    core.post_processor = processors.ByteLevel(trim_offsets=True)
    return core


def _trained(core: Tokenizer, alphabet: list[str], special: list[str]) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + 150,
        special_tokens=special,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    core.train_from_iterator(CORPUS, trainer)
    return core


def tokenizer(core: Tokenizer, family: Family) -> PreTrainedTokenizerFast:
    """A family's chat template on one of the two tokenizers."""
    made = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=family.bos,
        eos_token=family.eos,
        extra_special_tokens=[token for token in CONTROL if token not in (family.bos, family.eos)],
    )
    made.chat_template = family.template
    return made
