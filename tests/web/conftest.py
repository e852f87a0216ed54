"""Fixtures of the web room."""

from tests.support.scripted_server import scripted

__all__ = ["scripted"]
