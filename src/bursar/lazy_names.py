"""Let a package offer names that it imports only when they are first used.

    __getattr__ = lazy_names(__name__, {"Engine": "engine.engine"})      # name → the module below the package

A Lambda function imports the packages that it needs in front of a waiting payer, and must not load the rest of them.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of ``package``: it imports a name of ``modules`` and keeps it in the package."""

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
