"""`finery check` looks at the metrics that the evaluation names; none is run."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from finery.params.schema import ParamsError, load
from finery.preflight.metrics import unfit_metrics

ROOT = Path(__file__).resolve().parents[3]
CODE = """
raise SystemExit
def good(sample): return 1
def more(sample, reference): return 1
def scaled(sample, *, scale): return 1
def nothing(): return 1
async def later(sample): return 1
def fine(*samples, scale=1): return 1
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.chdir(tmp_path)
    Path("metrics").mkdir()
    Path("metrics/mine.py").write_text(CODE)
    return YAML(typ="safe").load((ROOT / "params.yaml").read_text())


def problems(settings: dict, *metrics: str | dict) -> list[str]:
    settings["evaluate"]["metrics"] = list(metrics)
    YAML().dump(settings, Path("params.yaml"))
    try:
        return list(unfit_metrics(load(Path("params.yaml"))))
    except ParamsError as error:
        return [problem.partition(": ")[2] for problem in error.problems]


def test_metrics_that_can_be_taken(settings: dict):
    Path("metrics/s.json").write_text('{"type": "object"}')
    given = ["metrics/mine.py:good", "metrics/mine.py:fine", {"json_schema": "metrics/s.json"}]
    assert problems(settings, "keyword_match", {"regex": r"^\d"}, *given) == []


@pytest.mark.parametrize(
    "metric, said",
    [
        ("metrics/nowhere.py:f", "no such file metrics/nowhere.py"),
        ("metrics/mine.py:goood",
         "metrics/mine.py defines no function goood; did you mean good?"),
        ("metrics/mine.py:more",
         "metrics/mine.py:4: more asks for more than a sample; a metric takes one argument"),
        ("metrics/mine.py:scaled",
         "metrics/mine.py:5: scaled asks for more than a sample; a metric takes one argument"),
        ("metrics/mine.py:nothing",
         "metrics/mine.py:6: nothing takes nothing; a metric takes a sample"),
        ("metrics/mine.py:later",
         "metrics/mine.py:7: later is asynchronous; write it with def alone"),
        ({"json_schema": "metrics/none.json"}, "no such file metrics/none.json"),
        # settings that no file can make good
        ("mine.py:f", "mine.py:f must be FILE.py:NAME in the folder metrics, such as"
         " metrics/mine.py:f1"),
        ("metrics/../mine.py:f", "metrics/../mine.py:f must be FILE.py:NAME in the folder metrics,"
         " such as metrics/mine.py:f1"),
        ("metrics/mine.py", "metrics/mine.py must be FILE.py:NAME in the folder metrics, such as"
         " metrics/mine.py:f1"),
        ("metrics/mine.py:loss", "metrics/mine.py:loss: loss has a meaning of its own in the"
         " reports; rename the function"),
        ("bleurt", "no metric 'bleurt'; did you mean bleu? A function of your own is"
         " metrics/FILE.py:NAME"),
        ("cider", "no metric 'cider'; there are exact_match, call_match, keyword_match, rouge,"
         " bleu, chrf, f1, regex, json_valid, json_schema, length, stop_rate. A function of your"
         " own is metrics/FILE.py:NAME"),
        ("rouge2", "rouge2 is a number that rouge gives; write rouge"),
        ("perplexity", "perplexity is always measured; leave it out"),
        ("regex", "regex takes a pattern; write {regex: ...}"),
        ({"bleu": "4"}, "bleu takes nothing; write its name alone"),
        ({"regex": "(a"}, "regex '(a': missing ) at position 2; correct the pattern"),
        ({"json_schema": "s.json"}, "json_schema s.json must be in the folder metrics"),
        ({"regex": "a", "bleu": "b"}, "has 2 keys; write one metric an entry"),
        ("keyword_match", "keyword_match is there twice; keep one, or rename the function"),
        ("metrics/mine.py:keyword_match", "metrics/mine.py:keyword_match and keyword_match both"
         " give keyword_match; keep one, or rename the function"),
    ],
)  # fmt: skip
def test_one_line_for_each_that_cannot(metric: str | dict, said: str, settings: dict):
    assert problems(settings, "keyword_match", metric) == [f"evaluate.metrics.1: {said}"]


def test_what_is_neither_a_name_nor_a_mapping(settings: dict):
    for wrong, shown in ((5, "5"), ({"regex": 5}, '{"regex": 5}'), (None, "null")):
        assert problems(settings, wrong) == [
            "evaluate.metrics.0: must be the name of a metric, or one with the text that it takes,"
            f" {{regex: PATTERN}}, not {shown}"
        ]


def test_rules_ask_for_what_is_measured(settings: dict):
    own = {"model": "merged", "metric": "all.good", "min": 1}
    settings["gate"]["rules"] = [own, own | {"metric": "all.chrf"}, own | {"metric": "all.god"}]
    settings["release"]["metrics"] = ["all.good", "all.bleu", "all.rouge1"]
    found = problems(settings, "bleu", "metrics/mine.py:good")
    assert found == [
        "gate.rules.1.metric: chrf is not measured; add chrf to evaluate.metrics",
        "gate.rules.2.metric: unknown metric god; one of loss, perplexity, unfinished, bleu, good;"
        " did you mean good?",
        "release.metrics.1: all.bleu does not fit: DATASET.METRIC, and METRIC is measured on each"
        " sample: loss, unfinished, good",
        "release.metrics.2: rouge1 is not measured; add rouge to evaluate.metrics",
    ]
