"""Write the generated pages of docs/ again, from the code that they describe. Tests compare each page with its code."""

import contextlib
import io
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

PAGES = {
    # page: the module that prints it
    "payments.md": "tools.pages.payments_page",
    "reports.md": "tools.pages.reports_page",
    "errors.md": "tools.pages.errors_page",
    "return-codes.md": "tools.pages.return_codes_page",
    "acr.yaml": "tools.pages.acr_page",
    "settings.md": "tools.pages.settings_page",
}


def main() -> None:
    """Write every generated page."""
    sys.path.insert(0, str(ROOT))  # run as a script, Python puts tools/ there, and the pages' modules are not found
    for page, module in PAGES.items():
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            runpy.run_module(module, run_name="__main__")
        if printed.getvalue():  # a module that writes its page itself prints nothing
            (DOCS / page).write_text(printed.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    main()
