"""Take the pictures of docs/screenshots: start `bursar up --demo` in a new folder and visit its pages.

.venv/bin/python -m tools.screenshots
"""

import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page

from tests.support.bootstrap.whole_system import running_up
from tests.support.dashboard.served import open_browser

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
WIDTH: Final = 1280
PICTURES: Final = (
    # name, path, height, color scheme, language
    ("overview", "/dashboard/", 1240, "light", "en-US"),
    ("transactions", "/dashboard/transactions?q=failed+%3E%2450", 800, "light", "en-US"),
    ("payment", "/dashboard/transactions?status=processed", 1000, "light", "en-US"),
    ("report", "/dashboard/reports/trend", 900, "dark", "en-US"),
    ("overview-dark-spanish", "/dashboard/?period=last_fiscal_year", 1000, "dark", "es-US"),
)


def main() -> None:
    """Take every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_up(Path(folder) / "data", "--demo") as up,
        open_browser() as browser,
    ):
        for name, path, height, scheme, language in PICTURES:
            page = _opened(browser, scheme, language, height)
            page.goto(up.portal_url + path, wait_until="networkidle")
            if name == "payment":
                page.locator("[data-row] a").first.click()
                page.wait_for_load_state("networkidle")
            page.screenshot(path=FOLDER / f"{name}.png")
            page.context.close()


def _opened(browser: Browser, scheme: str, language: str, height: int) -> Page:
    context = browser.new_context(
        viewport={"width": WIDTH, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        locale=language,
    )
    return context.new_page()


if __name__ == "__main__":
    main()
