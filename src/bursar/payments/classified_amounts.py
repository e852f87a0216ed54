"""The parts of an amount that belong to the Treasury's accounts, and the text in which items store them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class ClassifiedAmount:
    """The part of an amount, in dollars, that belongs to one account of the Treasury."""

    classification_id: str
    amount: Decimal


def classification_text(parts: Sequence[ClassifiedAmount]) -> str:
    """Return the JSON text of a classification, as items store it: ``[["id", "24.00"], …]``."""
    return json.dumps([[part.classification_id, f"{part.amount:f}"] for part in parts], separators=(",", ":"))


def classification_of_text(text: str) -> tuple[ClassifiedAmount, ...]:
    """Return the classification whose text is ``text``. Raises ``ValueError`` for other text."""
    return tuple(ClassifiedAmount(name, Decimal(amount)) for name, amount in json.loads(text))
