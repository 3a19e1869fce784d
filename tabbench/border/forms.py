"""The types of values that come from elsewhere, with their ranges, for msgspec: requests, suites, manifests, answers of jobs.

Whatever the door (arguments, TOML, JSON), a value is held to the same range, and what departs from it is told in one line.
"""

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from tabbench.border.texts import one_line
from tabbench.errors import UserError

T = TypeVar("T")

Count = Annotated[int, Meta(ge=0, le=2**53)]
Some = Annotated[int, Meta(ge=1, le=2**53)]
Few = Annotated[int, Meta(ge=1, le=10_000)]  # repeats, configurations, workers: more would never end
Folds = Annotated[int, Meta(ge=2, le=10_000)]
Seed = Annotated[int, Meta(ge=0, le=2**62)]
Seconds = Annotated[float, Meta(gt=0, le=1e9)]  # no NaN, no infinity
Megabytes = Annotated[float, Meta(ge=0, le=1e12)]
Measure = Annotated[float, Meta(ge=0)]
Text = Annotated[str, Meta(max_length=1_000)]
Digest = Annotated[str, Meta(pattern=r"^[0-9A-Za-z]{1,128}$")]
LongText = Annotated[str, Meta(max_length=50_000)]


def fit(value: Any, form: type[T], where: str = "") -> T:
    """The value in that form; raises UserError that says where it departs from it."""
    try:
        return msgspec.convert(value, form)
    except (msgspec.ValidationError, UnicodeError, RecursionError) as error:
        text = re.sub(r"^(.*) - at `\$\.?(.+)`$", r"\2: \1", one_line(error))
        raise UserError(f"{where}: {text}" if where else text) from None
