"""The static files of the dashboard's pages: the shared ones and its own."""

from pathlib import Path
from typing import Final

from bursar.web.pages.static_files import SHARED, StaticFiles

STATIC_FILES: Final = StaticFiles((SHARED, Path(__file__).parent / "static"))
