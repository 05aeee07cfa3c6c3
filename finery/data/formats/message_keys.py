"""What a message holds beside who says what: honoured, said once a dataset, or refused."""

from collections.abc import Iterable
from typing import Any

from finery.data.rows.bad_rows import FieldError
from finery.data.rows.fields import Fields, shown

THINKING = ("reasoning_content", "thinking", "reasoning")
"""What the model thinks before it answers. Chat templates know it by the first of these names."""
WEIGHTS = ("weight", "loss_weight", "loss", "train", "training", "trainable")
"""Whether the loss counts an answer: names of OpenAI and Mistral, LLaMA-Factory, ms-swift, Axolotl
and others; 0 or false, 1 or true."""
ABOUT = {
    *("id", "uuid", "uid", "message_id", "parent_id", "index", "idx", "turn", "turn_id"),
    *("timestamp", "created_at", "create_time", "updated_at", "update_time", "date", "time"),
    *("model", "model_name", "lang", "language", "source", "url", "hash", "score", "rating"),
    *("markdown", "text", "html", "tokens", "token_count", "num_tokens", "length"),
    *("metadata", "meta"),
}
"""What is known about a message and is no part of what is said."""
MEDIA = {"image", "images", "image_url", "video", "videos", "audio", "audios", "input_audio"}
ADVICE = {
    "refusal": "write what the model is to say as its content",
    "name": "write who speaks into the content",
    "tool_call_id": "it belongs to the result of a tool",
    "tool_calls": "only the assistant calls tools",
    "function_call": "only the assistant calls tools, and by tool_calls or function_call",
}
MARKS = ("mask", "loss", "train", "weight")


def empty(value: Any) -> bool:
    """Whether a value says nothing: null, white space, or nothing but such values; also as JSON."""
    if isinstance(value, str):
        return not value or value.isspace() or value.strip() in ("[]", "{}")
    if isinstance(value, dict):
        return all(empty(each) for each in value.values())
    return value is None or (isinstance(value, list) and all(map(empty, value)))


def thinking(row: Fields, place: str, held: dict[str, Any], answers: bool) -> str:
    """What a message says of the thinking before it; "" if nothing. Taken out of `held`.

    Raises `FieldError` if its names say different things, or another than the assistant thinks.
    """
    found = {key: row.filled(f"{place}.{key}", held.pop(key)) for key in THINKING if key in held}
    for key in found if not answers else ():
        raise FieldError(f"{place}.{key}", "unread-key", "only the assistant thinks; remove it")
    return _agreed(place, found) or ""


def counts(place: str, held: dict[str, Any], answers: bool) -> bool:
    """Whether the loss counts a message, if it is an answer. Its marks are taken out of `held`.

    Raises `FieldError` for a mark that is neither 0 nor 1, for two that disagree, and for one
    that asks to train on what is no answer.
    """
    found = {key: held.pop(key) for key in WEIGHTS if key in held}
    for key, value in found.items():
        if not isinstance(value, (int, float)) or value not in (0, 1):
            problem = f"must be 0 or 1, not {shown(value)}: an answer counts, or it does not"
            raise FieldError(f"{place}.{key}", "weight", problem)
        if value and not answers:
            problem = "only answers are trained on; set it to 0, or remove it"
            raise FieldError(f"{place}.{key}", "weight", problem)
    found = {key: bool(value) for key, value in found.items()}
    return _agreed(place, found) is not False


def refuse_unread(row: Fields, column: str, place: str, held: dict[str, Any]) -> None:
    """Note what is left and only about the message in `row`, and raise `FieldError` for the rest.

    `column` is where the message is, and `place` that with the message's number.
    """
    for key in held:
        if key in ABOUT:
            row.unread += (f"{column}.{key}",)
            continue
        if key in MEDIA:
            problem = f"holds {key}, and only text can be trained on; remove the row"
            raise FieldError(f"{place}.{key}", "media", problem)
        names = ", ".join(shown(f"{column}.{name}") for name in held if name not in ABOUT)
        ignored = f'add "ignore": [{names}] to its entry in dataset_info.json'
        problem = f"is not read; {_advice(key)}, or {ignored}"
        raise FieldError(f"{place}.{key}", "unread-key", problem)


def joined(place: str, parts: Iterable[Any]) -> str:
    """The text of a content that is a list of parts, one behind the other as templates put them."""
    texts = []
    for number, part in enumerate(parts):
        where = f"{place}.{number}"
        if not isinstance(part, dict):
            problem = f"must be an object with type and text, not {shown(part)}"
            raise FieldError(where, "not-an-object", problem)
        kind, text = part.get("type"), part.get("text")
        if kind in MEDIA or not isinstance(text, str):
            problem = f"is of the type {shown(kind)}, and only text can be trained on"
            raise FieldError(where, "media" if kind in MEDIA else "not-text", problem + _hint(kind))
        for key in part:
            if key not in ("type", "text") and not empty(part[key]):
                raise FieldError(f"{where}.{key}", "unread-key", "is not read; remove it")
        texts.append(text)
    return "".join(texts)


def _agreed(place: str, found: dict[str, Any]) -> Any:
    """The one value that different names of it have; None if there is none."""
    first, *others = found or [None]
    for key in others:
        if found[key] != found[first]:
            problem = f"says something else than {first}; keep one of them"
            raise FieldError(f"{place}.{key}", "unread-key", problem)
    return found.get(first)


def _advice(key: str) -> str:
    if any(mark in key for mark in MARKS):
        return 'write "weight": 0 for an answer that is not to be trained on'
    return ADVICE.get(key, "remove it")


def _hint(kind: Any) -> str:
    if kind in THINKING:
        return "; write it as reasoning_content of the message"
    return "; remove the row"
