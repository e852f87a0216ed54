"""docs/migrating.md and its catalogue agree with the code that they describe."""

import re
from pathlib import Path

from bursar.payments.catalogue.clients import Clients
from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.portal.contract.error_catalogue import CATALOGUE
from bursar.portal.use_cases.health import CHECKS
from bursar.settings import SETTINGS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "migrating.md").read_text(encoding="utf-8")
DURING = 1_795_375_800.0  # 2026-11-22


def test_the_courts_fees_are_a_catalogue() -> None:
    fees = FeeCatalogue.load(DOCS / "examples" / "court-fees.toml")
    found = {key: fees.fee(key, DURING) for key in fees.keys}
    assert {key: (fee.name, str(fee.amount)) for key, fee in found.items() if fee} == {
        "PETITION_FILING_FEE": ("Petition Filing Fee", "60.00"),
        "NONATTORNEY_EXAM_REGISTRATION_FEE": ("Non-Attorney Exam Registration Fee", "250.00"),
    }
    petition = found["PETITION_FILING_FEE"]
    assert petition is not None
    assert not petition.metadata_problems({"docketNumber": "123-26"})
    assert len(petition.metadata_problems({})) == 1


def test_the_example_of_clients_is_valid(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example
    file = tmp_path / "clients.toml"
    file.write_text(example.group(1))
    assert Clients.load(file, known_fees=["PETITION_FILING_FEE"]).names == ("DAWSON",)


def test_every_message_is_the_one_of_its_code() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| .* \| (.*) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 7
    for status, code, message in rows:
        assert int(status) in CATALOGUE[code].statuses
        assert message == CATALOGUE[code].message


def test_every_code_setting_and_check_that_the_page_names_exists() -> None:
    settings = set(re.findall(r"`BURSAR_(\w+)`", PAGE))
    assert {name.lower() for name in settings} <= SETTINGS.keys()
    codes = set(re.findall(r"(?:409|410|502|504) `(\w+)`", PAGE))
    assert codes <= CATALOGUE.keys()
    assert codes
    assert [name for name in CHECKS if f"`{name}`" not in PAGE] == []
