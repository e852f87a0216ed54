"""The fixtures of Athena's tests."""

from tests.support.scripted_server import scripted

__all__ = ["scripted"]
