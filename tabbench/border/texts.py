"""Texts that come from elsewhere (models, files, servers): made storable, and harmless in each medium they are shown in."""

from html import escape
from typing import TextIO


def storable(text: str) -> str:
    """The text without what UTF-8 cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """The text with a mark for every sign that a terminal might obey instead of show."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in storable(text))


def say(line: str, file: TextIO | None = None) -> None:
    """Print one line that may hold names of others."""
    print(printable(line), file=file)


def one_line(error: BaseException, length: int = 200) -> str:
    """What an error says, in one printable line; one that cannot say it is told by its type."""
    try:
        text = " ".join(storable(str(error)[: 10 * length]).split())
    except Exception:  # noqa: BLE001 - it may be anybody's
        text = "an error that cannot be told"
    return printable(text or type(error).__name__)[:length]


def spreadsheet_cell(text: str) -> str:
    """The text as a CSV cell that no spreadsheet takes for a formula: an apostrophe before = + - @, tab and return."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def markdown_cell(text: str) -> str:
    """The text as a Markdown cell that shows what it says: no link, HTML, picture or other cell comes of it."""
    plain = printable(" ".join(text.split()))
    links = "[]" if any(mark in plain for mark in ("](", "][", "]:", "://")) else ""  # else a bracket is just that
    for sign in "\\`|" + links:
        plain = plain.replace(sign, "\\" + sign)
    return plain.replace("<", "&lt;").replace(">", "&gt;")


def xml_text(text: str) -> str:
    """The text for HTML and SVG, without signs that XML does not allow."""
    return escape(printable(text))
