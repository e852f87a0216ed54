"""Print docs/settings.md again: its introduction as it is, and the table of settings from the code."""

from pathlib import Path
from typing import Final

from bursar.settings import ENVIRONMENT_PREFIX, SETTINGS, setting_text

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
HEAD: Final = "| variable | default | meaning |"


def settings_table() -> str:
    """Return the settings as a Markdown table."""
    rows = [HEAD, "|---|---|---|"]
    for name, each in SETTINGS.items():
        default = "" if each.default is None else f"`{setting_text(each.default)}`"
        rows.append(f"| `{ENVIRONMENT_PREFIX}{name.upper()}` | {default} | {each.metadata['meaning']} |")
    return "\n".join(rows)


def page() -> str:
    """Return the whole page."""
    introduction, _, _ = PAGE.read_text(encoding="utf-8").partition(HEAD)
    return f"{introduction}{settings_table()}"


if __name__ == "__main__":
    print(page())
