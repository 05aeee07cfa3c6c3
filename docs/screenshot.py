"""Make the pictures of docs/ in a real browser: the page of a run under way, and of the models.

`finery run` prints where its page is; while it runs, and once it has:

    python docs/screenshot.py http://127.0.0.1:4200/runs/flow-run/ID --out docs/run.png
    python docs/screenshot.py reports/compare/compare.html --out docs/compare.png
"""

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZE = {"width": 1280, "height": 860}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="the page, as `finery run` prints it, or a file")
    parser.add_argument("--out", type=Path, default=Path("docs/run.png"))
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser to open")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport=SIZE)
        if Path(arguments.url).is_file():
            page.goto(Path(arguments.url).resolve().as_uri())
        else:
            page.goto(arguments.url)
            page.get_by_text("Beginning flow run").first.wait_for()  # the log is there
            page.wait_for_timeout(3000)  # the drawing of the graph comes to rest
        page.screenshot(path=str(arguments.out))
        browser.close()
    print(arguments.out)


if __name__ == "__main__":
    main()
