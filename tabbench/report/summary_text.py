"""The summary of a plain results table as text for a terminal, as Markdown, or as JSON."""

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from tabbench.border.texts import markdown_cell, printable
from tabbench.report.leaderboard import TERMINAL_WIDTH
from tabbench.report.verdict import p_text
from tabbench.stats.summary import Settings, Summary, as_records

Form = Literal["text", "md", "json"]
LARGEST_SHARE = 1.5  # scores beyond are percentages, losses or the like
FEW = 5  # datasets, of which no test at the 5% level can say anything
MOST_PAIRS, MOST_COLUMNS = 45, 10  # in text; JSON and Markdown have them all


def format_summary(summary: Summary, settings: Settings, form: Form = "text", remarks: Sequence[str] = ()) -> str:
    """Everything in the summary, after remarks on the table it is of; the text leaves out pairs beyond the first 45."""
    if form == "json":
        facts = {"remarks": list(remarks), "settings": vars(settings), **as_records(summary)}
        return json.dumps(facts, indent=1, default=str, allow_nan=False)
    show = markdown_cell if form == "md" else printable  # names of models and datasets are anybody's
    blocks = ["\n".join(f"Note: {show(remark)}." for remark in remarks), "\n".join(map(show, _head(summary, settings)))]
    for title, note, table in _tables(summary, settings, form):
        if len(table):
            if form == "md":
                blocks += [f"## {show(title)}", show(note), markdown_table(table)]
            else:
                plain = show(title)
                blocks += [f"{plain}\n{'-' * len(plain)}\n{textwrap.fill(show(note), TERMINAL_WIDTH)}", _aligned(table)]
    return "\n\n".join(block for block in blocks if block)


def _head(summary: Summary, settings: Settings) -> list[str]:
    """What stands above the tables, a line each."""
    models, n = summary.models, summary.n_datasets
    noun = "dataset" if n == 1 else "datasets"
    direction = "greater" if settings.greater_is_better else "lower"
    lines = [f"{n:,} {noun} × {len(models)} models; {direction} is better; missing scores: {summary.n_missing:,}."]
    lines += [*_not_run(summary), *_unit(summary, settings)]
    if summary.unscored:
        lines.append(f"Left out, for want of any score: {', '.join(summary.unscored)}.")
    omnibus = summary.omnibus
    if omnibus is None:
        return [*lines, "One dataset or one model: there is nothing to test over datasets."]
    between = omnibus.n_models - 1
    lines += [
        *few_datasets(n),
        f"Friedman (tie-corrected): chi2({between}) = {omnibus.chi2:.2f}, {p_text(omnibus.p)}; Iman-Davenport: "
        f"F({between}, {between * (n - 1)}) = {omnibus.f:.2f}, {p_text(omnibus.f_p)}; Kendall's W = {omnibus.kendall_w:.2f}.",
        f"Critical difference of mean ranks at {settings.alpha:g}: {summary.cd['nemenyi']:.3f} between any two (Nemenyi), "
        f"{summary.cd['bonferroni_dunn']:.3f} from one control (Bonferroni-Dunn).",
    ]
    groups = [", ".join(group) for group in summary.groups]
    return [*lines, "Within the Nemenyi difference: " + ("; ".join(groups) if groups else "no two models") + "."]


def _not_run(summary: Summary) -> list[str]:
    """What models lack, and what is left to compare them on."""
    lacking = summary.models["n_not_run"].sort_values(ascending=False, kind="stable")
    lines = []
    if summary.n_datasets + len(summary.unscored) < summary.n_known or lacking.any():
        named = ", ".join(f"{model} was not run on {count}" for model, count in lacking.items() if count)
        lines.append(f"Ranked on the {summary.n_datasets:,} of {summary.n_known:,} datasets that all of them ran: {named}.")
    if summary.left_out:
        lines.append(f"Not ranked, for want of a dataset in common with the others: {', '.join(summary.left_out)}.")
    return lines


def _unit(summary: Summary, settings: Settings) -> list[str]:
    """Where scores are no shares, say what the region of practical equivalence is in."""
    low, high = summary.models["mean_score"].min(), summary.models["mean_score"].max()
    if max(abs(low), abs(high)) <= LARGEST_SHARE:
        return []
    return [
        f"The region of practical equivalence, ±{settings.rope:g}, is in units of the score, whose means go from {low:.4g} to "
        f"{high:.4g}: choose another with --rope."
    ]


def few_datasets(n: int) -> list[str]:
    """A sentence where no p-value can say much."""
    if n > FEW:
        return []
    least = p_text(2.0 ** (1 - n)).replace("p = ", "")
    return [f"{n} datasets are few: no signed-rank test of so many can give a p below {least}; mind the intervals."]


def _tables(summary: Summary, settings: Settings, form: Form) -> list[tuple[str, str, pd.DataFrame]]:
    """Title, note and formatted table of each part."""
    share = f"{100 * (1 - settings.alpha):g}%"
    shown = summary.pairs if form == "md" else summary.pairs.iloc[:MOST_PAIRS]
    more = len(summary.pairs) - len(shown)
    leader = summary.models.index[0]
    few = f"; {summary.n_datasets} datasets are few" if summary.n_datasets <= FEW else ""
    return [
        (
            "Models",
            f"Intervals: {share}, see docs/statistics.md. norm.: 1 = best, 0 = worst on a dataset; behind: mean distance to the "
            "best score; improv.: mean share of the error that the best would spare. A missing score counts as the worst rank.",
            _models(summary.models),
        ),
        (
            "Pairs",
            "Wilcoxon's signed-rank test over datasets, zeros by Pratt; w/t/l and differences of the first model; effect: "
            f"rank-biserial correlation; p corrected over all pairs{few}.{_more_of_pairs(more, form)}",
            _pairs(shown, form),
        ),
        (
            "Pairs on the folds of the one dataset",
            "Nadeau and Bengio's corrected t-test, Holm's correction over all pairs; probabilities by the Bayesian correlated "
            f"t-test, region of practical equivalence ±{settings.rope:g}. They speak of this dataset alone.",
            _within(summary.within),
        ),
        (
            "Win rates",
            "On what share of the datasets the row's model beats the column's, in %, ties counted half.",
            _win_rates(summary.win_rates) if form == "md" or len(summary.win_rates) <= MOST_COLUMNS else pd.DataFrame(),
        ),
        (
            f"How probably {leader} is better",
            f"Bayesian signed-rank test, region of practical equivalence ±{settings.rope:g}; {_also(summary)}.",
            _posteriors(summary.leader),
        ),
        (
            f"Against {settings.control}",
            f"Mean ranks, normal approximation, Holm's correction; z > 0: better than the control{few}.",
            _with(summary.control, {"z": "{:.3f}".format, "p": _p, "p_adjusted": _p}, "model"),
        ),
        (
            "What a missing score may mean",
            "Mean ranks without the datasets that lack a score, with missing ones (run or not) as worst, and with the "
            f"baseline's instead (--baseline); shift: places by which a model moves.{_stability(summary.stability)}",
            _failures(summary)
            if summary.n_missing or summary.n_known > summary.n_datasets or summary.left_out
            else pd.DataFrame(),
        ),
    ]


def _also(summary: Summary) -> str:
    if summary.no_hierarchical:
        return f"sign: sign test; no hierarchical test from the folds: {summary.no_hierarchical}"
    return "sign: sign test; hier.: hierarchical test from the folds" if "h_model" in summary.leader else "sign: sign test"


def _models(models: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model": models.index,
            "rank": _fixed(models["mean_rank"], 2),
            "interval": _range(models["rank_low"], models["rank_high"], 2),
            "Elo": _fixed(models["rating"], 0),
            "interval ": _range(models["rating_low"], models["rating_high"], 0),
            "score": _fixed(models["mean_score"], 4),
            "norm.": _fixed(models["normalized_score"], 3),
            "behind": _fixed(models["champion_delta"], 4),
            "improv.": _fixed(models["improvability"], 3),
            "w/t/l": [f"{row.wins}/{row.ties}/{row.losses}" for row in models.itertuples()],
            "missing": models["n_missing"].astype(str).tolist(),
            **({"not run": models["n_not_run"].astype(str).tolist()} if models["n_not_run"].any() else {}),
        }
    )


def _more_of_pairs(more: int, form: Form) -> str:
    """What the columns of the Markdown form mean, or where to find what the text leaves out."""
    if form == "md":
        return " d: Cohen's; sign: p of the sign test, uncorrected; Nemenyi: p by mean ranks, for all pairs."
    return f" {f'{more} more pairs, ' if more else ''}Cohen's d, sign test and Nemenyi's p: --format json."


def _pairs(pairs: pd.DataFrame, form: Form) -> pd.DataFrame:
    if pairs.empty:
        return pairs
    columns = {
        "model": pairs["model_a"],
        "against": pairs["model_b"],
        "w/t/l": [f"{row.wins}/{row.ties}/{row.losses}" for row in pairs.itertuples()],
        "mean diff.": _fixed(pairs["mean_difference"], 4),
        "effect": _fixed(pairs["rank_biserial"], 2),
    }
    names = {"p": "p", "p_holm": "Holm", "p_shaffer": "Shaffer", "p_bergmann": "Bergmann"}
    if form == "md":
        columns["d"] = _fixed(pairs["cohen_d"], 2)
        names |= {"p_sign": "sign", "p_nemenyi": "Nemenyi"}
    return pd.DataFrame({**columns, **{label: [_p(p) for p in pairs[name]] for name, label in names.items() if name in pairs}})


def _within(pairs: pd.DataFrame) -> pd.DataFrame:
    if pairs.empty:
        return pairs
    return pd.DataFrame(
        {
            "model": pairs["model_a"],
            "against": pairs["model_b"],
            "mean diff.": _fixed(pairs["mean_difference"], 4),
            "t": _fixed(pairs["t"], 2),
            "p": [_p(p) for p in pairs["p"]],
            "Holm": [_p(p) for p in pairs["p_holm"]],
            "better": _fixed(pairs["p_a"], 3),
            "equal": _fixed(pairs["p_equal"], 3),
            "worse": _fixed(pairs["p_b"], 3),
        }
    )


def _win_rates(rates: pd.DataFrame) -> pd.DataFrame:
    return _with(rates, dict.fromkeys(rates.columns, lambda rate: f"{100 * rate:.0f}"), "row model")


def _stability(stability: pd.DataFrame) -> str:
    known = stability.dropna().replace("_", " ", regex=True)
    taus = [f"{row.tau:.2f} ({row.policy_a}, {row.policy_b})" for row in known.itertuples()]
    return f" Kendall's tau between the orders: {', '.join(taus)}." if taus else ""


def _posteriors(leader: pd.DataFrame) -> pd.DataFrame:
    names = {"p_model": "better", "p_equal": "equal", "p_other": "worse"}
    names |= {"s_model": "better, sign", "s_equal": "equal, sign", "s_other": "worse, sign"}
    names |= {"h_model": "better, hier.", "h_equal": "equal, hier.", "h_other": "worse, hier."}
    shown = leader.rename(columns=names)
    return _with(shown, dict.fromkeys(shown.columns, lambda value: "" if pd.isna(value) else f"{value:.3f}"), "than")


def _failures(summary: Summary) -> pd.DataFrame:
    ranks = summary.failures.rename(columns=lambda name: name.replace("_", " "))
    table = _with(ranks, dict.fromkeys(ranks.columns, lambda value: "-" if pd.isna(value) else f"{value:.2f}"), "model")
    return table.assign(shift=[f"{value:.0f}" for value in ranks["shift"]])


def _with(table: pd.DataFrame, formats: Mapping[str, Callable[[Any], str]], name: str) -> pd.DataFrame:
    columns = {column: [formats[column](value) for value in table[column]] for column in table.columns}
    return pd.DataFrame({name: table.index.astype(str), **columns}) if len(table) else table


def _p(p: float) -> str:
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def _fixed(values: pd.Series, places: int) -> list[str]:
    return ["-" if pd.isna(value) else f"{value:.{places}f}" for value in values]


def _range(low: pd.Series, high: pd.Series, places: int) -> list[str]:
    return ["-" if pd.isna(a) else f"{a:.{places}f}..{b:.{places}f}" for a, b in zip(low, high, strict=True)]


def _rows(table: pd.DataFrame) -> list[list[str]]:
    return [[str(value) for value in row] for row in table.itertuples(index=False)]


def _aligned(table: pd.DataFrame) -> str:
    """Names on the left, everything else to the right."""
    rows = [
        [printable(str(name).strip()) for name in table.columns],
        *([printable(cell) for cell in row] for row in _rows(table)),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = {i for i, name in enumerate(table.columns) if name in ("model", "row model", "against", "than")}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def markdown_table(table: pd.DataFrame) -> str:
    """A table of texts as Markdown."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(markdown_cell(cell) for cell in cells)} |"

    return "\n".join([line(list(table.columns)), line(["---"] * table.shape[1]), *map(line, _rows(table))])
