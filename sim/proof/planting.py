"""Change the source of one function of the product, for the faults that canaries and mutants plant.

The function keeps its identity and gets other code, so every module, table and closure that holds it has the fault too.
A fault whose text the function no longer has raises ``LookupError``: it must follow the code.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import CodeType, FunctionType
from typing import Any


@contextmanager
def rewritten(place: str, old: str, new: str) -> Iterator[None]:
    """Replace ``old`` by ``new`` in the source of the function at ``place`` (``package.module:Class.method``)."""
    function = function_at(place)
    honest, function.__code__ = function.__code__, rewritten_code(place, old, new)
    try:
        yield
    finally:
        function.__code__ = honest


def rewritten_code(place: str, old: str, new: str) -> CodeType:
    """Return the code of the function at ``place`` with ``new`` instead of ``old``, which must occur once.

    Raises ``LookupError`` if it does not.
    """
    function = function_at(place)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(old) != 1:
        raise LookupError(f"{place}: must have this text once; got it {source.count(old)} times: {old}")
    tree = ast.parse(source.replace(old, new))
    [definition] = tree.body
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef), f"{place} is no function"
    definition.decorator_list.clear()
    # A function around it has its free variables, such as the class that super() needs.
    free = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(name) for name in function.__code__.co_freevars],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=[],
    )
    around = ast.FunctionDef(name="around", args=free, body=[definition], decorator_list=[])
    module = ast.fix_missing_locations(ast.Module([around], []))
    code = _code_in(_code_in(compile(module, function.__code__.co_filename, "exec"), "around"), definition.name)
    return code.replace(co_qualname=function.__code__.co_qualname)


def _code_in(code: CodeType, name: str) -> CodeType:
    return next(each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == name)


def function_at(place: str) -> FunctionType:
    """Return the function, method or property of the product at ``place``. Raises ``LookupError`` if it has none."""
    module, _, names = place.partition(":")
    found: Any = import_module(module)
    for name in names.split("."):
        try:
            found = inspect.getattr_static(found, name)
        except AttributeError:
            raise LookupError(f"{place}: must be a function; {name} is not there") from None
    if isinstance(found, property):
        found = found.fget
    found = inspect.unwrap(getattr(found, "__func__", found))
    if not isinstance(found, FunctionType):
        raise LookupError(f"{place}: must be a function; got {found!r}")
    return found
