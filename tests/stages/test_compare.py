"""compare, from the evaluations of the models that there are to a page and a summary."""

from pathlib import Path

import pytest

from finery.comparison.variants import NotComparable
from finery.params.report import ComparedParams
from stages.compare import compare
from tests.finery.comparison.made import evaluations


def test_a_page_and_a_summary_of_the_formats_wanted(tmp_path: Path):
    evaluations(tmp_path)
    (tmp_path / "samples/gguf.jsonl").write_text("left from before gguf was taken out\n")
    page, summary = tmp_path / "compare.html", tmp_path / "compare.md"
    params = ComparedParams(language="zh", formats=["awq"])
    given = (params, tmp_path / "evaluate", tmp_path / "samples")
    compare(*given, page=page, summary=summary)
    assert "模型对比" in page.read_text() and "awq 对比 merged" in summary.read_text()
    with pytest.raises(NotComparable, match=r"gptq/metrics\.json: missing; run the evaluation"):
        compare(
            ComparedParams(language="en", formats=["gptq"]), *given[1:], page=page, summary=summary
        )
