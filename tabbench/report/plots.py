"""Figures as inline SVG: plain text, the same bytes for the same numbers, readable without scripts."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6000", "#000000")  # Okabe and Ito 2008
WIDTH = 760

Axis = tuple[Callable[[float], float], list[tuple[float, str]]]  # value → pixel, and labelled ticks


def _svg(height: float, label: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(label)}">'
    return f"{head}<title>{escape(label)}</title>{''.join(parts)}</svg>"


def _text(x: float, y: float, text: str, anchor: str = "start", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def critical_difference(ranks: pd.Series, groups: Sequence[tuple[str, ...]], cd: float) -> str:
    """Critical-difference diagram (Demšar 2006, Figure 1): models on the axis of mean ranks, bars over groups that do not differ.

    ranks : mean ranks by model. groups : the bars. cd : the critical difference, drawn as a scale.
    """
    ranks = ranks.sort_values(kind="stable")
    k, left, right, axis = len(ranks), 190.0, WIDTH - 190.0, 60.0

    def at(rank: float) -> float:
        return left + (rank - 1) / max(k - 1, 1) * (right - left)

    parts = [_line(left, axis, right, axis, "axis")]
    for tick in range(1, k + 1):
        parts += [_line(at(tick), axis - 5, at(tick), axis, "axis"), _text(at(tick), axis - 9, str(tick), "middle")]
    parts += [_line(left, 20, at(1 + cd), 20, "bar"), _text((left + at(1 + cd)) / 2, 14, f"CD = {cd:.2f}", "middle")]
    below = axis + 14 + 9 * len(groups)
    for i, group in enumerate(groups):
        y = axis + 10 + 9 * i
        parts.append(_line(at(ranks[group[0]]) - 4, y, at(ranks[group[-1]]) + 4, y, "bar"))
    half = (k + 1) // 2
    for i, (name, rank) in enumerate(ranks.items()):
        on_left = i < half
        y = below + 18 * ((i if on_left else k - 1 - i) + 0.5)
        end = left - 12 if on_left else right + 12
        parts += [_line(at(rank), axis, at(rank), y, "thin"), _line(at(rank), y, end, y, "thin")]
        label = f"{name} ({rank:.2f})" if len(str(name)) < 22 else f"{str(name)[:20]}… ({rank:.2f})"
        parts.append(_text(end - 4 if on_left else end + 4, y + 4, label, "end" if on_left else "start"))
    label = "Critical-difference diagram: mean ranks " + ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.items())
    return _svg(below + 18 * half + 6, label, parts)


def pareto_front(cost: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Indices of points that no cheaper point equals or beats in quality, by rising cost."""
    order = np.lexsort((-quality, cost))
    best = np.maximum.accumulate(quality[order])
    first = np.concatenate([[True], best[1:] > best[:-1]])
    return order[first]


def time_quality(seconds: pd.Series, quality: pd.Series, quality_name: str) -> str:
    """Scatter of time (log axis) against quality (higher is better) by model, with the Pareto front."""
    known = seconds.notna() & quality.notna() & (seconds > 0)
    seconds, quality = seconds[known], quality[known]
    if seconds.empty:
        return ""
    x_of, x_ticks = _log_axis(seconds, 70, WIDTH - 150)
    y_of, y_ticks = _linear_axis(quality, 330, 20)
    parts = [_line(70, 330, WIDTH - 150, 330, "axis"), _line(70, 20, 70, 330, "axis")]
    parts += [_text(x, 348, label, "middle") for x, label in x_ticks] + [_line(x, 326, x, 330, "axis") for x, _ in x_ticks]
    parts += [_text(62, y + 4, label, "end") for y, label in y_ticks] + [_line(70, y, WIDTH - 150, y, "grid") for y, _ in y_ticks]
    parts.append(_text((70 + WIDTH - 150) / 2, 368, "fit + predict, seconds per 1,000 rows (log scale)", "middle"))
    parts.append(_text(16, 175, quality_name, "middle", 'transform="rotate(-90 16 175)"'))
    front = pareto_front(seconds.to_numpy(), quality.to_numpy())
    points = " ".join(f"{x_of(seconds.iloc[i]):.1f},{y_of(quality.iloc[i]):.1f}" for i in front)
    parts.append(f'<polyline points="{points}" class="front"/>')
    labels: list[tuple[float, float]] = []
    for i in np.argsort(-quality.to_numpy(), kind="stable"):
        x, y, name = x_of(seconds.iloc[i]), y_of(quality.iloc[i]), str(quality.index[i])
        labels.append(_free_place(x + 9, y + 4, labels))
        kind = "dot best" if i in front else "dot"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" class="{kind}"/>' + _text(*labels[-1], name[:28]))
    return _svg(378, f"Time against {quality_name} by model; on the Pareto front: {', '.join(quality.index[front])}", parts)


def curves(series: Mapping[str, Mapping[int, float]], name: str) -> str:
    """Quality against training size (log axis), a line a model, labelled at its right end."""
    sizes = sorted({size for line in series.values() for size in line})
    values = pd.Series([value for line in series.values() for value in line.values()])
    x_of, _ = _log_axis(pd.Series(sizes, dtype=float), 70, WIDTH - 150)
    y_of, y_ticks = _linear_axis(values, 330, 20)
    parts = [_line(70, 330, WIDTH - 150, 330, "axis")]
    parts += [_text(x_of(size), 348, f"{size:,}", "middle") for size in sizes]
    parts += [_text(62, y + 4, label, "end") for y, label in y_ticks] + [_line(70, y, WIDTH - 150, y, "grid") for y, _ in y_ticks]
    parts.append(_text((70 + WIDTH - 150) / 2, 368, "training rows (log scale)", "middle"))
    parts.append(_text(16, 175, name, "middle", 'transform="rotate(-90 16 175)"'))
    labels: list[tuple[float, float]] = []
    for i, (model, line) in enumerate(sorted(series.items(), key=lambda item: -item[1][max(item[1])])):
        colour = COLOURS[i % len(COLOURS)]
        points = " ".join(f"{x_of(size):.1f},{y_of(value):.1f}" for size, value in sorted(line.items()))
        labels.append(_free_place(x_of(max(line)) + 8, y_of(line[max(line)]) + 4, labels))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(*labels[-1], model[:22], extra=f'style="fill:{colour}"'))
    return _svg(378, f"{name} against training size by model", parts)


def _free_place(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the first place at or below (x, y) where a label covers none of those already set."""
    while any(abs(y - other_y) < 12 and abs(x - other_x) < 110 for other_x, other_y in taken):
        y += 3
    return x, y


def _log_axis(values: pd.Series, start: float, stop: float) -> Axis:
    low, high = np.log10(values.min()), np.log10(values.max())
    low, high = (low - 0.1, high + 0.1) if high - low > 0.2 else (low - 0.5, high + 0.5)

    def of(value: float) -> float:
        return float(start + (np.log10(value) - low) / (high - low) * (stop - start))

    factors = (1, 2, 5) if high - low < 2 else (1,)
    ticks = [factor * 10.0**power for power in range(int(np.floor(low)), int(np.ceil(high)) + 1) for factor in factors]
    return of, [(of(tick), f"{tick:g}") for tick in ticks if low <= np.log10(tick) <= high]


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
    return of, [(of(tick), f"{tick:.{places}f}") for tick in ticks]
