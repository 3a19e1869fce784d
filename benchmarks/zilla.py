"""TabZilla's study again: its 19 algorithms with their defaults under its protocol, a table at a time, the smallest first.

    python benchmarks/zilla.py [--suite starter] [--out results/zilla] [--workers N] [--time-limit 600]

--suite: a name, or the path of a suite file. After every table the report in --out is complete, and `tabbench analyze` reads
what is there; the same command goes on where the last one ended.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from tabbench.engine.engines import open_engine
from tabbench.errors import UserError
from tabbench.folders.run import make_request, run_request
from tabbench.request import Spec
from tabbench.resources import Resources, spare_workers

NINETEEN = tuple(
    "logreg knn svm tree random_forest xgboost catboost lightgbm "
    "mlp rtdl_mlp resnet ft_transformer tabnet vime node saint danet stg pfn".split()
)


def main(arguments: list[str] | None = None, models: tuple[str, ...] = NINETEEN) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="starter")
    parser.add_argument("--out", type=Path, default=Path("results/zilla"))
    parser.add_argument("--workers", type=int, default=spare_workers(1))
    parser.add_argument("--time-limit", type=float, default=600, metavar="S")
    args = parser.parse_args(arguments)
    try:
        resources = Resources(args.workers, time_limit=args.time_limit)
        request = make_request(Spec(args.suite, models=models, protocol="tabzilla", configs=1, resources=resources), quiet=False)
        for task in sorted(request.tasks, key=lambda task: (task.size, task.name)):
            part = replace(request, spec=replace(request.spec, tasks=(task.name,)), tasks=[task])
            with open_engine(None, resources, models) as engine:
                run_request(part, args.out, engine)
    except UserError as error:
        sys.exit(f"zilla.py: {error}")
    except KeyboardInterrupt:
        sys.exit("zilla.py: interrupted; what is finished is stored: run the same command again to go on")


if __name__ == "__main__":
    main()
