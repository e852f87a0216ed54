"""docs/payments.md is what the graph and the rules say today."""

from pathlib import Path

from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.payments.status import STATUSES, event_names
from tools.pages.payments_page import payments_page

DOCS = Path(__file__).parents[3] / "docs" / "payments.md"


def test_the_page_is_current() -> None:
    page = payments_page(FeeCatalogue.default())
    assert DOCS.read_text() == page, "run: python -m tools.pages.payments_page > docs/payments.md"


def test_every_status_and_event_appears() -> None:
    page = payments_page(FeeCatalogue.default())
    assert [name for name in (*STATUSES, *event_names()) if name not in page] == []
