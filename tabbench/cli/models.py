"""`tabbench models`: what models there are."""

import argparse

from tabbench.cli.parser import Commands, Exit


def register(commands: Commands) -> None:
    """Add the commands."""
    models = commands.add("models", "list the models with their limits and defaults", example="tabbench models", group="read")
    models.set_defaults(func=_models)


def _models(_: argparse.Namespace) -> int:
    from tabbench.models import MODELS, load_models, missing_imports

    load_models()
    for model in MODELS.values():
        limits = ", ".join(f"{name} ≤ {size}" for name, size in vars(model.limits).items() if size is not None)
        missing = missing_imports(model)
        print(f"{model.name:14} {model.summary}")
        print(f"{'':14} limits: {limits or 'none'}; defaults: {model.defaults or 'none'}")
        if missing:
            print(f"{'':14} not available: install {' '.join(missing)}")
    return Exit.OK
