"""Texts that come from elsewhere (models, files, servers): made storable, and harmless in each medium they are shown in."""


def storable(text: str) -> str:
    """The text without what UTF-8 cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """The text with a mark for every sign that a terminal might obey instead of show."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in storable(text))


def one_line(error: BaseException, length: int = 200) -> str:
    """What an error says, in one printable line; one that cannot say it is told by its type."""
    try:
        text = " ".join(storable(str(error)[: 10 * length]).split())
    except Exception:  # noqa: BLE001 - it may be anybody's
        text = "an error that cannot be told"
    return printable(text or type(error).__name__)[:length]
