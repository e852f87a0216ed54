"""List the numbers that a package is built with: its constants, and the defaults of its settings and parameters."""

import ast
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import click

SOURCES = Path(__file__).parents[2] / "src"


def numbers_of(package: str) -> dict[str, float]:
    """Return ``module.NAME``, ``module.Class.field`` or ``module.function(parameter)`` → number, below ``package``.

    The parameters of a command are its options. The module is its last name. A default that is a constant, such as
    ``LEASE_S``, is listed too: it can be the wrong one. Switches and zeros are left out. Raises ``ValueError`` if two
    numbers have one name.
    """
    found: dict[str, float] = {}
    for path in sorted((SOURCES / package.replace(".", "/")).rglob("*.py")):
        name = ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")
        short = name.rpartition(".")[2]
        for where, value in _numbers(ast.parse(path.read_text(encoding="utf-8")), import_module(name)):
            if isinstance(value, int | float) and not isinstance(value, bool) and value != 0:
                if f"{short}{where}" in found:
                    raise ValueError(f"{short}{where}: must be the name of one number")
                found[f"{short}{where}"] = value
    return found


def _numbers(tree: ast.Module, module: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [(f".{each.id}", getattr(module, each.id)) for each in targets if isinstance(each, ast.Name)]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found += _defaults(f".{node.name}", getattr(module, node.name))
        elif isinstance(node, ast.ClassDef):
            found += _numbers_of_class(node, getattr(module, node.name))
    return found


def _numbers_of_class(node: ast.ClassDef, made: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    fields = getattr(made, "__dataclass_fields__", {})
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each.value is not None:
            name = each.target.id
            value = fields[name].default if name in fields else getattr(made, name, None)
            found.append((f".{node.name}.{name}", value))
        elif isinstance(each, ast.Assign):
            names = [target.id for target in each.targets if isinstance(target, ast.Name)]
            found += [(f".{node.name}.{name}", getattr(made, name)) for name in names]
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            method = getattr(made, each.name)
            found += _defaults(f".{node.name}.{each.name}", method) if callable(method) else []
    return found


def _defaults(name: str, function: Any) -> list[tuple[str, Any]]:
    if isinstance(function, click.Command):
        return [(f"{name}({option.name})", option.default) for option in function.params]
    try:
        parameters = signature(function).parameters
    except (TypeError, ValueError):  # some callables have no signature
        return []
    return [(f"{name}({each.name})", each.default) for each in parameters.values()]
