"""Figures as inline SVG: plain text, the same bytes for the same numbers, coloured by the page, readable without scripts."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tabbench.border.texts import xml_text

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b07d00", "#56b4e9", "#8c6bb1", "#7f7f7f")  # after Okabe and Ito 2008
GLYPH = 6.9  # mean width of a letter at 12 px, rounded up
ROW = 19
CHART = (64.0, 20.0, 590.0, 330.0)  # left, top, right, bottom of the plotting area
WIDTH, HEIGHT = 760.0, 378.0
AXIS_WIDTH, LABEL_WIDTH = 420.0, 26.0  # of the axis of mean ranks, and least distance of its labels
MOST_TICKS = 10  # of a logarithmic axis
MOST_LABELS = 15  # that all have room beside their points, or at the end of a thin line
LOG_RATIO = 50  # largest over smallest value from which an axis is logarithmic
STYLE = (  # of a figure outside the page, as in its light theme
    "text{font:12px system-ui,'Segoe UI',Roboto,'Liberation Sans','DejaVu Sans',sans-serif;fill:#1c2430}polyline{fill:none}"
    ".axis{stroke:#1c2430}.thin{stroke:#5a6572}.grid{stroke:#d5dbe2}.bar{stroke:#0a5f9e;stroke-width:5}.dot{fill:#5a6572}"
    ".dot.best{fill:#0a5f9e}.front{stroke:#0a5f9e;stroke-dasharray:4 3}.curve{stroke-width:2}"
)

Box = tuple[float, float, float, float]  # left, top, right, bottom


class Axis(NamedTuple):
    """of : position of a value. ticks : positions with their labels."""

    of: Callable[[float], float]
    ticks: list[tuple[float, str]]


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" style="max-width:{width:g}px;min-width:{0.8 * width:g}px" role="img" '
        f'aria-label="{xml_text(label)}">{"".join(parts)}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{xml_text(text)}</text>'


def _path(points: Sequence[tuple[float, float]], kind: str, extra: str = "") -> str:
    return f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" class="{kind}" {extra}/>'


def _dot(x: float, y: float, kind: str, name: object) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" class="{kind}"><title>{xml_text(str(name))}</title></circle>'


def critical_difference(ranks: pd.Series, groups: Sequence[tuple[str, ...]], cd: float) -> str:
    """Critical-difference diagram (Demšar 2006, Figure 1): models on the axis of mean ranks, bars over groups within the CD.

    ranks : mean ranks by model. groups : names of each group. cd : the critical difference, drawn as a scale.
    """
    ranks = ranks.sort_values(kind="stable")
    k, half = len(ranks), (len(ranks) + 1) // 2
    labels = [f"{name}  {rank:.2f}" for name, rank in ranks.items()]
    left = 24 + GLYPH * max(len(label) for label in labels[:half])
    right = left + AXIS_WIDTH
    width = right + 24 + GLYPH * max([len(label) for label in labels[half:]])
    axis, below = 60.0, 72.0 + 8 * len(groups)

    def at(rank: float) -> float:
        return left + (rank - 1) / (k - 1) * (right - left)

    parts = [_path([(left, axis), (right, axis)], "axis")]
    parts += [_path([(at(tick), axis - 5), (at(tick), axis)], "axis") for tick in range(1, k + 1)]
    parts += [_text(at(tick), axis - 9, str(tick), "middle") for tick in range(1, k + 1, _label_step(k))]
    end, wide = (at(1 + cd), "") if cd <= k - 1 else (right, " (wider than the axis)")
    parts.append(_path([(left, 20), (left, 26), (end, 26), (end, 20)], "axis"))
    parts.append(_text((left + end) / 2, 16, f"CD = {cd:.2f}{wide}", "middle"))
    for i, group in enumerate(groups):
        parts.append(_path([(at(ranks[group[0]]) - 4, axis + 9 + 8 * i), (at(ranks[group[-1]]) + 4, axis + 9 + 8 * i)], "bar"))
    for i, (label, rank) in enumerate(zip(labels, ranks, strict=True)):
        on_left = i < half
        y = below + ROW * ((i if on_left else k - 1 - i) + 0.5)
        end, anchor, gap = (left - 12, "end", -5) if on_left else (right + 12, "start", 5)
        parts += [_path([(at(rank), axis), (at(rank), y), (end, y)], "thin"), _text(end + gap, y + 4, label, anchor)]
    return _svg(width, below + ROW * half + 6, f"Critical-difference diagram. Mean ranks: {', '.join(labels)}", parts)


def _label_step(k: int) -> int:
    """From one labelled rank of k to the next, so that labels do not touch."""
    return next(step for step in (1, 2, 5, 10, 20, 50, 100, k) if step >= k or step * AXIS_WIDTH / (k - 1) >= LABEL_WIDTH)


def standalone(svg: str) -> str:
    """A figure of the page as a file of its own: with its style, size and a white ground."""
    width, height = svg.split('viewBox="0 0 ')[1].split('"')[0].split()
    head, _, body = svg.partition(">")
    namespace = f'xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
    ground = f'<style>{STYLE}</style><rect width="{width}" height="{height}" fill="#fff"/>'
    return f"{head.replace('<svg', f'<svg {namespace}', 1)}>{ground}{body}\n"


def scatter(x: pd.Series, y: pd.Series, x_name: str, y_name: str) -> str:
    """One quantity against another by dataset, with a line at y = 0; the x axis is logarithmic where that spreads the points."""
    both = pd.DataFrame({"x": x, "y": y}).replace([np.inf, -np.inf], np.nan).dropna()
    left, top, right, bottom = CHART
    is_log = both["x"].min() > 0 and both["x"].max() / both["x"].min() >= LOG_RATIO
    x_axis = (_log_axis if is_log else _linear_axis)(both["x"], left, right)
    y_axis = _linear_axis(pd.Series([0.0, *both["y"]]), bottom, top)
    parts = _frame(x_axis.ticks, y_axis.ticks, f"{x_name} (log scale)" if is_log else x_name, y_name)
    parts.append(_path([(left, y_axis.of(0)), (right, y_axis.of(0))], "thin"))
    parts += [_dot(x_axis.of(row.x), y_axis.of(row.y), "dot best", row.Index) for row in both.itertuples()]
    return _svg(WIDTH, HEIGHT, f"{y_name} against {x_name}, a dot a dataset", parts)


def pareto_front(cost: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Indices of points that no cheaper point equals or beats in quality, by rising cost."""
    order = np.lexsort((-quality, cost))
    best = np.maximum.accumulate(quality[order])
    first = np.concatenate([[True], best[1:] > best[:-1]])
    return order[first]


def time_quality(seconds: pd.Series, quality: pd.Series, quality_name: str) -> str:
    """Scatter of time (log axis) against quality (higher is better) by model, with the Pareto front; "" without a point.

    Of many models, those on the front have a label, others where there is room beside their points.
    """
    known = seconds.notna() & quality.notna() & (seconds > 0)
    seconds, quality = seconds[known], quality[known]
    if seconds.empty:
        return ""
    left, top, right, bottom = CHART
    x_axis, y_axis = _log_axis(seconds, left, right), _linear_axis(quality, bottom, top)
    parts = _frame(x_axis.ticks, y_axis.ticks, "fit + predict, seconds per 1,000 rows (log scale)", quality_name)
    front = pareto_front(seconds.to_numpy(), quality.to_numpy())
    dots = [(x_axis.of(x), y_axis.of(y)) for x, y in zip(seconds, quality, strict=True)]
    parts.append(_path([dots[i] for i in front], "front"))
    on_front = np.isin(np.arange(len(dots)), front)
    order = np.lexsort((-quality.to_numpy(), ~on_front))  # the front first, then the best
    needed = len(dots) if len(dots) <= MOST_LABELS else len(front)
    parts += _labels([dots[i] for i in order], [str(quality.index[i]) for i in order], needed)
    kinds = np.where(on_front, "dot best", "dot")
    parts += [_dot(x, y, kind, name) for (x, y), kind, name in zip(dots, kinds, quality.index, strict=True)]
    label = f"Time against {quality_name} by model. On the Pareto front: {', '.join(quality.index[front])}"
    return _svg(WIDTH, HEIGHT, label, parts)


def curves(series: Mapping[str, Mapping[int, float]], name: str) -> str:
    """Quality against training size (log axis), a line a model, labelled at its right end."""
    sizes = pd.Series(sorted({size for line in series.values() for size in line}), dtype=float)
    left, top, right, bottom = CHART
    x_axis = _log_axis(sizes, left, right)
    y_axis = _linear_axis(pd.Series([value for line in series.values() for value in line.values()]), bottom, top)
    parts = _frame([(x_axis.of(size), f"{size:,.0f}") for size in sizes], y_axis.ticks, "training rows (log scale)", name)
    ends = {}
    for i, (model, line) in enumerate(sorted(series.items(), key=lambda item: -item[1][max(item[1])])):
        points = [(x_axis.of(size), y_axis.of(value)) for size, value in sorted(line.items())]
        parts.append(_path(points, "curve", f'style="stroke:{COLOURS[i % len(COLOURS)]}"'))
        ends[model] = points[-1]
    parts += _labels(list(ends.values()), list(ends), len(ends))
    return _svg(WIDTH, HEIGHT, f"{name} against training size by model", parts)


def training(shares: np.ndarray, series: Mapping[str, np.ndarray], bands: Mapping[str, np.ndarray] = {}) -> str:
    """Loss above the least of each line by share of the steps, both axes linear, a line a model, labelled at its right end.

    bands : of what was foretold of the last points of a line, lower end, median and upper end (q, 3), cut off at the axis' ends.
    """
    left, top, right, bottom = CHART
    x_axis = _linear_axis(pd.Series([0.0, 100.0]), left, right)
    drawn = np.concatenate(list(series.values()))
    y_axis = _linear_axis(pd.Series(drawn), bottom, top)
    name = "validation log loss above its least, nats"
    parts, ends = _frame(x_axis.ticks, y_axis.ticks, "% of the boosting rounds or epochs", name), {}
    for i, (model, line) in enumerate(series.items()):
        points = [(x_axis.of(100 * share), y_axis.of(value)) for share, value in zip(shares, line, strict=True)]
        colour = COLOURS[i % len(COLOURS)]
        parts.append(_path(points, "curve", f'style="stroke:{colour}"'))
        ends[model] = points[-1]
        if model in bands:
            at = shares[len(shares) - len(bands[model]) :]
            low, middle, high = (
                [(x_axis.of(100 * share), y_axis.of(value)) for share, value in zip(at, column, strict=True)]
                for column in bands[model].clip(drawn.min(), drawn.max()).T
            )
            parts.append(_path([*low, *high[::-1]], "band", f'style="fill:{colour};fill-opacity:0.15"'))
            parts.append(_path(middle, "thin", f'style="stroke:{colour};stroke-dasharray:2 3"'))
    parts += _labels(list(ends.values()), list(ends), len(ends))
    return _svg(WIDTH, HEIGHT, f"{name}, by model and share of the steps", parts)


def _frame(x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]], x_name: str, y_name: str) -> list[str]:
    """Axes with ticks, labels and grid lines."""
    left, top, right, bottom = CHART
    parts = [_path([(left, y), (right, y)], "grid") for y, _ in y_ticks]
    parts += [_text(left - 8, y + 4, label, "end") for y, label in y_ticks]
    parts.append(_path([(left, top), (left, bottom), (right, bottom)], "axis"))
    parts += [_path([(x, bottom), (x, bottom + 5)], "axis") for x, _ in x_ticks]
    parts += [_text(x, bottom + 19, label, "middle") for x, label in x_ticks]
    parts.append(_text((left + right) / 2, bottom + 40, x_name, "middle"))
    middle = (top + bottom) / 2
    return [*parts, _text(14, middle, y_name, "middle", f'transform="rotate(-90 14 {middle:g})"')]


def _labels(points: Sequence[tuple[float, float]], names: Sequence[str], needed: int) -> list[str]:
    """Names beside their points so that they cover neither each other nor a point; a thin line leads to one further off.

    Points after the first `needed` have a label only where there is room beside them.
    """
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    parts = []
    for i, ((x, y), name) in enumerate(zip(points, names, strict=True)):
        box, is_near = _free_box(x, y, GLYPH * len(name), taken)
        if i >= needed and not is_near:
            continue
        taken.append(box)
        parts += [] if is_near else [_path([(x, y), (box[0] - 1, box[3] - 7)], "thin")]
        parts.append(_text(box[0], box[3] - 3, name))
    return parts


def _free_box(x: float, y: float, width: float, taken: Sequence[Box]) -> tuple[Box, bool]:
    """Place for a label that covers nothing: right, left, above or below (x, y), or further off to the right (False)."""
    near = [(x + 9, y - 8), (x - 9 - width, y - 8), (x - width / 2, y - 23), (x - width / 2, y + 8)]
    far = [(x + 18, y - 8 + side * step) for step in range(4, 400, 4) for side in (1, -1)]
    boxes = [(left, top, left + width, top + 15) for left, top in [*near, *far]]
    inside = [CHART[0] <= box[0] and box[2] <= WIDTH and CHART[1] - 15 <= box[1] and box[3] <= CHART[3] for box in boxes]
    free = (i for i, box in enumerate(boxes) if inside[i] and not any(_overlap(box, other) for other in taken))
    place = next(free, None)
    return (boxes[0], False) if place is None else (boxes[place], place < len(near))


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _log_axis(values: pd.Series, start: float, stop: float) -> Axis:
    low, high = np.log10(values.min()), np.log10(values.max())
    low, high = (low - 0.1, high + 0.1) if high - low > 0.2 else (low - 0.5, high + 0.5)

    def of(value: float) -> float:
        return float(start + (np.log10(value) - low) / (high - low) * (stop - start))

    factors = (1, 2, 5) if high - low < 2 else (1,)
    ticks = [factor * 10.0**power for power in range(int(np.floor(low)), int(np.ceil(high)) + 1) for factor in factors]
    ticks = [tick for tick in ticks if low <= np.log10(tick) <= high]
    return Axis(of, [(of(tick), _plain(tick)) for tick in ticks[:: 1 + len(ticks) // MOST_TICKS]])


def _plain(value: float) -> str:
    """A number without an exponent."""
    return f"{value:,.0f}" if value >= 1 else np.format_float_positional(value, precision=6, fractional=False, trim="-")


def _linear_axis(values: pd.Series, start: float, stop: float) -> Axis:
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 0.05
    low, high = low - margin, high + margin

    def of(value: float) -> float:
        return float(start + (value - low) / (high - low) * (stop - start))

    step = 10.0 ** np.floor(np.log10((high - low) / 3))
    step *= next((factor for factor in (5, 2) if (high - low) / (step * factor) >= 3), 1)
    places = max(0, int(np.ceil(-np.log10(step))))
    ticks = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step + 0.0  # no -0
    return Axis(of, [(of(tick), f"{tick:.{places}f}") for tick in ticks])
