"""Compare printed output with expected output, number by number.

The rule: text is equal; integers are equal; a float may differ by one unit in its last printed digit;
both sides print the same count of numbers, with the same number of decimals.

Two runners draw other random numbers. Between them, a number that is printed with its uncertainty, as `2.1 ± 0.3` or
`2.1 (1.8 to 2.4)`, agrees where the two intervals overlap, and a figure is compared by its axes and its words.
"""

import re
from decimal import Decimal

# a number that is not part of a word (`dense_1`, `float32`), of a version (`3.15.1`) or of a colour (`#123456`)
NUMBER = re.compile(r"(?<![\w.#])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?!\w|\.\d)")
# a number and how far chance moves it
RANGE = re.compile(r"(?<![\w.#])[-+]?[\d.]+(?: ± (?P<by>[\d.]+)| \((?P<low>[-+]?[\d.]+) to (?P<high>[-+]?[\d.]+)\))")
# identifiers inside an SVG figure; matplotlib derives them from what it draws
SVG_ID = re.compile(r'\bid="[^"]*"|url\(#[^)]*\)|href="#[^"]*"|\s*<metadata>.*?</metadata>', re.DOTALL)
SVG_LABEL = re.compile(r"(<text\b[^>]*>)([^<]*)")
SVG_TOLERANCE = 1.5  # points on the page: about the width of a plotted line
PIXEL_TOLERANCE = 0.01  # share of pixels that may differ visibly between two PNG figures


def difference(expected: str, printed: str) -> str | None:
    """Return None if `printed` matches `expected` under the rule, or one clause that says where it does not."""
    return _by_line(expected, printed, _number_problem)


def difference_between_runners(expected: str, printed: str) -> str | None:
    """The same for the output of two runners: a number with its uncertainty agrees where the intervals overlap."""
    a, b = list(RANGE.finditer(expected)), list(RANGE.finditer(printed))
    if len(a) == len(b):
        for x, y in zip(a, b, strict=True):
            (low, high), (low2, high2) = _interval(x), _interval(y)
            if low > high2 or low2 > high:
                return f"“{x[0]}” and “{y[0]}” do not overlap"
        expected, printed = (RANGE.sub("0 ± 0", text) for text in (expected, printed))
    return difference(expected, printed)


def _interval(match: re.Match) -> tuple[float, float]:
    if match["by"] is None:
        return float(match["low"]), float(match["high"])
    middle, by = float(match[0].partition(" ")[0]), float(match["by"])
    return middle - by, middle + by


def svg_difference_between_runners(expected: str, drawn: str) -> str | None:
    """Two runners' figures have the same axes and the same words; numbers and curves are each runner's own."""

    def axes(svg: str) -> int:
        return len(re.findall(r'<g id="axes_', svg))

    def words(svg: str) -> list[str]:
        return [_text(m[2]) for m in SVG_LABEL.finditer(svg) if re.search(r"[^\W\d_]", m[2])]

    if axes(expected) != axes(drawn):
        return f"it has {axes(drawn)} axes, not {axes(expected)}"
    problem = _by_line("\n".join(words(expected)), "\n".join(words(drawn)), _number_problem)
    return f"its words differ, {problem}" if problem else None


def svg_difference(expected: str, drawn: str, tolerance: float = SVG_TOLERANCE) -> str | None:
    """Compare two SVG figures by what they plot: same elements, the same labels under the rule for printed output, and
    every coordinate within `tolerance` points.
    """

    def far(a: str, b: str) -> str | None:
        moved = abs(float(a) - float(b))
        return f"a coordinate moved by {moved:.1f} points" if moved > tolerance else None

    labels = ["\n".join(m[2] for m in SVG_LABEL.finditer(svg)) for svg in (expected, drawn)]
    problem = difference(*labels)
    if problem:
        return f"its labels differ, {problem}"
    return _by_line(*(SVG_LABEL.sub(r"\1", SVG_ID.sub("", svg)) for svg in (expected, drawn)), far)


def png_difference(expected: bytes, drawn: bytes) -> str | None:
    """Compare two PNG figures: same size, at most PIXEL_TOLERANCE of the pixels visibly different."""
    import io

    import numpy as np
    from PIL import Image

    try:
        a, b = (np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"), dtype=int) for data in (expected, drawn))
    except (OSError, ValueError):
        return "it is not a picture"
    if a.shape != b.shape:
        return f"the figure is {b.shape[1]}×{b.shape[0]} pixels, not {a.shape[1]}×{a.shape[0]}"
    share = float((abs(a - b).max(axis=-1) > 32).mean())
    return f"{share:.1%} of the figure's pixels differ" if share > PIXEL_TOLERANCE else None


def _by_line(expected: str, printed: str, number_problem) -> str | None:
    wanted, got = expected.rstrip().splitlines(), printed.rstrip().splitlines()
    for i, (a, b) in enumerate(zip(wanted, got, strict=False), start=1):
        problem = _line_problem(a.rstrip(), b.rstrip(), number_problem)
        if problem:
            return f"line {i}: {problem}"
    if len(wanted) != len(got):
        extra = (got + wanted)[min(len(wanted), len(got))] if len(got) > len(wanted) else wanted[len(got)]
        return f"{len(got)} lines instead of {len(wanted)}, first at “{_short(extra)}”"
    return None


def _line_problem(expected: str, printed: str, number_problem) -> str | None:
    if expected == printed:
        return None
    a, b = NUMBER.findall(expected), NUMBER.findall(printed)
    if len(a) != len(b) or _text(expected) != _text(printed):
        return f"expected “{_short(expected)}”, printed “{_short(printed)}”"
    for x, y in zip(a, b, strict=True):
        problem = number_problem(x, y)
        if problem:
            return problem
    return None


def _text(line: str) -> str:
    # columns may shift by a sign, so runs of blanks count as one
    return re.sub(r"\s+", " ", NUMBER.sub("0", line))


def _number_problem(expected: str, printed: str) -> str | None:
    a, b = Decimal(expected), Decimal(printed)
    is_float = any(c in expected for c in ".eE")
    if is_float != any(c in printed for c in ".eE"):
        return f"expected {expected}, printed {printed}: one is an integer"
    if not is_float:
        return None if a == b else f"expected {expected}, printed {printed}: integers may not differ"
    if _decimals(expected) != _decimals(printed):
        return f"expected {expected}, printed {printed}: not the same number of decimals"
    unit = Decimal(1).scaleb(min(a.as_tuple().exponent, b.as_tuple().exponent))
    return None if abs(a - b) <= unit else f"expected {expected}, printed {printed}: more than one unit apart"


def _decimals(number: str) -> int:
    mantissa = re.split("[eE]", number)[0]
    return len(mantissa.partition(".")[2])


def _short(text: str, width: int = 100) -> str:
    text = text.strip()
    return text if len(text) <= width else text[: width - 1] + "…"
