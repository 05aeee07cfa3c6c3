"""The entries of dataset_info.json, with the defaults of LLaMA-Factory 0.9.5 (its parser.py)."""

import json
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["text", "chat", "preference", "kto"]
RUNS_CODE = "runs code of the dataset's author, which is refused; remove it, and set file_name"
MEDIA = ("images", "videos", "audios")
NO_SLICES = "{!r}: slices are not read; name the split alone, and set num_samples"


class Columns(BaseModel):
    """The names of a dataset's columns.

    The defaults are those of an entry that has no `columns`. One that has them names all it
    uses: what it leaves out is not read, so that `{"prompt": "text"}` has no answers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    prompt: str | None = "instruction"
    query: str | None = "input"
    response: str | None = "output"
    history: str | None = None
    messages: str | None = "conversations"
    system: str | None = None
    tools: str | None = None
    chosen: str | None = None
    rejected: str | None = None
    kto_tag: str | None = None
    images: str | None = None
    videos: str | None = None
    audios: str | None = None
    keywords: str | None = "keywords"
    """Words that a right answer contains; test datasets may have them. Finery's own column."""

    @cached_property
    def named(self) -> set[str]:
        """The columns that the entry names itself."""
        return {name for key in self.model_fields_set if (name := getattr(self, key))}

    @cached_property
    def media(self) -> dict[str, str]:
        """What cannot be trained on, and the columns that may hold it."""
        columns = {name: getattr(self, name) for name in MEDIA}
        return {name: column for name, column in columns.items() if column}

    @model_validator(mode="before")
    @classmethod
    def _only_those_named(cls, named: Any) -> Any:
        if not isinstance(named, dict):
            return named
        return dict.fromkeys(set(cls.model_fields) - {"keywords"}) | named


class Tags(BaseModel):
    """What the messages of a conversation are tagged with. As for columns, it is all or none."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    role_tag: str | None = "from"
    content_tag: str | None = "value"
    user_tag: str | None = "human"
    assistant_tag: str | None = "gpt"
    observation_tag: str | None = "observation"
    function_tag: str | None = "function_call"
    system_tag: str | None = "system"

    @cached_property
    def roles(self) -> dict[str, str]:
        """The role, as chat templates call it, of each tag; calls of tools are `function`."""
        tags = {
            "function": self.function_tag, "tool": self.observation_tag,
            "system": self.system_tag, "assistant": self.assistant_tag, "user": self.user_tag,
        }  # fmt: skip
        return {tag: role for role, tag in tags.items() if tag}

    @model_validator(mode="before")
    @classmethod
    def _only_those_named(cls, named: Any) -> Any:
        return dict.fromkeys(cls.model_fields) | named if isinstance(named, dict) else named


class Entry(BaseModel):
    """One dataset of dataset_info.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file_name: str | None = None
    """A file, or a folder of files of one type, in the folder of dataset_info.json."""
    hf_hub_url: str | None = None
    ms_hub_url: str | None = None
    om_hub_url: str | None = None
    cloud_file_name: str | None = None
    """s3://, gs:// or http(s)://: a file, or in a bucket a folder."""
    script_url: str | None = None
    file_sha1: str | None = None
    """Not used, as in LLaMA-Factory since 0.6."""
    formatting: Literal["alpaca", "sharegpt", "openai"] = "alpaca"
    ranking: bool = False
    subset: str | None = None
    split: str = "train"
    folder: str | None = None
    num_samples: Annotated[int, Field(ge=1, strict=True)] | None = None
    """So many rows at random; if the dataset has fewer, some come again."""
    ignore: tuple[str, ...] = ()
    """Columns, and keys of messages ("messages.id"), that are not to be read. Finery's own key."""
    columns: Columns = Columns.model_construct()
    tags: Tags = Tags.model_construct()

    @cached_property
    def kind(self) -> Kind:
        if self.ranking:
            return "preference"
        if self.columns.kto_tag:
            return "kto"
        return "text" if self.formatting == "alpaca" and not self.columns.response else "chat"

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The keys of `columns` that have a place in such a dataset."""
        if self.kind == "text":
            return ("prompt", "query", "response", *MEDIA)
        question = ("messages",) if self.formatting != "alpaca" else ("prompt", "query", "history")
        answer = ("response",) if self.formatting == "alpaca" else ()
        answers = ("chosen", "rejected") if self.ranking else (*answer, "chosen", "rejected")
        verdict = () if self.ranking else ("kto_tag",)
        return (*question, *answers, "system", "tools", *verdict, *MEDIA)

    @cached_property
    def by_name(self) -> dict[str, str]:
        """The keys of the columns that have a place, by their names in small letters."""
        names = {key: getattr(self.columns, key) for key in self.keys}
        return {name.casefold(): key for key, name in names.items() if name}

    @cached_property
    def reads(self) -> frozenset[str]:
        """The columns that are read, and those that are to be passed over."""
        read = {"keywords", *self.keys} - (set() if self.ranking else {"chosen", "rejected"})
        if self.kind == "text":
            read -= {"keywords", "response"}
        names = {getattr(self.columns, key) for key in read}
        return frozenset(filter(None, names)) | frozenset(self.ignore)

    @property
    def remote(self) -> bool:
        return bool(self.hf_hub_url or self.ms_hub_url or self.cloud_file_name)

    @model_validator(mode="after")
    def _usable(self) -> "Entry":
        problems = [*self._source_problems(), *self._column_problems()]
        if problems:
            raise ValueError(problems[0])
        return self

    def _source_problems(self) -> list[str]:
        if not (self.hf_hub_url or self.ms_hub_url):
            if self.script_url:
                return [f"script_url: {RUNS_CODE}"]
            if self.om_hub_url:
                return ["om_hub_url: openMind is not read; remove it, and download its files"]
            if not (self.cloud_file_name or self.file_name):
                return ["file_name: missing; name a file, or set hf_hub_url, ms_hub_url or"
                        " cloud_file_name"]  # fmt: skip
        if "[" in self.split or "+" in self.split:
            return ["split: " + NO_SLICES.format(self.split)]
        if self.split != "train" and not (self.hf_hub_url or self.ms_hub_url):
            return [f"split: {self.split!r}: files are all one split, train; remove it"]
        return []

    def _column_problems(self) -> list[str]:
        columns, tags = self.columns, self.tags
        used = {getattr(columns, key): key for key in self.keys}
        if both := [name for name in self.ignore if name in used]:
            return [f"ignore: {both[0]!r} is columns.{used[both[0]]}; remove it from one of them"]
        if twice := self._named_twice():
            return [twice]
        if self.ranking and columns.kto_tag:
            return ["columns.kto_tag: not with ranking; keep one of them"]
        required = {"columns.prompt": columns.prompt or columns.query}
        if self.formatting != "alpaca":
            names = ("role_tag", "content_tag", "user_tag", "assistant_tag")
            required = {"columns.messages": columns.messages}
            required |= {f"tags.{name}": getattr(tags, name) for name in names}
        if self.ranking:
            required |= {"columns.chosen": columns.chosen, "columns.rejected": columns.rejected}
        elif self.kind == "kto" and self.formatting == "alpaca":
            required |= {"columns.response": columns.response}
        if self.kind == "text" and (columns.history or columns.system or columns.tools):
            required["columns.response"] = None
        return [
            f"{key}: missing; {self._how_named()}" for key, name in required.items() if not name
        ]

    def _named_twice(self) -> str | None:
        """What is wrong where one name stands for two things."""
        keys = [key for key in self.keys if self.ranking or key not in ("chosen", "rejected")]
        groups = [("columns", self.columns, tuple(keys))]
        if self.formatting != "alpaca":
            groups += [("tags", self.tags, ("role_tag", "content_tag")),
                       ("tags", self.tags, ("user_tag", "assistant_tag"))]  # fmt: skip
        for section, names, keys in groups:
            first: dict[str, str] = {}
            for key in keys:
                if (name := getattr(names, key)) and first.setdefault(name, key) != key:
                    other = f"{section}.{first[name]}"
                    return f"{section}.{key}: {name!r} is {other}, too; correct one of them"
        return None

    def _how_named(self) -> str:
        """What to do where a column or a tag has no name."""
        if not self.ranking or "columns" in self.model_fields_set:
            return "name it, an entry that names some has no defaults for the others"
        whole = {"prompt": "instruction", "query": "input"}
        if self.formatting != "alpaca":
            whole = {"messages": "conversations"}
        whole |= {"chosen": "chosen", "rejected": "rejected"}
        return f'with ranking all columns are named, such as "columns": {json.dumps(whole)}'
