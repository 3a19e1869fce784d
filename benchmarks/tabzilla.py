"""Networks beside a random forest on two-class tables, and beside what TabZilla published of the same tables.

    python benchmarks/tabzilla.py --tables FOLDER --published FILE.csv --out results/plausible \
        [--models resnet,saint] [--most-rows 1200] [--folds 3] [--workers 1]

--tables: a folder per table with data.parquet and meta.json; taken are those of two classes that TabZilla published and that
are none of the test sets of TabPFN's paper. --published: TabZilla's table of default and tuned results. The run, default
configurations, is resumed in --out. Prints in Markdown the median over tables of accuracy minus the forest's, in points: here
to TabZilla's forest (50 trees, depth 5) and to `random_forest` as it is by default; published on the same tables and on all.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from tabbench.api import run
from tabbench.pfn.evaluate import is_test_set
from tabbench.report.summary_text import markdown_table
from tabbench.resources import Resources

PUBLISHED = {
    "resnet": "rtdl_ResNet",
    "ft_transformer": "rtdl_FTTransformer",
    "saint": "SAINT",
    "node": "NODE",
    "tabnet": "TabNet",
    "danet": "DANet",
    "rtdl_mlp": "rtdl_MLP",
    "mlp": "MLP",
    "tabtransformer": "TabTransformer",
    "stg": "STG",
    "vime": "VIME",
    "nam": "NAM",
    "deepfm": "DeepFM",
    "xgboost": "XGBoost",
    "catboost": "CatBoost",
}
FOREST = "benchmarks.tabzilla:Forest"


class Forest(RandomForestClassifier):
    """The default forest of TabZilla."""

    def __init__(self, n_estimators: int = 50, max_depth: int = 5, random_state: int = 0) -> None:
        super().__init__(n_estimators, max_depth=max_depth, random_state=random_state)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", default="resnet,ft_transformer,saint,node,tabnet,danet")
    parser.add_argument("--most-rows", type=int, default=1200)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    nets = args.models.split(",")
    published = published_differences(args.published)
    suite = args.out.with_suffix(".toml")
    names = write_suite(suite, at_hand(args.tables, args.most_rows, set(published.index)))
    models = ["random_forest", FOREST, *nets]
    found = run(str(suite), models=models, out=args.out, folds=args.folds, resources=Resources(workers=args.workers))
    report(found.frame, published, names, nets)


def published_differences(path: Path) -> pd.DataFrame:
    """Accuracy of each default minus that of the default forest, by OpenML task and algorithm."""
    rows = pd.read_csv(path)
    rows = rows[rows["alg_name"].str.endswith("_default")]
    rows = rows.assign(
        task=rows["dataset_name"].str.split("__").str[-1].astype(int), alg=rows["alg_name"].str[: -len("_default")]
    )
    table = rows.pivot_table(index="task", columns="alg", values="Accuracy__test_mean")
    return table.sub(table["RandomForest"], axis=0).dropna(how="all")


def at_hand(folder: Path, most_rows: int, tasks: set[int]) -> Iterator[tuple[int, str, Path]]:
    """OpenML task, name and file of the tables that are taken."""
    for path in sorted(folder.glob("*/meta.json")):
        meta = json.loads(path.read_text(encoding="utf-8"))
        taken = meta["n_classes"] == 2 and meta["n_rows"] <= most_rows and meta.get("openml_task_id") in tasks
        if taken and not is_test_set(meta.get("openml_dataset_id"), meta["name"]):
            yield meta["openml_task_id"], f"{meta['name']}-{meta['openml_dataset_id']}", path.with_name("data.parquet")


def write_suite(path: Path, tables: Iterator[tuple[int, str, Path]]) -> dict[str, int]:
    """Write the suite file; OpenML task by name."""
    text, names = 'title = "Two-class tables of TabZilla at hand"\n', {}
    for task, name, file in tables:
        text += f'\n[[tasks]]\nname = "{name}"\nsource = "file"\npath = "{file.resolve()}"\ntarget = "target"\n'
        names[name] = task
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return names


def report(results: pd.DataFrame, published: pd.DataFrame, names: dict[str, int], nets: list[str]) -> None:
    """Print medians of differences in points, and all of them by table."""
    accuracy = results.pivot_table(index="task", columns="model", values="accuracy")
    forest = next(name for name in accuracy if name.startswith(FOREST))
    ours = 100 * accuracy[nets].sub(accuracy[forest], axis=0)
    to_default = 100 * accuracy[nets].sub(accuracy["random_forest"], axis=0)
    theirs = 100 * published[[PUBLISHED[net] for net in nets]].set_axis(nets, axis=1)
    same = theirs.reindex([names[name] for name in accuracy.index]).set_axis(accuracy.index)
    medians = {"here": ours, "here, to `random_forest`": to_default, "published, same tables": same, "published, all": theirs}
    summary = pd.DataFrame({title: table.median().map("{:+.1f}".format) for title, table in medians.items()})
    print(markdown_table(summary.assign(tables=ours.count().map(str)).rename_axis("model").reset_index()))
    print("\nBy table, here / published:\n")
    print(markdown_table((ours.map("{:+.1f} / ".format) + same.map("{:+.1f}".format)).reset_index()))


if __name__ == "__main__":
    main()
