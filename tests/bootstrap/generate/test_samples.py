"""Sample metadata fit the schema of their fee."""

import random

import pytest

from bursar.bootstrap.generate.samples import sample_metadata
from bursar.payments.catalogue.fees import FeeCatalogue

MORE = b"""
[fees.ODD_FEE]
name = "Odd fee"
tcs_app_id = "ODD"
versions = [{ active_from = 2020-01-01, amount = "1.00" }]

[fees.ODD_FEE.metadata]
type = "object"
required = ["kind", "isUrgent", "share", "note", "unnamed"]

[fees.ODD_FEE.metadata.properties]
kind = { enum = ["a", "b"] }
isUrgent = { type = "boolean" }
share = { type = "number", minimum = 5, maximum = 6 }
note = { type = "string", minLength = 40, maxLength = 41 }
"""


@pytest.mark.parametrize("catalogue", [FeeCatalogue.default(), FeeCatalogue.parse(MORE, source="more")])
def test_metadata_fit_the_schema(catalogue: FeeCatalogue) -> None:
    randomness = random.Random(1)
    for key in catalogue.keys:
        fee = catalogue.fee(key, 1_790_000_000.0)
        assert fee is not None
        for _ in range(50):
            metadata = sample_metadata(fee, randomness)
            assert fee.metadata_problems(metadata) == ()
            assert metadata.keys() == set(fee.metadata_schema["required"])
