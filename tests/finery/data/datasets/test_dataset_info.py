import json
from pathlib import Path
from typing import Any

import pytest

from finery.data.datasets.dataset_info import find
from finery.data.datasets.entries import Entry
from finery.data.errors import DataError

ROLES = {"role_tag": "role", "content_tag": "content", "user_tag": "u", "assistant_tag": "a"}
SAID = {"formatting": "sharegpt"}


def entry(folder: Path, values: Any, name: str = "d") -> Entry:
    (folder / "dataset_info.json").write_text(json.dumps({name: values, "other": [1]}))
    return find(folder, name)


def test_the_defaults(tmp_path: Path):
    found = entry(tmp_path, {"file_name": "d.json"})
    assert (found.formatting, found.ranking, found.split) == ("alpaca", False, "train")
    columns = {key: name for key, name in found.columns.model_dump().items() if name}
    assert columns == {
        "prompt": "instruction", "query": "input", "response": "output",
        "messages": "conversations", "keywords": "keywords",
    }  # fmt: skip
    assert found.tags.model_dump() == {
        "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
        "observation_tag": "observation", "function_tag": "function_call", "system_tag": "system",
    }  # fmt: skip


def test_one_name_takes_all_defaults_away(tmp_path: Path):
    columns = entry(tmp_path, {"file_name": "d", "columns": {"prompt": "q"}}).columns
    assert {key: name for key, name in columns.model_dump().items() if name} == {
        "prompt": "q",
        "keywords": "keywords",
    }
    tags = entry(
        tmp_path, {"file_name": "d", **SAID, "columns": {"messages": "m"}, "tags": ROLES}
    ).tags
    assert (tags.user_tag, tags.system_tag, tags.function_tag) == ("u", None, None)
    assert tags.roles == {"u": "user", "a": "assistant"}


@pytest.mark.parametrize(
    "values, kind",
    [
        ({}, "chat"),
        (SAID, "chat"),
        ({"columns": {"prompt": "text"}}, "text"),
        ({"columns": {"prompt": "q", "response": "a"}}, "chat"),
        ({"columns": {"prompt": "q", "response": "a", "kto_tag": "ok"}}, "kto"),
        ({"columns": {"messages": "m", "kto_tag": "ok"}, **SAID}, "kto"),
        ({"ranking": True, "columns": {"prompt": "q", "chosen": "c", "rejected": "r"}},
         "preference"),
        ({"ranking": True, "columns": {"messages": "m", "chosen": "c", "rejected": "r"}, **SAID},
         "preference"),
    ],
)  # fmt: skip
def test_kinds(tmp_path: Path, values: dict, kind: str):
    assert entry(tmp_path, {"file_name": "d.json"} | values).kind == kind


@pytest.mark.parametrize("source", ["file_name", "hf_hub_url", "ms_hub_url", "cloud_file_name"])
def test_every_key_of_llama_factory(tmp_path: Path, source: str):
    values = {source: "d", "file_sha1": "0", "subset": None, "folder": None, "num_samples": 5}
    assert entry(tmp_path, values).num_samples == 5


MISSING = "missing; name it, an entry that names some has no defaults for the others"


@pytest.mark.parametrize(
    "values, problem",
    [
        ({}, "d.file_name: missing; name a file, or set hf_hub_url, ms_hub_url or cloud_file_name"),
        *[
            (more | {"script_url": "x.py"}, "d.script_url: runs code of the dataset's author,"
             " which is refused; remove it, and set file_name")
            for more in ({}, {"file_name": "x"}, {"cloud_file_name": "s3://x"})
        ],
        ({"om_hub_url": "a/b"},
         "d.om_hub_url: openMind is not read; remove it, and download its files"),
        ({"file_nam": "x"}, "d.file_nam: not known here; did you mean 'file_name'?"),
        ({"file_name": "x", "columns": {"promt": "q"}},
         "d.columns.promt: not known here; did you mean 'prompt'?"),
        ({"file_name": "x", "tags": {"user": "q"}},
         "d.tags.user: not known here; did you mean 'user_tag'?"),
        ({"file_name": "x", "formatting": "sharegtp"},
         "d.formatting: must be 'alpaca', 'sharegpt' or 'openai', not \"sharegtp\""),
        ({"file_name": 3}, "d.file_name: must be a valid string, not 3"),
        ({"file_name": "x", "columns": ["q"]}, 'd.columns: must be an object, not ["q"]'),
        ("x.json", 'd: must be an object, not "x.json"'),
        ({"file_name": "x", "num_samples": 0},
         "d.num_samples: must be greater than or equal to 1, not 0"),
        ({"file_name": "x", "split": "test"},
         "d.split: 'test': files are all one split, train; remove it"),
        ({"hf_hub_url": "a/b", "split": "train[:10%]"},
         "d.split: 'train[:10%]': slices are not read; name the split alone, and set num_samples"),
        ({"file_name": "x", "ranking": True},
         'd.columns.chosen: missing; with ranking all columns are named, such as "columns":'
         ' {"prompt": "instruction", "query": "input", "chosen": "chosen", "rejected":'
         ' "rejected"}'),
        ({"file_name": "x", "ranking": True, **SAID},
         'd.columns.chosen: missing; with ranking all columns are named, such as "columns":'
         ' {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}'),
        ({"file_name": "x", "ranking": True, "columns": {"prompt": "q", "chosen": "c"}},
         f"d.columns.rejected: {MISSING}"),
        ({"file_name": "x", "ranking": True, **SAID, "tags": {"role_tag": "role"},
          "columns": {"messages": "m", "chosen": "c", "rejected": "r"}},
         f"d.tags.content_tag: {MISSING}"),
        ({"file_name": "x", "columns": {"response": "a"}}, f"d.columns.prompt: {MISSING}"),
        ({"file_name": "x", "columns": {"prompt": "a", "history": "h"}},
         f"d.columns.response: {MISSING}"),
        ({"file_name": "x", "columns": {"prompt": "a", "kto_tag": "h"}},
         f"d.columns.response: {MISSING}"),
        ({"file_name": "x", **SAID, "columns": {"system": "s"}},
         f"d.columns.messages: {MISSING}"),
        ({"file_name": "x", **SAID, "tags": {"role_tag": "role"}},
         f"d.tags.content_tag: {MISSING}"),
        ({"file_name": "x", "num_samples": "5"}, 'd.num_samples: must be a valid integer, not "5"'),
        ({"file_name": "x", "num_samples": True},
         "d.num_samples: must be a valid integer, not true"),
        ({"file_name": "x", "columns": {"prompt": "q", "response": "q"}},
         "d.columns.response: 'q' is columns.prompt, too; correct one of them"),
        ({"file_name": "x", "ranking": True,
          "columns": {"prompt": "q", "chosen": "c", "rejected": "c"}},
         "d.columns.rejected: 'c' is columns.chosen, too; correct one of them"),
        ({"file_name": "x", **SAID, "columns": {"messages": "m", "system": "m"}},
         "d.columns.system: 'm' is columns.messages, too; correct one of them"),
        ({"file_name": "x", **SAID, "columns": {"messages": "m"},
          "tags": ROLES | {"user_tag": "a"}},
         "d.tags.assistant_tag: 'a' is tags.user_tag, too; correct one of them"),
        ({"file_name": "x", **SAID, "columns": {"messages": "m"},
          "tags": ROLES | {"content_tag": "role"}},
         "d.tags.content_tag: 'role' is tags.role_tag, too; correct one of them"),
        ({"file_name": "x", "ranking": True, "columns": {"kto_tag": "h"}},
         "d.columns.kto_tag: not with ranking; keep one of them"),
    ],
)  # fmt: skip
def test_what_is_wrong(tmp_path: Path, values: Any, problem: str):
    with pytest.raises(DataError) as caught:
        entry(tmp_path, values)
    assert str(caught.value) == f"{tmp_path}/dataset_info.json: {problem}"


def test_a_hub_comes_before_a_script(tmp_path: Path):
    values = {"hf_hub_url": "a/b", "om_hub_url": "c/d", "script_url": "x.py", "file_name": "x"}
    assert entry(tmp_path, values).remote


def test_an_entry_that_nobody_asked_for_may_be_wrong(tmp_path: Path):
    (tmp_path / "dataset_info.json").write_text('{"d": {"file_name": "x"}, "e": {"script_url": 3}}')
    assert find(tmp_path, "d").file_name == "x"


def test_a_name_given_twice(tmp_path: Path):
    (tmp_path / "dataset_info.json").write_text('{"d": {"file_name": "x"}, "d": {}}')
    with pytest.raises(DataError, match=r"json: d: is written twice in one object; keep one$"):
        find(tmp_path, "d")
