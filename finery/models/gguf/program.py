"""llama.cpp's converter with what it would guess told to it: what convert.py runs.

It looks at a folder as llama.cpp's own users have it. Here the folder's chat template, the tokens
that end an answer and whether its remote code may run are known already.
"""

import json
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from finery import lineage
from finery.models.chat_template import ChatTemplateError, chat_template
from finery.models.gguf.errors import GgufError
from finery.models.gguf.pre_tokenizer import pre_tokenizer
from finery.models.settings import CONFIG, read_settings
from finery.stage.beside import BESIDE, without
from finery.stage.leash import hold

ENDS = ("eos", "eot", "eom")
"""What llama.cpp ends an answer at; a GGUF has one token for each."""
GENERATION = "generation_config.json"


def convert(model: Path, file: Path, outtype: str, name: str) -> None:
    """Write `file`; llama.cpp's packages `gguf` and `conversion` are there to be imported."""
    import conversion
    import gguf
    import torch

    hparams = conversion.ModelBase.load_hparams(model, False)
    architecture = conversion.get_model_architecture(hparams, conversion.ModelType.TEXT)
    kind = conversion.get_model_class(architecture)
    types = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
    _tell(model)
    with torch.inference_mode():
        made = kind(model, gguf.LlamaFileType[types[outtype]], file, model_name=name)
        made.write()


def _tell(model: Path) -> None:
    """Have the converter take what is known about `model` instead of looking for it."""
    import gguf
    from conversion.base import TextModel
    from transformers import AutoConfig, AutoTokenizer

    trusted = lineage.trusts_remote_code(model)
    for loader in (AutoConfig, AutoTokenizer):
        _only_trusting(loader, trusted)
    known, add = TextModel.get_vocab_base_pre, gguf.SpecialVocab.add_to_gguf
    stops = _stops(model)

    def splits(self: Any, tokenizer: Any) -> str:
        try:
            return known(self, tokenizer)
        except NotImplementedError:
            return pre_tokenizer(model)

    def add_told(self: Any, *given: Any, **named: Any) -> None:
        eos = self.special_token_ids.get("eos")
        ends = [eos, *(stop for stop in stops if stop != eos)] if eos in stops else stops
        if ends:
            self.special_token_ids |= dict(zip(ENDS, ends, strict=False))
        self.chat_template = _template(model)
        self.add_special_token |= _put_around(AutoTokenizer.from_pretrained(model))
        add(self, *given, **named)

    TextModel.get_vocab_base_pre = splits
    gguf.SpecialVocab.add_to_gguf = add_told
    gguf.Metadata.load = staticmethod(lambda _, __, name, *___: gguf.Metadata(name=name))


def _only_trusting(loader: Any, trusted: bool) -> None:
    load = loader.from_pretrained

    def from_pretrained(*given: Any, **named: Any) -> Any:
        return load(*given, **named | {"trust_remote_code": trusted, "local_files_only": True})

    loader.from_pretrained = from_pretrained


def _stops(model: Path) -> list[int]:
    """The ids of the tokens that end an answer."""
    for file in (GENERATION, CONFIG):
        found = read_settings(model / file).get("eos_token_id")
        if found not in (None, []):
            return list(found) if isinstance(found, list) else [found]
    return []


def _template(model: Path) -> str | None:
    try:
        return chat_template(model)
    except ChatTemplateError:
        return None


def _put_around(tokenizer: Any) -> dict[str, bool]:
    """Whether the tokenizer puts its begin and end around a text."""
    ids = tokenizer("a")["input_ids"]
    return {
        "bos": ids[0] == tokenizer.bos_token_id,
        "eos": ids[-1] == tokenizer.eos_token_id,
    }


def main() -> int:
    if not hold(int(sys.argv[1])):
        return 1
    sys.path[:0] = [sys.argv[2], str(Path(sys.argv[2]) / "gguf-py")]
    answer = os.dup(1)
    os.dup2(2, 1)
    logging.basicConfig(level=logging.WARNING)
    job = json.loads(sys.stdin.buffer.read())
    try:
        with without((*BESIDE, "gptqmodel", "peft")):
            convert(Path(job["model"]), Path(job["file"]), job["outtype"], job["name"])
    except BaseException as error:
        traceback.print_exc()
        known = isinstance(error, GgufError)
        said = str(error) if known else f"{type(error).__name__}: {error}"
        os.write(answer, said.encode())
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
