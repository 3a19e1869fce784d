"""The report's page at full size in headless Chromium: its weight, and how long it takes to load and to answer a reader.

    python -m benchmarks.report_page [--datasets 176 --models 22 --folds 10 --metafeatures 600]

The results are synthetic. Every action is timed to the end of the layout that it causes. "Choose" is what follows a click on a
filter: ranks, ratings with their 500 resamples, critical-difference diagram, tests and win rates of what is left.
"""

import argparse
import html
import json
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.support.browser import browse
from benchmarks.support.synthetic_results import MODELS, make_manifest, make_results
from tabbench.report.page import render

DRIVER = """<pre id="answers"></pre><script>
  const answers = { "load": performance.now() };
  const timed = (name, act) => {
    const start = performance.now();
    act();
    document.body.offsetHeight;
    answers[name] = performance.now() - start;
  };
  timed("choose: everything", refresh);
  byId("rows-from").value = "1000";
  timed("choose: 1,000 rows and more", refresh);
  form.querySelector("[name=model]").checked = false;
  timed("choose: one model less", refresh);
  metric.value = "log_loss";
  timed("another metric", show);
  timed("sort the leaderboard", () => sort(document.querySelector(".view:not([hidden]) .board th:nth-child(6)")));
  timed("folds of a dataset", () => showFolds(numbers.datasets[5].name));
  timed("correlations with metafeatures, when in view", relate);
  byId("answers").textContent = JSON.stringify(answers);
</script></body>"""


def main() -> None:
    """Build the page, open it, print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("datasets", 176), ("models", 22), ("folds", 10), ("metafeatures", 600)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    page, seconds = build(args.datasets, args.models, args.folds, args.metafeatures)
    print(f"{args.datasets} datasets, {args.models} models, {args.folds} folds, {args.metafeatures} metafeatures")
    print(f"{len(page.encode()) / 1e6:9.2f} MB, written in {seconds:.1f} s")
    for name, milliseconds in measure(page).items():
        print(f"{milliseconds:9.0f} ms  {name}")


def build(n_datasets: int, n_models: int, n_folds: int, n_metafeatures: int) -> tuple[str, float]:
    """Return a page, and the seconds it took to render."""
    results = make_results(n_datasets, sizes=(None, 1024), n_folds=n_folds)
    kept = [*MODELS, *sorted(set(results["model"]) - set(MODELS))][:n_models]
    results = results[results["model"].isin(kept)]
    tasks, names = sorted(results["task"].unique()), [f"metafeature_{i}.mean" for i in range(n_metafeatures)]
    values = np.random.default_rng(0).lognormal(0, 3, size=(len(tasks), len(names)))
    rounded = np.array([[float(f"{value:.7g}") for value in row] for row in values])
    start = time.perf_counter()
    page = render(results, make_manifest(results), pd.DataFrame(rounded, tasks, names))
    return page, time.perf_counter() - start


def measure(page: str) -> dict[str, float]:
    """Milliseconds by action."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(page.replace("</body>", DRIVER), encoding="utf-8")
        found = re.search(r'<pre id="answers">(.*?)</pre>', browse(path, Path(folder), real_time=True), re.DOTALL)
        assert found is not None
        return json.loads(html.unescape(found[1]))


if __name__ == "__main__":
    main()
