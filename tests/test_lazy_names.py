"""Packages whose names are imported when they are used."""

import importlib
import subprocess
import sys

import pytest

LAZY = ("bursar.dynamo", "bursar.dynamo.expressions", "bursar.payments", "bursar.portal", "bursar.rules")


@pytest.mark.parametrize("package", LAZY)
def test_every_name_of_a_lazy_package_can_be_imported(package: str) -> None:
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if getattr(module, name, None) is None] == []
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'other'"):
        _ = module.other


@pytest.mark.parametrize("package", LAZY)
def test_importing_a_lazy_package_imports_none_of_its_modules(package: str) -> None:
    program = f"import sys, {package}; print([name for name in sys.modules if name.startswith('{package}.')])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"
