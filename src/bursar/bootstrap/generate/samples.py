"""Make metadata that fit the JSON schema of a fee. No value belongs to a real person."""

import random
from collections.abc import Mapping
from typing import Any, Final

from bursar.payments.catalogue.fees import Fee

_NUMBER_MAX: Final = 80
_TEXT_MIN: Final = 1


def sample_metadata(fee: Fee, randomness: random.Random) -> dict[str, Any]:
    """Return a value for each property that the schema of ``fee`` requires."""
    schema = fee.metadata_schema
    properties: Mapping[str, Any] = schema.get("properties", {})
    number = randomness.randrange(1, 30_000)
    return {name: _sample(name, properties.get(name, {}), number, randomness) for name in schema.get("required", ())}


def _sample(name: str, schema: Mapping[str, Any], number: int, randomness: random.Random) -> Any:
    if "enum" in schema:
        return randomness.choice(schema["enum"])
    match schema.get("type"):
        case "integer" | "number":
            low = int(schema.get("minimum", 1))
            return randomness.randint(low, min(int(schema.get("maximum", low + _NUMBER_MAX)), low + _NUMBER_MAX))
        case "boolean":
            return randomness.random() < 0.5
        case _:
            return _text(name, schema, number, randomness)


def _text(name: str, schema: Mapping[str, Any], number: int, randomness: random.Random) -> str:
    if schema.get("format") == "email":
        return f"applicant{number}@example.com"
    text = f"{number}-{randomness.randrange(20, 27)}" if "docket" in name.lower() else f"Sample {number}"
    return text.ljust(int(schema.get("minLength", _TEXT_MIN)), "x")[: int(schema.get("maxLength", len(text)))]
