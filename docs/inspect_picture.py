"""Makes docs/inspect.png: one concept of a coverage report, as a browser shows it.

python docs/inspect_picture.py FOLDER makes it anew from the MIMIC-IV demo on FHIR; needs chromium.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from typer.testing import CliRunner

from bedside.cli import app

HERE = Path(__file__).parent
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
CONCEPT = "temperature"


def main(folder: str) -> None:
    """Inspect the folder, unfold one concept, and keep the picture of it."""
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        file = Path(made) / "report.html"
        CliRunner().invoke(app, ["inspect", folder, "--out", str(file)])
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1000, "height": 1400})
        page.goto(file.as_uri())
        page.locator(f"a[href='#{CONCEPT}']").first.click()
        page.locator(f"details:has(#{CONCEPT})").screenshot(path=HERE / "inspect.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
