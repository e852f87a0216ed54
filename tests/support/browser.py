"""Chromium, and the rules of accessibility that every page in it must keep."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM_FLAGS: Final = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ANSWER_TIMEOUT_S: Final = 120
NEEDS_BROWSER: Final = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"), reason="no Chromium here: install the package 'chromium'"
    ),
]
WCAG_TAGS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
AXE_VIOLATIONS: Final = """async (rules) => {
  await Promise.all(document.getAnimations().map((each) => each.finished));
  const report = await axe.run(document, {runOnly: rules, resultTypes: ["violations"]});
  return report.violations.flatMap((each) =>
    each.nodes.map((node) => `${each.id}: ${node.html.slice(0, 140)} ${node.failureSummary.slice(0, 200)}`));
}"""


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Start Chromium."""
    with sync_playwright() as playwright:
        expect.set_options(timeout=ANSWER_TIMEOUT_S * 1000)
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        yield chromium
        chromium.close()
