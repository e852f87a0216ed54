"""A Pay.gov of one's own: behaves like the real one, misbehaves on request, and keeps books of who was charged.

Reads top down as: ``core`` (what Pay.gov does), ``books`` (what it remembers), ``misbehaviour`` (what goes wrong, as
data), ``answers`` (SOAP), and two doors: ``app`` with ``server`` (HTTP) and ``in_process`` (no sockets, virtual time).
"""

from bursar.paygov.simulator.books import Books, BooksError, Charge, Entry
from bursar.paygov.simulator.core import PayerRefused, Simulator, SimulatorSettings
from bursar.paygov.simulator.in_process import SimulatorTransport
from bursar.paygov.simulator.misbehaviour import KINDS, Misbehaviour, MisbehaviourPlan

__all__ = [
    "KINDS",
    "Books",
    "BooksError",
    "Charge",
    "Entry",
    "Misbehaviour",
    "MisbehaviourPlan",
    "PayerRefused",
    "Simulator",
    "SimulatorSettings",
    "SimulatorTransport",
]
