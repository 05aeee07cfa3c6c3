"""compare: the evaluated models side by side, as a page to read and as Markdown."""

from pathlib import Path

from finery.comparison.page import html, markdown, report
from finery.comparison.variants import read_variants
from finery.params.report import ComparedParams


def compare(
    params: ComparedParams, evaluations: Path, samples: Path, *, page: Path, summary: Path
) -> None:
    """Compare merged with base, and each format with merged, on the same test samples.

    `evaluations` has a metrics.json in a folder for each model, `samples` a file of answers. `page`
    gets one HTML file that needs nothing else, `summary` the numbers for a pull request. Raises
    `NotComparable` if the models were not asked the same questions.
    """
    found = report(read_variants(params.models, evaluations, samples))
    page.write_text(html(found, params.language), encoding="utf-8")
    summary.write_text(markdown(found, params.language), encoding="utf-8")
    print(f"{len(found.variants)} models on {found.tables[0].samples} samples side by side")


if __name__ == "__main__":
    from finery.stage.run import run

    run(compare)
