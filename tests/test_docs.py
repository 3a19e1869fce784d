"""The documentation: every block of code is run, and the site builds without a warning and asks nobody for anything."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tabbench
from tabbench.cli import commands, main

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"(<!-- not run: [^\n]+ -->\n)?^```(\w*)[^\n]*\n(.*?)^```$", re.M | re.S)
RUN = {page: [found.groups() for found in BLOCK.finditer(page.read_text(encoding="utf-8"))] for page in PAGES}
WITH_EXAMPLES = [path for path in (ROOT / "tabbench").rglob("*.py") if ">>>" in path.read_text(encoding="utf-8")]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABBENCH_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [place for place in sys.path if not Path(place, "mine.py").is_file()])  # other tests' models
    sys.modules.pop("mine", None)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"zip": rng.integers(0, 4, 80), "a": rng.normal(size=80)})
    frame.assign(y=np.where(frame["a"] + rng.normal(size=80) > 0, "yes", "no")).to_csv("my.csv", index=False)
    yield tmp_path
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("page", [page for page in PAGES if RUN[page]], ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page, folder, capsys):
    for excuse, language, text in RUN[page]:
        if excuse or not language or language == "text":  # an excuse names its reason; what has no language is a picture
            continue
        run = {"console": run_console, "python": run_python, "toml": write_file}[language]
        run(text)
    capsys.readouterr()


def test_what_is_not_run_here_names_commands_and_options_that_are_there():
    lines = [line for page in PAGES for excuse, _, text in RUN[page] if excuse for line in text.splitlines()]
    assert len(lines) >= 20
    parser = commands().parser
    for line in lines:
        program, *words = shlex.split(re.sub(r"[][]", "", line))
        if program == "tabbench":
            assert callable(parser.parse_args(words).func), line
            continue
        if program == "make":
            assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M), line
            continue
        assert program == "python", line
        is_module = words[0] == "-m"
        path = ROOT / (words[1].replace(".", "/") + ".py" if is_module else words[0])
        source = path.read_text(encoding="utf-8")
        for option in re.findall(r"--[\w-]+", line):
            assert f'"{option}"' in source or is_module, f"{line}: no {option}"


def test_no_block_escapes_by_being_indented():
    for page in PAGES:
        assert re.findall(r"^ {4,}(?:tabbench|python|pip) .*", page.read_text(encoding="utf-8"), re.M) == [], page


def test_contributing_names_files_and_names_that_are_there():
    text = (ROOT / "docs" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (a[n]? [^|]+) \| ([^|]+) \|$", text, re.M)
    assert len(rows) == 12
    for change, files in rows:
        named = re.findall(r"`([\w/]+(?:\.\w+|/))`(?: \(([^)]*)\))?", files)
        assert len(named) <= 4, change
        for path, notes in named:
            place = ROOT / path if path.startswith("docs/") else ROOT / "tabbench" / path
            assert place.exists(), f"{change}: {path}"
            source = place.read_text(encoding="utf-8") if place.is_file() else ""
            for name in re.findall(r"`(\w[\w.]*)`", notes):
                assert name.split(".")[-1] in source or path == "cli/folders.py", f"{change}: {name} is not in {path}"


def run_console(text):
    for line in text.splitlines():
        words = shlex.split(line)
        assert words[0] == "tabbench", f"only tabbench is run here: {line}"
        assert main(words[1:]) == 0, line


def run_python(text):
    if re.match(r"# \w+\.py\n", text):
        write_file(text)
    else:
        subprocess.run([sys.executable, "-c", text], check=True, timeout=600, env=None)


def write_file(text):
    name = re.match(r"# (\S+)", text).group(1)
    Path(name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples_in_docstrings(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    assert doctest.testmod(import_module(name)).failed == 0


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_nobody(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ROOT / ".mkdocs.yml", "--site-dir", tmp_path]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run([*command], cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for page in tmp_path.rglob("*.html"):
        if page.name != "starter.html":  # it has a test of its own
            text = page.read_text(encoding="utf-8")
            assert re.findall(r'(?:src|<link[^>]+href)="(?:https?:)?//[^"]+"', text) == [], page
    assert "tabbench suites hardest" in (tmp_path / "reference" / "commands.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_type_checker_knows_the_public_names(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text("import tabbench\nreveal_type(tabbench.run)\nreveal_type(tabbench.run().leaderboard())\n")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "user.py")]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600).stdout
    assert "-> tabbench.folders.results.Results" in said
    names = set(re.findall(r"import (\w+) as", (ROOT / "tabbench" / "__init__.pyi").read_text(encoding="utf-8")))
    assert names == set(tabbench.__all__)


def security_rows():
    """Rows of the threat table: what threatens, what holds, the tests that are named."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| threat")]
    return [line.strip("| ").split(" | ") for line in lines]


@pytest.mark.parametrize("row", security_rows(), ids=lambda row: row[0][:40])
def test_every_line_of_the_threat_table_names_tests_that_exist(row):
    _, _, tests = row
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    for name in named:
        file, _, test = name.partition("::") if name.startswith("test_") else ("test_border.py", "", name)
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^def test_\w*{test.removeprefix('test_')}\w*\(", source, re.M), name
