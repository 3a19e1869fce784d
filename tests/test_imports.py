"""What a command imports, by name: the seconds that it takes to start are mostly those of its imports."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden" / "plain.zip"
HEAVY = ["numpy", "pandas", "scipy.special", "scipy.stats", "scipy.optimize", "sklearn", "torch", "jinja2", "rich", "distributed"]
PROGRAM = """
import json, sys
from tabbench.cli import main
commands, heavy = map(json.loads, sys.argv[1:])
for words in commands:
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    print("\\nIMPORTED", json.dumps([code, *[name for name in heavy if name in sys.modules]]))
"""


def imported(*commands: list[str]) -> list[list[object]]:
    """Exit code and heavy modules after each of these commands, one after another in one fresh process."""
    words = [sys.executable, "-c", PROGRAM, json.dumps(commands), json.dumps(HEAVY)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return [json.loads(line.partition(" ")[2]) for line in said.splitlines() if line.startswith("IMPORTED ")]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    with zipfile.ZipFile(GOLDEN) as archive:
        archive.extractall(tmp_path)
    return str(next(tmp_path.rglob("manifest.json")).parent)


def test_help_imports_nothing_heavy() -> None:
    assert imported(["--help"], ["run", "--help"], ["stats", "--help"]) == [[0], [0], [0]]


def test_reading_results_imports_neither_models_nor_what_fits_them(folder: str, tmp_path: Path) -> None:
    scores = tmp_path / "scores.csv"
    scores.write_text("dataset,a,b,c\n" + "".join(f"d{i},0.{i + 1},0.{9 - i},0.5\n" for i in range(6)))
    read = [0, "numpy", "pandas", "scipy.special"]
    assert imported(["stats", str(scores)], ["leaderboard", folder], ["status", folder]) == [read] * 3


def test_an_audit_imports_no_network_and_no_page(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b,y\n" + "".join(f"{i % 7},{i % 5},{'pq'[i % 2]}\n" for i in range(60)))
    [(code, *names)] = imported(["audit", str(table), "--target", "y"])
    assert code == 0
    assert not {"torch", "jinja2", "distributed"}.intersection(names)
