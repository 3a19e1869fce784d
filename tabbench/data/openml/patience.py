"""Requests that wait, come again and give up in time: what the OpenML client lacks.

Every request has a time limit for connecting, for silence and for dawdling. Connection errors, cut bodies and the answers
408, 425, 429 and 5xx are tried again after 1, 2, 4, 8 s, or after what the server asks for in Retry-After.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
import urllib3

from tabbench.errors import UserError

ADVICE = "run `tabbench fetch` where there is a network, or bring the tables with `tabbench mirror`"
TRIES = 5
FIRST_WAIT = 1.0  # seconds; doubles with every try
LONGEST_WAIT = 120.0  # a server that asks for more is taken at its word: give up
CONNECT_SECONDS, SILENCE_SECONDS = 5.0, 30.0
GRACE_SECONDS, SLOWEST = 30.0, 2_000.0  # after the grace period a body must have come at this many bytes a second
OFFLINE_SECONDS = 6.0  # patience with a server that has not answered even once
AGAIN = {408, 425, 429, 500, 502, 503, 504}
CHUNK = 2**16
MAX_BYTES = 4 * 2**30  # of a body when it is unpacked; OpenML's largest table of a suite has 1.6 GB
MAX_RATIO = 200  # of unpacked to received bytes, beyond the first megabytes: text packs ten- or twentyfold
FREE_BYTES = 2**24
OFFLINE = {  # what the libraries say of a server that cannot be reached → what we say
    "refused": "connection refused",
    "name or service": "unknown host",
    "name resolution": "no name service",
    "resolve": "unknown host",
    "unreachable": "network unreachable",
    "connect timeout": "no connection in time",
}
CUT = {"reset": "connection reset", "incomplete": "the answer was cut short", "closed connection": "connection closed"}


class FetchError(UserError):
    """Something could not be had from the server; one line."""


class Damaged(FetchError):
    """What came is not what it should be; asking again may help."""


class _Again(Exception):
    def __init__(self, reason: str, wait: float = 0.0, offline: bool = False) -> None:
        super().__init__(reason)
        self.wait, self.offline = wait, offline


class Line:
    """The line to one server, shared by all threads: whether it ever answered, whether it is gone, whether to stop."""

    def __init__(self, server: str) -> None:
        self.server, self.started = server, time.monotonic()
        self.answered = False
        self.gone = ""
        self.stop = threading.Event()

    def sleep(self, seconds: float) -> None:
        """Wait, unless the whole fetch is being stopped."""
        self.stop.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raise FetchError if there is no point in going on."""
        if self.stop.is_set():
            raise FetchError("stopped")
        if self.gone:
            raise FetchError(self.gone)

    def gives_up(self, tries: int) -> bool:
        """Whether it has been tried long enough."""
        return tries >= TRIES or (not self.answered and time.monotonic() - self.started > OFFLINE_SECONDS)


@contextmanager
def patient_requests(line: Line) -> Iterator[None]:
    """Inside, every `requests.Session` is patient."""

    class PatientSession(_Session):
        patience = line

    original = requests.Session
    requests.Session = PatientSession  # type: ignore[misc]
    try:
        yield
    finally:
        requests.Session = original  # type: ignore[misc]


class _Session(requests.Session):
    patience: Line

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """Make one request, with patience; raises FetchError."""
        line = self.patience
        for tries in range(1, TRIES + 1):
            line.check()
            try:
                response = self._try(method, url, *args, **kwargs)
            except _Again as error:
                if line.gives_up(tries):
                    if error.offline:
                        line.gone = f"cannot reach OpenML at {line.server} ({error}): {ADVICE}"
                        line.check()
                    raise FetchError(f"{url}: {error}, {tries} times") from None
                line.sleep(max(error.wait, FIRST_WAIT * 2 ** (tries - 1)))
            else:
                line.answered = True
                return response
        raise AssertionError("the last try returns or raises")

    def _try(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            limits = (CONNECT_SECONDS, SILENCE_SECONDS)
            response = super().request(method, url, *args, **{**kwargs, "timeout": limits, "stream": True})
            response._content = self._body(response)
            response._content_consumed = True
        except (requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError):
            raise _Again(f"no answer for {SILENCE_SECONDS:g} s") from None
        except (requests.ConnectionError, urllib3.exceptions.HTTPError) as error:
            reason = _reason(error)
            raise _Again(reason, offline=reason in OFFLINE.values()) from None
        except requests.RequestException as error:
            raise FetchError(f"{url}: {_reason(error)}") from None
        if response.status_code in AGAIN:
            self.patience.answered = True
            raise _Again(f"the server answers {response.status_code}", _retry_after(response))
        try:
            response.content.decode("utf-8")
            response.encoding = "utf-8"  # servers tend not to say, and the client would then guess
        except UnicodeDecodeError:
            pass
        return response

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Where an answer leads; its body, which `requests` would read to whatever end, is let go."""
        target = super().get_redirect_target(resp)
        if target:
            resp.close()
            resp._content = b""
            resp._content_consumed = True
        return target

    def _body(self, response: requests.Response) -> bytes:
        parts, size, started = [], 0, time.monotonic()
        while part := response.raw.read1(CHUNK, decode_content=True):  # not read: it would wait for a full chunk
            self.patience.check()
            parts.append(part)
            size += len(part)
            received = response.raw.tell() or size
            if size > MAX_BYTES or (size > FREE_BYTES and size > MAX_RATIO * received):
                response.close()
                raise FetchError(f"its answer is larger than a table may be: {size:,} bytes, unpacked from {received:,}")
            seconds = time.monotonic() - started
            if seconds > GRACE_SECONDS and size < SLOWEST * seconds:
                response.close()
                raise _Again(f"too slow ({size / seconds:.0f} bytes a second)")
        return b"".join(parts)


def _retry_after(response: requests.Response) -> float:
    """Seconds the server asks to be left in peace; raises FetchError if they are too many."""
    text = response.headers.get("Retry-After", "")
    seconds = 0.0
    if text.isdigit():
        seconds = float(text)
    elif text:
        try:
            seconds = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            seconds = 0.0
    if seconds > LONGEST_WAIT:
        raise FetchError(f"the server answers {response.status_code} and asks to wait {seconds:.0f} s: try again later")
    return seconds


def _reason(error: Exception) -> str:
    """The innermost reason in a few words."""
    text = str(error).lower()
    return next((words for sign, words in {**OFFLINE, **CUT}.items() if sign in text), type(error).__name__)
