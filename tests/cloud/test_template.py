"""CloudFormation's own linter finds nothing in the template."""

import subprocess
import sys
from pathlib import Path

from tests.support.deploy.template import TEMPLATE


def test_cfn_lint_finds_nothing() -> None:
    found = subprocess.run([Path(sys.executable).with_name("cfn-lint"), TEMPLATE], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, ""), found
