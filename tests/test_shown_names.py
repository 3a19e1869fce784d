"""Names of datasets, models and columns are anybody's: in a terminal and in Markdown they show what they say, and obey nobody."""

import re

import numpy as np
import pandas as pd
import pytest

from tabbench.cli import main
from tabbench.data.audit import Finding, format_findings
from tabbench.folders.analyze import Analysis, format_analysis
from tabbench.folders.recommend import Advice, format_advice
from tabbench.report.summary_text import format_summary
from tabbench.stats.summary import Settings, summarize

EVIL = [
    "\x1b[2Jgone",
    "two\nverdict: verified",
    "\u202egnp.exe",
    "bell\x07",
    "[x](http://x)",
    "<img src=//x>",
    "a|b",
    "`x`",
    "\r=cmd",
]
OBEYED = ["\x1b", "\nverdict", "\u202e", "\x07", "\r"]


def harmless(text, form="text"):
    assert not [sign for sign in OBEYED if sign in text]
    if form == "md":
        assert not re.search(r"<img|(?<!\\)\]\(", text)
        for block in text.split("\n\n"):
            rows = [line.replace("\\|", "") for line in block.splitlines() if line.startswith("|")]
            assert len({row.count("|") for row in rows}) <= 1, block


@pytest.mark.parametrize("form", ["text", "md"])
def test_of_a_table_of_results(form):
    scores = pd.DataFrame(np.random.default_rng(0).random((len(EVIL), len(EVIL))), EVIL, EVIL)
    scores.iloc[0, 0] = np.nan
    absent = pd.DataFrame(False, scores.index, scores.columns)
    absent.iloc[1, 1] = True
    settings = Settings(control=EVIL[0])
    harmless(format_summary(summarize(scores.mask(absent), settings, absent=absent), settings, form, EVIL), form)


def test_of_advice_analyses_and_findings():
    near = pd.DataFrame({"task": EVIL, "distance": 0.5, "best": EVIL, "score": 0.5})
    columns = ("mean_rank", "rank_low", "rank_high", "overall_rank")
    harmless(format_advice(Advice("auc", near, pd.DataFrame({"model": EVIL, **dict.fromkeys(columns, 1.0)}), 9, EVIL), EVIL[0]))
    few = dict.fromkeys(["correlation", "low", "high", "p", "p_adjusted"], 0.5)
    irregular = pd.DataFrame({"irregularity": range(len(EVIL))}, EVIL)
    irregular.attrs["correlation"] = (0.1, 0.0, 0.2)
    told = pd.DataFrame(columns=["target", "model", "score", "low", "high", "by_chance", "p", "baseline"])
    tuning = pd.DataFrame({"model": EVIL, "share": 0.5, "datasets": 2, "gain": 0.1, "family": 0.1})
    gap = pd.Series(range(len(EVIL)), EVIL, dtype=float)
    correlations = pd.DataFrame({"metafeature": EVIL, **few})
    harmless(format_analysis(Analysis("auc", (EVIL[0], EVIL[1]), gap, correlations, told, irregular, tuning)))
    harmless(format_findings([Finding(name, "identifier", f"says {name}", (name, *EVIL)) for name in EVIL]))


def test_of_files_that_are_audited_or_counted(tmp_path, capsys):
    """Wherever a name enters: as a column, as a label, as a model."""
    n, names = 40, EVIL[:-1]  # no return, which ends a line of CSV
    table = pd.DataFrame({name: np.arange(n) if i % 2 else "constant" for i, name in enumerate(names)})
    table["y"] = np.resize(["yes", "yes ", "\x1b[2Jno", "\x1b[2JNo"], n)
    table.to_csv(tmp_path / "t.csv", index=False)
    main(["audit", str(tmp_path / "t.csv"), "--target", "y"])
    pd.DataFrame(np.eye(len(names)), names, names).rename_axis("dataset").to_csv(tmp_path / "s.csv")
    main(["stats", str(tmp_path / "s.csv")])
    rows = [(task, model, 0, 0.5, 0.5, 1) for task in names for model in names]
    columns = ["task", "framework", "fold", "result", "auc", "duration"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "i.csv", index=False)
    main(["import", "amlb", str(tmp_path / "i.csv"), "--out", str(tmp_path / "o")])
    said = capsys.readouterr()
    harmless(said.out)
    harmless(said.err)
    harmless((tmp_path / "o" / "leaderboard.md").read_text(), "md")
