"""The shape of the package; `make lint` holds the order of its rooms (`[tool.importlinter]` in pyproject.toml)."""

from pathlib import Path

import tabbench

PACKAGE = Path(tabbench.__file__).parent
ARCHITECTURE = PACKAGE.parent / "docs" / "architecture.md"


def test_the_root_of_the_package_holds_a_dozen_modules_at_most():
    assert len(list(PACKAGE.glob("*.py"))) <= 12


def test_the_architecture_page_knows_every_room():
    text = ARCHITECTURE.read_text(encoding="utf-8")
    rooms = {path.parent.name + "/" for path in PACKAGE.glob("*/__init__.py")}
    rooms |= {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert sorted(room for room in rooms if room not in text) == []
