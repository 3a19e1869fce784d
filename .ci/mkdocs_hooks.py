"""What the site takes from elsewhere than docs/: the help of every command, and the starter suite's report if it is there."""

import argparse
import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

from tabbench.cli import commands

REPORT = Path("results/starter/report.html")
FRAME = (
    '<p><a href="starter.html">On a page of its own</a></p>'
    '<iframe src="starter.html" title="report" width="100%" height="900"></iframe>'
)
ABSENT = "It is not here: `make bench` writes it in minutes, and the next `make docs` puts it on this page."


def on_files(files: Any, config: Any) -> Any:
    """Put the report beside the pages."""
    if REPORT.exists():
        files.append(File.generated(config, "starter.html", content=REPORT.read_bytes()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the two places that are marked for it."""
    if "<!-- every command -->" in markdown:
        markdown = markdown.replace("<!-- every command -->", _helps())
    return markdown.replace("<!-- starter report -->", FRAME if REPORT.exists() else ABSENT)


def _helps() -> str:
    parser = commands().parser
    return "\n".join(f"## {' '.join(words)}\n\n```text\n{text}```\n" for words, text in _each(parser, ["tabbench"]))


def _each(parser: argparse.ArgumentParser, words: list[str]) -> Any:
    with redirect_stdout(io.StringIO()) as text:
        parser.print_help()
    yield words, text.getvalue()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield from _each(child, [*words, name])
