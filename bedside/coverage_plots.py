"""Small plots of a coverage as SVG: how values are distributed, how late they became known."""

from itertools import pairwise

from bedside.html import Html, element
from features.coverage.report import FEW, Count, Values

BIN, HEIGHT, FEW_HEIGHT = 10, 90, 3
AXIS = 22


def histogram(values: Values, *, label: str, is_small: bool = False) -> Html:
    """The distribution over the plausible range; a band shows the reference range, a line the median.

    Bins that hold fewer values than may be told are low and pale.
    """
    counts = [0 if one.count == FEW else int(one.count) for one in values.bins]
    width, highest = BIN * len(counts), max([1, *counts])
    shapes = [*_reference(values)]
    for place, (one, count) in enumerate(zip(values.bins, counts, strict=True)):
        is_few = one.count == FEW
        height = FEW_HEIGHT if is_few else round(HEIGHT * count / highest, 1)
        if height:
            bar = {"x": place * BIN + 1, "y": HEIGHT - height, "width": BIN - 2, "height": height}
            shapes.append(element("rect", class_="few" if is_few else "bar", **bar))
    median = _place(values, values.quantiles["p50"])
    shapes.append(element("line", class_="median", x1=median, x2=median, y1=0, y2=HEIGHT))
    shapes.append(element("line", class_="axis", x1=0, x2=width, y1=HEIGHT, y2=HEIGHT))
    if not is_small:
        for place in range(0, len(counts) + 1, len(counts) // 4):
            edge = values.bins[place].low if place < len(counts) else values.bins[-1].high
            anchor = "start" if place == 0 else "end" if place == len(counts) else "middle"
            shapes.append(element("text", _edge(edge), x=place * BIN, y=HEIGHT + 16, text_anchor=anchor))
    box = f"0 0 {width} {HEIGHT + (1 if is_small else AXIS)}"
    return element("svg", *shapes, viewBox=box, role="img", aria_label=label, class_="spark" if is_small else "plot")


def shares(parts: dict[str, Count]) -> Html:
    """Counts as one bar each, as long as their share of all."""
    counts = {name: 0 if count == FEW else int(count) for name, count in parts.items()}
    total = max(1, sum(counts.values()))
    rows = [
        element(
            "tr",
            element("th", name, scope="row"),
            element("td", _bar(100 * counts[name] / total), class_="share"),
            element("td", number(count), class_="number"),
        )
        for name, count in parts.items()
    ]
    return element("table", element("tbody", *rows), class_="shares")


def number(count: Count) -> str:
    """A count as a person reads it."""
    return count if isinstance(count, str) else f"{count:,}"


def _edge(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.2g}" if abs(value) < 1 else f"{value:.3g}"  # noqa: PLR2004


def _bar(percent: float) -> Html:
    bar = element("rect", class_="bar", x=0, y=0, width=round(percent, 1), height=8)
    return element("svg", bar, viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true")


def _reference(values: Values) -> list[Html]:
    if values.reference is None:
        return []
    low = _place(values, min(bounds[0] for bounds in values.reference.values()))
    high = _place(values, max(bounds[1] for bounds in values.reference.values()))
    return [element("rect", class_="reference", x=low, y=0, width=round(high - low, 1), height=HEIGHT)]


def _place(values: Values, value: float) -> float:
    """Where a value lies on the axis, on which all bins are equally wide."""
    edges = [*(one.low for one in values.bins), values.bins[-1].high]
    for place, (low, high) in enumerate(pairwise(edges)):
        if value < high:
            return round(BIN * (place + max(0.0, (value - low) / (high - low))), 1)
    return float(BIN * len(values.bins))
