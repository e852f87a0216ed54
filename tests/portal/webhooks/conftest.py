"""Fixtures of the webhooks' tests."""

from tests.support.scripted_server import scripted

__all__ = ["scripted"]
