"""The rule by which printed output is compared with expected output."""

import pytest

from kb.compare import difference, difference_between_runners, svg_difference, svg_difference_between_runners
from kb.question import figure_tolerance

SAME = [
    ("the same", "the same"),
    ("0.50", "0.51"),  # a float may differ by one unit in its last digit
    ("0.50", "0.49"),
    ("-0.01", "0.00"),
    ("-0.00", "0.00"),
    ("0.99", "1.00"),
    ("accuracy: 0.973, loss: 1.20", "accuracy: 0.972, loss: 1.21"),
    ("9.9e-05", "1.0e-04"),
    ("1.0e-04", "9.9e-05"),
    ("1.5e-05", "1.6e-05"),
    ("+3.1", "+3.2"),
    ("50.0 %", "50.1 %"),
    ("(28, 28)", "(28, 28)"),
    ("[0.1, 0.2]", "[0.2, 0.2]"),
    ("a   0.01", "a  -0.00"),  # a sign may shift a column
    ("text", "text   "),
    ("text\n\n", "text"),
]
OTHER = [
    ("the same", "the sane", "expected “the same”, printed “the sane”"),
    ("0.50", "0.52", "more than one unit apart"),
    ("-0.01", "0.01", "more than one unit apart"),
    ("0.5", "-0.5", "more than one unit apart"),
    ("128", "129", "integers may not differ"),
    ("-1", "1", "integers may not differ"),
    ("50 %", "51 %", "integers may not differ"),
    ("1.0", "1", "one is an integer"),
    ("1", "1.0", "one is an integer"),
    ("0.50", "0.5", "not the same number of decimals"),
    ("1e-7", "1e-6", "more than one unit apart"),
    ("1.0e-04", "1.0e-05", "more than one unit apart"),
    ("nan", "0.1", "expected “nan”"),
    ("0.1 0.2", "0.1", "expected “0.1 0.2”"),
    ("[1, 2]", "[1, 2, 3]", "expected “[1, 2]”"),
    ("3.15.1", "3.15.2", "expected “3.15.1”"),  # a version is text
    ("v1.5", "v1.6", "expected “v1.5”"),
    ("dense_1", "dense_2", "expected “dense_1”"),  # and so is an identifier
    ("float32", "float16", "expected “float32”"),
    ("0.5s", "0.6s", "expected “0.5s”"),
    ("#123456", "#123457", "expected “#123456”"),
    ("−0.5", "0.5", "expected “−0.5”"),
    ("one\ntwo", "one", "1 lines instead of 2, first at “two”"),
    ("one", "one\ntwo", "2 lines instead of 1, first at “two”"),
    ("one\n0.50", "one\n0.60", "line 2: expected 0.50, printed 0.60"),
    ("", "anything", "1 lines instead of 0"),
]


@pytest.mark.parametrize(("expected", "printed"), SAME)
def test_these_are_the_same(expected, printed):
    assert difference(expected, printed) is None


@pytest.mark.parametrize(("expected", "printed", "why"), OTHER)
def test_these_are_not(expected, printed, why):
    problem = difference(expected, printed)
    assert problem and why in problem and "\n" not in problem


def test_a_long_line_is_shown_in_short():
    assert len(difference("a" * 500, "b" * 500)) < 250


SVG = """<svg width="70pt" height="70pt">
<metadata>made today</metadata>
<path id="p1" d="M 10 10 L 60 60" clip-path="url(#c1)" style="stroke: #0b62c4; fill: #123456"/>
<text x="10" y="68">share 0.50</text>
</svg>"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("60 60", "61 59.2"),  # within a point and a half
        ('id="p1"', 'id="p2"'),
        ("url(#c1)", "url(#c2)"),
        ("made today", "made tomorrow"),
        ("share 0.50", "share 0.51"),  # a label is printed output
        ('x="10"', 'x="11"'),
    ],
)
def test_a_figure_that_plots_the_same_is_the_same(old, new):
    assert svg_difference(SVG, SVG.replace(old, new)) is None


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("60 60", "60 62", "a coordinate moved by 2.0 points"),
        ("share 0.50", "share 0.90", "its labels differ, line 1: expected 0.50, printed 0.90"),
        ("share", "part", "its labels differ"),
        ("#0b62c4", "#c2410c", "expected"),
        ("#123456", "#123457", "expected"),
        ("L 60 60", "L 60 60 L 70 70", "expected"),
        ("</svg>", "</svg>\n<path/>", "5 lines instead of 4, first at “<path/>”"),
    ],
)
def test_a_figure_that_plots_something_else_is_not(old, new, why):
    problem = svg_difference(SVG, SVG.replace(old, new))
    assert problem and why in problem and "\n" not in problem


def test_a_figure_of_training_may_move_by_what_its_cell_says():
    moved = SVG.replace("60 60", "60 68")
    assert svg_difference(SVG, moved)
    assert svg_difference(SVG, moved, tolerance=15) is None
    cell = {"source": "#| fig-alt: A line.\n#| fig-tolerance: 15\nplot()"}
    assert figure_tolerance(cell) == 15
    assert figure_tolerance({"source": "#| fig-alt: A line.\nplot()"}) is None


# ------------------------------------------------------------------------------------- between runners


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("rate 0.5: 91.3 ± 0.4 %", "rate 0.5: 90.6 ± 0.4 %"),
        ("gain +5.7 (+5.0 to +6.5)", "gain +6.9 (+6.2 to +7.6)"),
        ("gain -0.1 (-0.4 to +0.2), loss 0.5", "gain +0.2 (-0.1 to +0.5), loss 0.4"),
        ("units 64, share 0.50", "units 64, share 0.49"),
    ],
)
def test_two_runners_agree_where_their_intervals_overlap(expected, printed):
    assert difference_between_runners(expected, printed) is None
    assert difference_between_runners(printed, expected) is None


@pytest.mark.parametrize(
    ("expected", "printed", "why"),
    [
        ("rate 0.5: 91.3 ± 0.4 %", "rate 0.5: 90.4 ± 0.4 %", "“91.3 ± 0.4” and “90.4 ± 0.4” do not overlap"),
        ("+5.7 (+5.0 to +6.5)", "+7.7 (+6.6 to +8.7)", "do not overlap"),
        ("gain +5.7 (+5.0 to +6.5)", "loss +5.7 (+5.0 to +6.5)", "expected “gain"),
        ("91.3 ± 0.4", "91.3", "expected “91.3 ± 0.4”"),
        ("accuracy 91.3", "accuracy 90.6", "more than one unit apart"),  # without its uncertainty it is a digit
        ("64 units, 91.3 ± 0.4", "63 units, 91.3 ± 0.4", "integers may not differ"),
    ],
)
def test_two_runners_differ_where_their_intervals_do_not_overlap(expected, printed, why):
    assert why in difference_between_runners(expected, printed)


FIGURE = '<g id="axes_1"><path d="M 1 2 L 3 4"/><text x="1">0.5</text><text x="2">18 of 64 arrive</text></g>'


@pytest.mark.parametrize(
    ("old", "new"), [("L 3 4", "L 30 40"), (">0.5<", ">0.75<"), ("18 of", "20 of"), ("<path", "<path/><path")]
)
def test_two_runners_figures_may_differ_in_curves_and_numbers(old, new):
    assert svg_difference_between_runners(FIGURE, FIGURE.replace(old, new)) is None


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [("arrive", "leave", "its words differ"), ("</g>", '</g><g id="axes_2"></g>', "it has 2 axes, not 1")],
)
def test_two_runners_figures_have_the_same_axes_and_words(old, new, why):
    assert why in svg_difference_between_runners(FIGURE, FIGURE.replace(old, new))
