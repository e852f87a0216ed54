"""Each public name of the payments can be imported from the package."""

import bursar.payments


def test_every_public_name_is_there() -> None:
    assert [name for name in bursar.payments.__all__ if not hasattr(bursar.payments, name)] == []
