"""Take the pictures of docs/screenshots: start `bursar up --demo` in a new folder and visit its pages.

.venv/bin/python -m tools.screenshots [NAME …]      all pictures, or those with these names; console: those of
                                                   `bursar dynamo --console`
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page

from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.roles import EVERY_ROLE
from bursar.dynamo.console.item_texts import key_token
from bursar.dynamo.engine.engine import Engine
from tests.support.bootstrap.whole_system import running_up
from tests.support.browser import open_browser
from tests.support.dashboard.office import Office
from tests.support.dashboard.provider import FakeProvider, provider_of
from tests.support.dashboard.served import served
from tests.support.dynamo.served import Served

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
WIDTH: Final = 1280
TIMEOUT_MS: Final = 180_000
NARROW: Final = 320
FIRST_ROW: Final = "[data-row] a"
STATEMENT: Final = (
    "SELECT month(created_on) AS month, fee, sum(amount) AS amount\nFROM payments GROUP BY ALL ORDER BY ALL"
)
BY_STATUS: Final = "period=last_quarter&by=status&measure=number"
PICTURES: Final = (
    # name, path, width, height, color scheme, language
    ("overview", "/dashboard/", WIDTH, 1340, "light", "en-US"),
    ("transactions", "/dashboard/transactions?q=failed+%3E%2450", WIDTH, 800, "light", "en-US"),
    ("payment", "/dashboard/transactions?status=processed", WIDTH, 1000, "light", "en-US"),
    ("report", "/dashboard/reports/monthly_finance", WIDTH, 1300, "dark", "en-US"),
    ("sql", "/dashboard/sql", WIDTH, 1100, "light", "en-US"),
    ("reconciliation", "/dashboard/reconciliation", WIDTH, 1340, "light", "en-US"),
    ("operations", "/dashboard/operations", WIDTH, 760, "light", "en-US"),
    ("sandbox", "/dashboard/sandbox", WIDTH, 1000, "light", "en-US"),
    ("access-log", "/dashboard/access-log", WIDTH, 700, "light", "en-US"),
    ("overview-dark-spanish", f"/dashboard/?{BY_STATUS}", WIDTH, 1340, "dark", "es-US"),
    ("overview-narrow", "/dashboard/?period=last_fiscal_year", NARROW, 1100, "light", "en-US"),
)
OF_AN_OFFICE: Final = ("sign-in",)
"""Pictures of what `bursar up` does not have: people who sign in at a provider."""

CONSOLE_PICTURES: Final = (
    ("console-items", "/tables/orders/items?k0=customer-7&sort_operator=%3E%3D&k1=2026-11", 900, "light", "en-US"),
    ("console-versions", "", 820, "dark", "en-US"),
)
ORDER_STATES: Final = ("placed", "paid", "shipped")
CONSOLE: Final = "console"


def main() -> None:
    """Take every picture, or those that the command line names."""
    wanted = set(sys.argv[1:]) or {*(each[0] for each in PICTURES), *OF_AN_OFFICE, CONSOLE}
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        if wanted - {*OF_AN_OFFICE, CONSOLE}:
            with running_up(Path(folder) / "data", "--demo") as up:
                for name, path, width, height, scheme, language in PICTURES:
                    if name in wanted:
                        with _opened(browser, scheme, language, width, height) as page:
                            page.goto(up.portal_url + path, wait_until="networkidle")
                            _act(page, name)
                            page.screenshot(path=FOLDER / f"{name}.png")
        if wanted & set(OF_AN_OFFICE):
            _take_of_an_office(browser, Path(folder) / "office")
        if CONSOLE in wanted:
            _take_console(browser)


def _act(page: Page, name: str) -> None:
    """Do on a page what its picture shows."""
    if name == "payment":
        page.locator(FIRST_ROW).first.click()
    elif name == "reconciliation":
        page.locator(FIRST_ROW).first.click()  # the newest run, which has differences
    elif name == "sql":
        page.get_by_label("Statement", exact=True).fill(STATEMENT)
        page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_load_state("networkidle")


def _take_of_an_office(browser: Browser, folder: Path) -> None:
    async def fill(office: Office) -> dict[str, Any]:
        return {"portal": office.portal(), "provider": provider_of(FakeProvider(office.wall))}

    folder.mkdir()
    with (
        served(folder, Account("ada", EVERY_ROLE, "x"), fill) as running,
        _opened(browser, "light", "en-US", WIDTH, 600) as page,
    ):
        page.goto(f"{running.url}/dashboard/sign-in", wait_until="networkidle")
        page.screenshot(path=FOLDER / "sign-in.png")


def _take_console(browser: Browser) -> None:
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
                with _opened(browser, scheme, language, WIDTH, height) as page:
                    page.goto(console + (path or last), wait_until="networkidle")
                    page.screenshot(path=FOLDER / f"{name}.png")
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


@contextmanager
def _opened(browser: Browser, scheme: str, language: str, width: int, height: int) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        locale=language,
    )
    context.set_default_timeout(TIMEOUT_MS)
    yield context.new_page()
    context.close()


if __name__ == "__main__":
    main()
