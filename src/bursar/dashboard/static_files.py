"""The static files of the dashboard: those that all rooms share, and those of the dashboard only."""

from pathlib import Path
from typing import Final

from bursar.web.pages.static_files import SHARED, StaticFiles

STATIC_FILES: Final = StaticFiles((SHARED, Path(__file__).parent / "static"))
