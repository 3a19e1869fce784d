"""The form that JSON must have which may have been written by a stranger."""

from typing import Any


class Exactly(dict[str, Any]):
    """The form of a mapping that has no other names."""


def misfit(value: Any, form: Any, where: str) -> str | None:
    """Where a value departs from its form, in words; None if nowhere.

    A form is a mapping of forms by name ("name?": may be absent), a list of the one form that every item has, or types.
    """
    if isinstance(form, dict) and isinstance(value, dict):
        return _misfit_of_mapping(value, form, where)
    if isinstance(form, list) and isinstance(value, list):
        return next(filter(None, (misfit(item, form[0], where) for item in value)), None)
    if isinstance(form, dict | list) or not isinstance(value, form) or isinstance(value, bool):
        return f"{where} is {str(value)[:40]!r}"
    return None


def _misfit_of_mapping(value: dict[str, Any], form: dict[str, Any], where: str) -> str | None:
    inner = {name.rstrip("?"): one for name, one in form.items()}
    absent = [name for name in form if not name.endswith("?") and name not in value]
    unknown = [name for name in value if name not in inner] if isinstance(form, Exactly) else []
    if absent:
        return f"{where} has no {absent[0]!r}"
    if unknown:
        return f"{where} has an unknown {unknown[0][:40]!r}"
    return next(filter(None, (misfit(value[name], inner[name], repr(name)) for name in inner if name in value)), None)
