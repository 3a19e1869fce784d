"""`tabbench models` and `tabbench check`: what models there are, and whether one does what is asked of it."""

import argparse

from tabbench.border.texts import say
from tabbench.cli.parser import Commands, Exit, complete_models


def register(commands: Commands) -> None:
    """Add the commands."""
    models = commands.add("models", "list the models with their limits and defaults", example="tabbench models", group="read")
    models.set_defaults(func=_models)
    check = commands.add(
        "check",
        "ask a model of yours what tabbench asks of its own, with a verdict on each point",
        example="tabbench check mine:Shrunk",
        group="check",
    )
    model = check.add_argument("model", help="module:Class of your own, or a name (see `tabbench models`)")
    model.completer = complete_models  # type: ignore[attr-defined]
    check.set_defaults(func=_check)


def _models(_: argparse.Namespace) -> int:
    from tabbench.models import MODELS, load_models, missing_imports

    load_models()
    for model in MODELS.values():
        limits = ", ".join(f"{name} ≤ {size}" for name, size in vars(model.limits).items() if size is not None)
        missing = missing_imports(model)
        print(f"{model.name:14} {model.summary}")
        print(f"{'':14} limits: {limits or 'none'}; defaults: {model.defaults or 'none'}")
        if model.aliases:
            print(f"{'':14} also called: {', '.join(model.aliases)}")
        if missing:
            print(f"{'':14} not available: install {' '.join(missing)}")
    return Exit.OK


def _check(args: argparse.Namespace) -> int:
    from tabbench.testing import check

    answers = check(args.model)
    for answer in answers:
        say(str(answer))
    unmet = sum(bool(answer.reason) for answer in answers)
    print(f"{args.model} meets {len(answers) - unmet} of {len(answers)} requirements")
    return Exit.FOUND if unmet else Exit.OK
