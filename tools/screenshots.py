"""Take the pictures of docs/screenshots: start `bursar up --demo` in a new folder and visit its pages.

.venv/bin/python -m tools.screenshots
.venv/bin/python -m tools.screenshots console      # those of `bursar dynamo --console` alone
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page

from bursar.dynamo.console.item_texts import key_token
from bursar.dynamo.engine.engine import Engine
from tests.support.bootstrap.whole_system import running_up
from tests.support.browser import open_browser
from tests.support.dynamo.served import Served

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


CONSOLE_PICTURES: Final = (
    ("console-items", "/tables/orders/items?k0=customer-7&sort_operator=%3E%3D&k1=2026-11", 900, "light", "en-US"),
    ("console-versions", "", 820, "dark", "en-US"),
)
ORDER_STATES: Final = ("placed", "paid", "shipped")


def main() -> None:
    """Take every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open_browser() as browser:
        if "console" not in sys.argv[1:]:
            take_dashboard(browser)
        take_console(browser)


def take_console(browser: Browser) -> None:
    """Take the pictures of the console over a table of orders."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "shop.db"
        last = _fill_orders(store)
        options = ("--console", "--console-port=0")
        server = Served(str(store), options=options)
        assert server.process.stdout is not None
        console = server.process.stdout.readline().split()[-1].rstrip("/")
        try:
            for name, path, height, scheme, language in CONSOLE_PICTURES:
                page = _opened(browser, scheme, language, height)
                page.goto(console + (path or last), wait_until="networkidle")
                page.screenshot(path=FOLDER / f"{name}.png")
                page.context.close()
        finally:
            server.stop()


def _fill_orders(store: Path) -> str:
    """Make the table of orders with a past; return the path of the versions of one order."""
    engine = Engine.open(str(store))
    schema = [{"AttributeName": "customer", "KeyType": "HASH"}, {"AttributeName": "placedAt", "KeyType": "RANGE"}]
    types = {"customer": "S", "placedAt": "S", "state": "S"}
    index = {
        "IndexName": "by-state",
        "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    request = {"TableName": "orders", "KeySchema": schema, "BillingMode": "PAY_PER_REQUEST"}
    definitions = [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]
    engine.execute("CreateTable", request | {"AttributeDefinitions": definitions, "GlobalSecondaryIndexes": [index]})
    recovery = {"PointInTimeRecoveryEnabled": True}
    engine.execute("UpdateContinuousBackups", {"TableName": "orders", "PointInTimeRecoverySpecification": recovery})
    for number in range(1, 40):
        key = {
            "customer": {"S": f"customer-{number % 4 + 5}"},
            "placedAt": {"S": f"2026-11-{number % 28 + 1:02d}T09:00Z"},
        }
        for state in ORDER_STATES[: number % 3 + 1]:
            item = key | {
                "state": {"S": state},
                "total": {"N": f"{number * 3.25:.2f}"},
                "lines": {"N": str(number % 5 + 1)},
            }
            engine.execute("PutItem", {"TableName": "orders", "Item": item})
        if number % 3 == 2:
            last = key
    engine.close()
    return f"/tables/orders/item/history?key={key_token(last)}"


def take_dashboard(browser: Browser) -> None:
    """Take the pictures of the dashboard."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_up(Path(folder) / "data", "--demo") as up,
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
