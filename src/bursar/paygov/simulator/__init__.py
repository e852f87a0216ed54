"""A simulator of Pay.gov: it behaves like Pay.gov, misbehaves on request, and keeps books of the charges.

Read it in this order: ``core`` (tokens and collections), ``books`` (the record of them), ``misbehaviour`` (faults, as
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
