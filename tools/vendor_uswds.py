"""Write the vendored part of the static files of all pages: the US Web Design System, its font and icons, and htmx.

    .venv/bin/python -m tools.vendor_uswds      # needs npm; the result is committed, so `make` never runs it

The style sheet is compiled from tools/vendor_uswds.scss, which names the components that the pages use. Images, fonts
and icons that no page uses are left out. Each licence is copied beside its files.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
STATIC: Final = ROOT / "src" / "bursar" / "web" / "pages" / "static"
ENTRY: Final = Path(__file__).with_suffix(".scss")
PACKAGES: Final = ("@uswds/uswds@3.14.0", "htmx.org@2.0.11", "@fontsource/public-sans@5.3.0", "sass@1.108.2")
FONTS: Final = ("public-sans/PublicSans-Regular.woff2", "public-sans/PublicSans-Bold.woff2")
ICONS: Final = (
    "account_circle", "add", "arrow_downward", "arrow_upward", "autorenew", "check_circle", "close", "error",
    "expand_more", "file_download", "flag", "help", "history", "info", "language", "launch", "link", "lock", "logout",
    "menu", "navigate_before", "navigate_next", "print", "search", "security", "settings", "undo", "unfold_more",
    "visibility", "visibility_off", "warning",
)  # fmt: skip
_FONT_FACE: Final = re.compile(r"@font-face\{[^}]*\}")
_URL: Final = re.compile(r"url\(\"?\.\./([^)\"]+)\"?\)")


def main() -> None:
    """Write the vendored files again."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "init", "-y"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["npm", "install", "--silent", "--no-audit", *PACKAGES], cwd=folder, check=True)
        modules = Path(folder) / "node_modules"
        _write_uswds(modules, STATIC / "uswds")
        _write_htmx(modules / "htmx.org", STATIC / "htmx")


def _write_uswds(modules: Path, target: Path) -> None:
    package = modules / "@uswds" / "uswds"
    shutil.rmtree(target, ignore_errors=True)
    css = _only_kept_fonts(_compiled(modules, package))
    files = {name for name in _URL.findall(css) if not name.startswith("fonts/")}
    for name in sorted(files | {f"fonts/{font}" for font in FONTS}):
        _copy(package / "dist" / name, target / name)
    (target / "css").mkdir(parents=True)
    (target / "css" / "uswds.css").write_text(css, encoding="utf-8")
    sprite = (package / "dist" / "img" / "sprite.svg").read_text(encoding="utf-8")
    (target / "img" / "sprite.svg").write_text(_sprite_of(sprite), encoding="utf-8")
    _copy(package / "LICENSE.md", target / "LICENSE.md")
    _copy(modules / "@fontsource" / "public-sans" / "LICENSE", target / "fonts" / "public-sans" / "LICENSE")


def _compiled(modules: Path, package: Path) -> str:
    command = [str(modules / ".bin" / "sass"), "--no-source-map", "--style=compressed", "--quiet"]
    found = subprocess.run(
        [*command, "-I", str(package / "packages"), str(ENTRY)], check=True, capture_output=True, text=True
    )
    return found.stdout.lstrip("\ufeff")


def _only_kept_fonts(css: str) -> str:
    return _FONT_FACE.sub(lambda face: face[0] if any(font in face[0] for font in FONTS) else "", css)


def _sprite_of(sprite: str) -> str:
    """Return a sprite with the icons of :data:`ICONS` alone. Raises ``ValueError`` for an unknown icon."""
    symbols = {each[1]: each[0] for each in re.finditer(r'<symbol[^>]*id="([^"]+)".*?</symbol>', sprite, re.DOTALL)}
    unknown = [icon for icon in ICONS if icon not in symbols]
    if unknown:
        raise ValueError(f"ICONS: must be in the sprite of USWDS; got {', '.join(unknown)}")
    chosen = "\n".join(symbols[icon] for icon in ICONS)
    return f'<svg xmlns="http://www.w3.org/2000/svg"><defs>\n{chosen}\n</defs></svg>\n'


def _write_htmx(package: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    _copy(package / "dist" / "htmx.min.js", target / "htmx.min.js")
    _copy(package / "LICENSE", target / "LICENSE")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
