"""What more data would bring: scores at full size foretold from training sizes up to a quarter, beside what was measured there.

    python -m benchmarks.more_data TABLES OUT [--workers 1]

Runs four models on twelve tables of the reference run with at least 2,000 rows (TABLES as in `reference_run.py`), on one held-out
30%, with 50 to 800 training rows and with all; the same command goes on where the last one ended. Then prints how far each method
is off at full size, from the sizes up to a quarter of it: "last point" (the score at the largest of these), a power law
(`stats.extrapolation`), and the gains seen on the other tables (`stats.more_data`), with the share of its 90% intervals that hold
and how often the model it puts first is the best one there. `--stored` judges the tables that are complete and runs nothing;
`--freeze` writes their scores into the package.
"""

import argparse
from pathlib import Path

import pandas as pd

import tabbench
from benchmarks.reference_run import as_toml, parts
from tabbench.api import open_results
from tabbench.folders.reference import FOLDER, METRIC
from tabbench.job import Subsample
from tabbench.resources import Resources
from tabbench.stats.more_data import foretold, judged
from tabbench.store.checksums import write_checksums

SIZES = (50, 100, 200, 400, 800)
MODELS = ("logreg", "random_forest", "lightgbm", "pfn")
TABLES = (
    *("banana", "pollen", "wilt", "segment", "page-blocks", "credit_data", "mammography", "sick", "stackoverflow"),
    *("cells", "kr-vs-kp", "wa_churn"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--stored", action="store_true", help="judge what is stored, run nothing")
    parser.add_argument("--freeze", action="store_true", help="write the scores into the package")
    args = parser.parse_args()
    folder = args.out / "run"
    frame = (open_results(folder) if args.stored else run(args, folder)).frame
    model = frame["model"].str.split(" ").str[0]  # "pfn [stratified 50 rows]"
    frame = frame.assign(model=model, n_train=frame["n_train_used"], score=frame[METRIC], full=frame["max_rows"].isna())
    whole = frame.groupby("task").size().eq(len(MODELS) * (len(SIZES) + 1))
    curves = frame.loc[frame["task"].map(whole) & frame["status"].eq("ok"), ["task", "model", "n_train", "score", "full"]]
    if args.freeze:
        curves.to_parquet(FOLDER / "curves.parquet", index=False, compression="zstd")
        write_checksums(FOLDER)
    with pd.option_context("display.width", 200):
        print(judged(foretold(curves)).to_string())


def run(args: argparse.Namespace, folder: Path) -> tabbench.Results:
    args.out.mkdir(parents=True, exist_ok=True)
    entries = [entry for part in parts(args.tables) for entry in part.entries if entry["name"] in TABLES]
    suite = args.out / "tables.toml"
    suite.write_text(as_toml("What more data would bring", entries), encoding="utf-8")
    subsamples = [*map(Subsample, SIZES), Subsample()]
    resources = Resources(args.workers, 1, 900, 5000)
    return tabbench.run(str(suite), models=MODELS, holdout=0.3, subsamples=subsamples, out=folder, resources=resources)


if __name__ == "__main__":
    main()
