"""Fixtures of the paygov room."""

from tests.support.paygov.world import clock, plan, simulator, world
from tests.support.scripted_server import scripted

__all__ = ["clock", "plan", "scripted", "simulator", "world"]
