"""The steps of a training as users get them wrong: their names, order, starts and settings."""

import re
from pathlib import Path

import pytest

from finery.params.schema import ParamsError, load

from .shipped import OWN, SHIPPED, problems


def test_settings_of_a_version_without_steps(file: Path):
    text = re.sub(r"(?ms)^train:.*?^merge:", "train:\n  lora: {rank: 8}\n  learning_rate: 1.0e-4\n"
                  "  seed: 1\n  optim: sgd\n  max_steps: 3\n\nmerge:", SHIPPED)  # fmt: skip
    file.write_text(text.replace("  test: [", "  train: [identity]\n  test: ["))
    with pytest.raises(ParamsError) as caught:
        load(file)
    said = [re.sub(r"^params.yaml:\d+: ", "", line) for line in caught.value.problems]
    assert said == [
        "train.learning_rate: settings belong to a step; put learning_rate, seed, optim and 1 more"
        " under its name, as in train.sft (docs/training.md)",
        "data.train: has moved to train.STEP.data",
    ]


STEP = "{{after: {after}, method: sft, data: [identity], tuner: {{type: lora}}}}"


@pytest.mark.parametrize(
    "steps, said",
    [
        ({"a": "b", "b": "a"},
         ["train.a.after: a after b after a is a circle; start from base",
          "train.b.after: b after a after b is a circle; start from base"]),
        ({"a": "a"}, ["train.a.after: a after a is a circle; start from base"]),
        ({"a": "base", "b": "c"}, ["train.b.after: no step c; there are base, a, b"]),
        ({"a": "base", "gptq": "a"},
         ["train.gptq: no step can be called base, merged, gptq, awq, gguf, adapters, packages or"
          " test; rename it"]),
        ({"a-b": "base"},
         ['train: "a-b" cannot name a step; take small letters, digits and _']),
    ],
)  # fmt: skip
def test_steps_follow_each_other(file: Path, steps: dict[str, str], said: list[str]):
    lines = [f"  {name}: {STEP.format(after=after)}" for name, after in steps.items()]
    train = "\n".join(["train:", *lines, "", "merge:"])
    text = re.sub(r"(?ms)^train:.*?^merge:", train, SHIPPED)
    file.write_text(text.replace("step: sft", "step: a"))
    with pytest.raises(ParamsError) as caught:
        load(file)
    assert [re.sub(r"^params.yaml:\d+: ", "", line) for line in caught.value.problems] == said


STARTS = next(line for line in SHIPPED.splitlines() if line.startswith("starts:"))


def test_a_step_starts_from_a_release_by_a_name(file: Path):
    text = SHIPPED.replace(STARTS, 'starts: {champion: "release:merged@prod"}')
    file.write_text(text.replace("after: base", "after: champion"))
    params = load(file)
    assert (params.train["sft"].after, params.starts) == (
        "champion", {"champion": "release:merged@prod"},
    )  # fmt: skip


@pytest.mark.parametrize(
    "starts, after, said",
    [
        ("{champion: merged@prod}", "champion",
         "starts.champion: must be release:NAME@STAGE or release:NAME@VERSION, such as"
         " release:merged@prod"),
        ('{champion: "release:merged@a b"}', "champion", "starts.champion: must be release:NAME@"),
        ('{sft: "release:merged@prod"}', "base", "starts.sft: models/sft is another model; rename"),
        ('{gptq: "release:merged@prod"}', "base", "starts.gptq: models/gptq is another model"),
        ('{a-b: "release:merged@prod"}', "base", 'starts: "a-b" cannot name a model; take small'),
        ('{champion: "release:merged@prod"}', "champoin",
         "train.sft.after: no step champoin; there are base, champion, sft"),
        ("{}", '"release:merged@prod"',
         "train.sft.after: no step release:merged@prod; there are base, sft; a release has a name"
         ' first: set starts: {champion: "release:merged@prod"}, and after: champion here'),
    ],
)  # fmt: skip
def test_what_a_step_cannot_start_from(file: Path, starts: str, after: str, said: str):
    (problem,) = problems(file, (STARTS, f"starts: {starts}"), ("after: base", f"after: {after}"))
    assert said in problem


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("method: sft", "method: stf", "train.sft.method: there is no stf; did you mean sft?"),
        ("      type: lora\n", "", "train.sft.tuner.type: missing; add it"),
        ("step: sft", "step: dpo", "merge.step: no step dpo; train has sft"),
        ("    tuner:", "    learning_rat: 1\n    tuner:",
         "train.sft.learning_rat: unknown key; did you mean learning_rate?"),
        ("  sft:\n", "  seed: 1\n  sft:\n",
         "train.seed: settings belong to a step; put seed under its name, as in train.sft"),
        (OWN, "data: {train: [identity], val_sice: 0.1}",
         "train.sft.data.val_sice: unknown key; did you mean val_size?"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_step_is_said_of_that_step(file: Path, old: str, new: str, said: str):
    (problem,) = problems(file, (old, new))
    assert said in problem
