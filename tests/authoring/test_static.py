"""What an author can get wrong and what can be seen without running anything: one clear sentence each."""

import json
import logging
from types import SimpleNamespace

import pytest

from kb import check, evidence, marks, notebook_pages, pages, question
from kb.evidence import Value
from kb.question import Problem

PAGE = "docs/questions/half.md"
PROOF = "tests/questions/test_half.py"
NOTEBOOK = "notebooks/half.ipynb"
RECORD = "evidence/cpu-tensorflow.json"


def test_the_project_as_made_has_no_problems(project):
    assert project.problems() == []


# ----------------------------------------------------------------------------------------- front matter


def test_a_page_without_front_matter_is_refused(project):
    project.write(PAGE, project.read(PAGE).split("---\n", 2)[2])
    project.refuses(f"{PAGE}:1", "the front matter is missing")


def test_front_matter_that_never_ends_is_refused(project):
    project.edit(PAGE, "related: []\n---\n", "related: []\n")
    project.refuses(f"{PAGE}:1", "the front matter is missing")


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("level: start", "level: start: practice", 7, "a text with a colon in it needs quotes"),
        ("level: start", "\tlevel: start", 7, "a tab, where YAML wants blanks"),
        ("references: [author2014half]", "references: [author2014half", 10, "the front matter is not valid YAML"),
    ],
)
def test_malformed_front_matter_is_refused(project, old, new, line, why):
    project.edit(PAGE, old, new)
    project.refuses(f"{PAGE}:{line}", why)


def test_front_matter_that_is_no_list_of_fields_is_refused(project):
    project.write(PAGE, "---\nonly a text\n---\n")
    project.refuses(f"{PAGE}:1", "the front matter must be a list of `field: value` lines")


def test_empty_front_matter_is_refused(project):
    project.write(PAGE, "---\n---\n")
    project.refuses(f"{PAGE}:1", "the front matter must be a list of `field: value` lines")


def test_an_unknown_field_is_refused(project):
    project.edit(PAGE, "level: start", "level: start\nlevels: start")
    project.refuses(f"{PAGE}:8", "unknown field `levels`")


def test_a_field_that_stands_twice_is_refused(project):
    project.edit(PAGE, "topic: rate", "topic: rate\nlevel: practice")
    project.refuses(f"{PAGE}:9", "the field `level` stands twice")


@pytest.mark.parametrize("line", ["level: start\n", "topic: rate\n"])
def test_a_missing_field_is_refused(project, line):
    project.edit(PAGE, line, "")
    project.refuses(f"{PAGE}:1", f"the front matter has no `{line.partition(':')[0]}`")


@pytest.mark.parametrize("empty", ["answer:", 'answer: ""', "answer: >\n"])
def test_an_empty_answer_is_refused(project, empty):
    project.edit(PAGE, "answer: >\n  Yes, half of them. The other half goes.", empty)
    project.refuses(f"{PAGE}:3", "`answer` is empty")


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("level: start", "level: [start]", 7, "`level` must be a text"),
        ("references: [author2014half]", "references: author2014half", 9, "`references` must be a list of texts"),
        ("related: []", "related:", 10, "`related` must be a list of texts"),
        ("  - How many units stay?", "  - Why: because", 5, "`also_asked` must be a list of texts"),
        (
            "references: [author2014half]",
            "references: [author2014half, author2014half]",
            9,
            "`references` says the same",
        ),
        ("level: start", "level: beginner", 7, "unknown level `beginner`"),
        ("topic: rate", "topic: rates", 8, "unknown topic `rates`"),
        ("Does half of the units stay?", "Half of the units stay", 2, "does not end with a question mark"),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused(project, old, new, line, why):
    project.edit(PAGE, old, new)
    project.refuses(f"{PAGE}:{line}", why)


@pytest.mark.parametrize(
    "answer", ["One is true. Two is too. `three` as well.", "It says “no.” Do we (yes?) It says so!", "A. B… C."]
)
def test_an_answer_of_three_sentences_is_refused(project, answer):
    project.edit(PAGE, "Yes, half of them. The other half goes.", answer)
    project.refuses(f"{PAGE}:3", "the answer has 3 sentences: two at most")


@pytest.mark.parametrize("answer", ["As Vaswani et al. say, e.g. of `x. y. z.`, yes. No more.", "It is 0.5 of all."])
def test_an_answer_of_two_sentences_may_abbreviate(project, answer):
    project.edit(PAGE, "Yes, half of them. The other half goes.", answer)
    assert project.problems() == []


# -------------------------------------------------------------------------------------------- the rooms


def test_a_page_without_proof_is_refused(project):
    project.remove(PROOF)
    project.refuses(PAGE, f"the page has no proof, {PROOF}")


def test_a_proof_without_page_is_refused(project):
    project.remove(PAGE)
    project.refuses(PROOF, f"the proof has no page, {PAGE}")


@pytest.mark.parametrize("snippet", ["snippets/half.py", "snippets/half_wrong.py"])
def test_a_page_without_its_snippets_is_refused(project, snippet):
    project.remove(snippet)
    project.refuses(PAGE, f"the page has no {snippet}")


def test_a_snippet_without_page_is_refused(project):
    project.write("snippets/whole.py", project.read("snippets/half.py"))
    project.refuses("snippets/whole.py", "the snippet belongs to no page")


def test_a_notebook_without_page_is_refused(project):
    project.write("notebooks/whole.ipynb", project.read(NOTEBOOK))
    project.refuses("notebooks/whole.ipynb", "the notebook has no page")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Half", "a page is called by small letters, digits and hyphens"),
        ("half_again", "a page is called by small letters, digits and hyphens"),
        ("statistics", "`statistics` is a name of Python's own, which its snippet would hide"),
        ("class", "`class` is a name of Python's own, which its snippet would hide"),
    ],
)
def test_a_page_with_a_name_that_is_no_slug_is_refused(project, name, why):
    project.write(f"docs/questions/{name}.md", project.read(PAGE).replace("related: []", "related: [half]"))
    project.edit(PAGE, "related: []", f"related: [{name}]")
    assert [p for p in project.problems() if "the page has no" not in p] == [f"docs/questions/{name}.md: {why}."]


# ------------------------------------------------------------------------------------------- the body


def test_an_unknown_reference_is_refused(project):
    project.edit(PAGE, "references: [author2014half]", "references: [author2014half, author2015half]")
    project.refuses(f"{PAGE}:9", "unknown reference `author2015half`")


def test_a_citation_that_is_not_under_references_is_refused(project):
    project.edit(PAGE, "It holds.", "It holds [@author2015half].")
    project.refuses(f"{PAGE}:27", "cites `author2015half`, which is not under `references`")


def test_a_reference_that_nobody_cites_is_refused(project):
    project.edit(PAGE, " [@author2014half]", "")
    project.refuses(f"{PAGE}:9", "the reference `author2014half` is cited nowhere")


def test_an_unknown_related_question_is_refused(project):
    project.edit(PAGE, "related: []", "related: [whole]")
    project.refuses(f"{PAGE}:10", "unknown related question `whole`")


@pytest.mark.parametrize(("old", "line"), [("related: []", 10), ("related: []\n", 1)], ids=["empty", "left out"])
def test_a_page_that_names_no_related_question_is_refused(project, old, line):
    project.edit(PAGE, "related: []", "related: [whole]")
    project.write("docs/questions/whole.md", project.read(PAGE).replace("[whole]", "[half]"))
    assert not any("names no related" in problem for problem in project.problems())
    project.edit(PAGE, old.replace("[]", "[whole]"), old.strip() if old.strip() == old else "")
    said = [problem for problem in project.problems() if "names no related" in problem]
    assert said == [f"{PAGE}:{line}: names no related question: `related: [<slug>]`."]


def test_a_page_that_is_related_to_itself_is_refused(project):
    project.edit(PAGE, "related: []", "related: [half]")
    project.refuses(f"{PAGE}:10", "the page is related to itself")


def test_an_unknown_snippet_is_refused(project):
    project.edit(PROOF, "claim.exact(", 'program("half_rong")\n    claim.exact(')
    project.record()
    project.refuses(f"{PROOF}:11", "runs snippets/half_rong.py, which does not exist")


def test_a_snippet_that_its_page_does_not_show_is_refused(project):
    project.write("snippets/half_again.py", project.read("snippets/half.py"))
    project.record()
    project.refuses(PAGE, "the page does not show snippets/half_again.py")


@pytest.mark.parametrize("place", ["It holds.", "Yes, half of them."])
def test_an_unknown_measured_number_is_refused(project, place):
    project.edit(PAGE, place, "It is {{ half.shore:.2f }}.")
    line = 27 if place == "It holds." else 4
    project.refuses(f"{PAGE}:{line}", "there is no measured number `half.shore`")


def test_a_number_that_two_claims_measure_is_refused(project):
    project.add_claim("test_half_of_them_go", {"share": Value("exact", 5, 5)})
    tests = "test_half_of_them_stay, test_half_of_them_go"
    project.refuses(f"{PAGE}:21", f"`half.share` is measured by several claims: {tests}")


def test_an_unknown_proof_is_refused(project):
    project.edit(PAGE, "{{ proof test_half_of_them_stay }}", "{{ proof test_all_of_them_stay }}")
    project.refuses(f"{PAGE}:33", "there is no claim `half.test_all_of_them_stay`")


@pytest.mark.parametrize(
    ("placeholder", "why"),
    [
        ("{{ the share }}", "is neither a measured number, nor a proof, nor a figure"),
        ("{{ half.share:.2q }}", "cannot be shown"),
        ("{{ half.share.interval:.2f }}", "only a trained value has an interval"),
        ("{{ half.share.low }}", "the value has none"),
        ("{{ half.share:.12f }}", "give it a format"),
        ("{{ half.share:.2f }", "`{{` without its other half"),
        ("{ half.share:.2f }}", "`}}` without its other half"),
    ],
)
def test_a_placeholder_that_cannot_be_filled_in_is_refused(project, placeholder, why):
    project.edit(PAGE, "It holds.", f"It holds for\n{placeholder} of them.")
    project.refuses(f"{PAGE}:28", why)


def test_a_figure_of_the_notebook_is_shown_with_where_it_comes_from(project):
    project.edit(PAGE, "It holds.", "It holds:\n\n{{ figure 1 }}\nA dot for each unit.")
    assert project.problems() == []
    shown = pages.Site(project.root).fill("{{ figure 1 }}\nA dot for\neach unit.\n\nMore.", "half", "../")
    assert "](../notebooks/half/figure-1-light.svg#only-light)" in shown
    assert shown.endswith(
        'A dot for\neach unit. <span class="drawn">[The notebook](../notebooks/half.ipynb) draws it.</span>'
        "\n{ .caption }\n\nMore."
    )


def test_a_figure_without_a_caption_is_refused(project):
    project.edit(PAGE, "It holds.", "It holds:\n\n{{ figure 1 }}\n\nIt does.")
    project.refuses(f"{PAGE}:29", "the figure has no caption: say on the line below it what its marks are")


@pytest.mark.parametrize("has_notebook", [True, False])
def test_a_figure_that_the_notebook_lacks_is_refused(project, has_notebook):
    if not has_notebook:
        project.remove(NOTEBOOK)
        project.record()
    project.edit(PAGE, "It holds.", "It holds:\n\n{{ figure 2 }}\nA dot for each unit.")
    count = int(has_notebook)
    project.refuses(f"{PAGE}:29", f"there is no figure 2 in notebooks/half.ipynb, which has {count}")


def test_a_figure_in_the_middle_of_a_sentence_is_refused(project):
    project.edit(PAGE, "It holds.", "It holds: {{ figure 1 }}")
    project.refuses(f"{PAGE}:27", "becomes a figure: it stands on a line of its own")


@pytest.mark.parametrize("typed", ["0.73", "73 %", "73 per cent", "−0.5"])
def test_a_number_typed_by_hand_is_refused_where_it_stands(project, typed):
    project.edit(PAGE, "It holds.", f"It holds `0.73`\nfor {typed} of them.")
    project.refuses(f"{PAGE}:28", f"“{typed}” is typed by hand")


def test_a_missing_include_is_refused(project):
    project.edit(PAGE, '--8<-- "snippets/half.py"', '--8<-- "snippets/halve.py"')
    project.refuses(f"{PAGE}:16", "includes snippets/halve.py, which does not exist")


@pytest.mark.parametrize(
    ("include", "why"),
    [
        ('--8<-- "snippets"', "includes snippets, which is a folder"),
        ('--8<-- "../secret.py"', "lies outside the project"),
        ('--8 < --"snippets/half.py"', "is no include: write `--8<--"),
        ("--8<-- snippets/half.py", "is no include: write `--8<--"),
    ],
)
def test_an_include_that_cannot_work_is_refused(project, include, why):
    project.edit(PAGE, '--8<-- "snippets/half.py"', include)
    project.refuses(f"{PAGE}:16", why)


def test_a_page_with_nothing_below_its_front_matter_is_refused(project):
    project.write(PAGE, project.read(PAGE).partition("\n## ")[0])
    project.refuses(f"{PAGE}:12", "there is nothing below the front matter")


def test_a_code_block_that_never_ends_is_refused(project):
    project.write(PAGE, project.read(PAGE).removesuffix("```\n"))
    project.refuses(f"{PAGE}:35", "the code block that begins here never ends")


def test_a_second_title_is_refused(project):
    project.edit(PAGE, "It holds.", "It does.\n\n# It holds\n\nIt does.")
    project.refuses(f"{PAGE}:29", "a second title, “It holds”")


def test_an_empty_section_is_refused(project):
    project.edit(PAGE, "It holds.\n", "")
    project.refuses(f"{PAGE}:25", "there is nothing below the heading “When it does not hold”")


def test_a_heading_that_skips_a_level_is_refused(project):
    project.edit(PAGE, "It holds.", "#### It holds\n\nIt does.")
    project.refuses(f"{PAGE}:27", "skips a level")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("## Why\n", "## When it does not hold\n", 19),
        ("## When it does not hold\n", "", 28),
        ('half_wrong.py"\n```\n', 'half_wrong.py"\n```\n\n## Why\n\nSo.\n', 39),
    ],
)
def test_sections_in_another_order_are_refused(project, old, new, line):
    project.edit(PAGE, old, new)
    project.refuses(f"{PAGE}:{line}", "the sections must be, in this order: The code; Why;")


def test_a_page_may_have_sections_of_its_own(project):
    project.edit(PAGE, "It holds.", "It holds.\n\n## On a small model\n\nThere too.")
    assert project.problems() == []


def test_a_section_that_is_generated_is_refused(project):
    project.edit(PAGE, "It holds.", "It holds.\n\n## References\n\nDoe.")
    project.refuses(f"{PAGE}:29", "the section “References” is generated")


def test_a_mistake_without_its_proof_is_refused(project):
    project.edit(PAGE, "{{ proof test_half_of_them_stay }}", "so we think")
    project.refuses(f"{PAGE}:31", "a quoted mistake must be followed by its `{{ proof test_… }}`")


def test_a_section_of_mistakes_without_a_mistake_is_refused(project):
    project.edit(PAGE, "> All of them stay.\n", "")
    project.refuses(f"{PAGE}:29", "the section quotes no mistake")


@pytest.mark.parametrize(("word", "why"), [("simply", "a word that we do without"), ("🎉", "an emoji")])
def test_words_that_sell_are_refused_where_they_stand(project, word, why):
    project.edit(PAGE, "It holds.", f"`{word}` is code.\n\nIt {word} holds.")
    project.refuses(f"{PAGE}:29", f"“{word}” is {why}")


# ------------------------------------------------------------------------------------ links and figures


@pytest.mark.parametrize("target", ["whole.md", "../index.html", "../proofs/whole.md", "../notebooks/whole.ipynb"])
def test_a_dead_internal_link_is_refused(project, target):
    project.edit(PAGE, "It holds.", f"It [holds]({target}#why).")
    project.refuses(f"{PAGE}:27", f"the link {target} leads nowhere")


@pytest.mark.parametrize("target", ["../proofs/half.md", "../notebooks/half.ipynb", "../snippets/half.py", "half.md"])
def test_a_link_to_another_room_is_alive(project, target):
    project.edit(PAGE, "It holds.", f"It [holds]({target}).")
    assert project.problems() == []


def test_an_absolute_link_is_refused(project):
    project.edit(PAGE, "(../index.md)", "(/index.md)")
    project.refuses(f"{PAGE}:21", "the link /index.md is absolute")


def test_a_dead_link_on_another_page_is_refused(project):
    project.write("docs/index.md", "# Home\n\nSee [all](all.md).\n")
    project.refuses("docs/index.md:3", "the link all.md leads nowhere")


def test_a_dead_link_in_a_notebook_is_refused(project):
    project.edit_cell(1, source="# Half\n\nSee [the answer](../docs/questions/whole.md).")
    project.record()
    project.refuses(f"{NOTEBOOK}: cell 1", "the link ../docs/questions/whole.md leads nowhere")


@pytest.mark.parametrize("figure", ["![](../assets/line.svg)", "![ ](../assets/line.svg)", '<img src="line.svg">'])
def test_a_figure_without_alt_text_is_refused(project, figure):
    project.edit(PAGE, "![A line that falls from one to zero](../assets/line.svg)", figure)
    project.refuses(f"{PAGE}:23", "has no alt text")


def test_a_figure_in_a_notebook_without_alt_text_is_refused(project):
    source = project.notebook()["cells"][2]["source"]
    project.edit_cell(3, source=source.partition("\n")[2])
    project.record()
    project.refuses(f"{NOTEBOOK}: cell 3", "its figure has no alt text")


# ---------------------------------------------------------------------------------------------- claims


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ('    """A share of {share:.2f} of the units stays."""\n', "", 4, "has no docstring"),
        ("{share:.2f}", "{shore:.2f}", 4, "shows `{shore}` in its docstring, and measures only share"),
        ("{share:.2f}", "{share:.2f", 4, "has braces in its docstring that do not fit"),
        ('claim.close("share", 0.5, 0.5, 0.01)', "assert 0.5 == 0.5", 4, "measures nothing"),
        ("test_the_mistake_keeps_all", "test_half_of_them_stay", 9, "stands twice: one of them never runs"),
        ('claim.exact("units", 10, 10)', "claim.exact(", 11, "this is not valid Python"),
    ],
)
def test_a_claim_that_cannot_hold_is_refused(project, old, new, line, why):
    project.edit(PROOF, old, new)
    found = [problem for problem in project.problems() if "is stale" not in problem]
    assert len(found) == 1
    assert found[0].startswith(f"{PROOF}:{line}: ") and why in found[0] and found[0].endswith(".")


def test_a_proof_without_claims_is_refused(project):
    project.write(PROOF, '"""Does half of the units stay?"""\n')
    project.refuses(PROOF, "the proof has no claim")


def test_names_that_are_made_as_a_claim_runs_are_left_to_the_run(project):
    project.edit(PROOF, 'claim.close("share"', 'for name in ["share"]:\n        claim.close(f"{name}"')
    project.record()
    assert project.problems() == []


# -------------------------------------------------------------------------------------------- snippets


def test_a_snippet_that_is_no_python_is_refused(project):
    project.edit("snippets/half.py", "kept = units[::2]", "kept = units[::2")
    project.refuses("snippets/half.py:4", "this is not valid Python")


@pytest.mark.parametrize(
    ("content", "place", "why"),
    [
        ("", "snippets/half.py:1", "the first line must say what the program shows"),
        ("print(1)\n#> 1\n", "snippets/half.py:1", "the first line must say what the program shows"),
        ('"""Half."""\nprint(1)\n', "snippets/half.py", "the program's output is not written beside its prints"),
        ('"""Half."""\n' + "print(1)\n#> 1\n" * 46, "snippets/half.py", "more than 45 lines of code"),
        ('"""Half."""\n\0', "snippets/half.py", "this is not valid Python"),
    ],
)
def test_a_snippet_that_nobody_can_read_is_refused(project, content, place, why):
    project.write("snippets/half.py", content)
    found = [problem for problem in project.problems() if "is stale" not in problem]
    assert len(found) == 1
    assert found[0].startswith(place) and why in found[0] and found[0].endswith(".")


# ------------------------------------------------------------------------------------------- notebooks


def test_a_notebook_whose_stored_output_was_edited_is_refused(project):
    project.edit(NOTEBOOK, '"text": "share kept: 0.50', '"text": "share kept: 0.60')
    project.refuses(RECORD, f"the record of half is stale: {NOTEBOOK} changed since")


def test_a_notebook_with_no_outputs_is_refused(project):
    project.edit_cell(2, outputs=[], execution_count=None)
    project.edit_cell(3, outputs=[], execution_count=None)
    project.record()
    project.refuses(NOTEBOOK, "the notebook has no outputs: run `make update Q=half`")


def test_a_notebook_that_was_run_in_another_order_is_refused(project):
    project.edit_cell(2, execution_count=7)
    project.record()
    project.refuses(NOTEBOOK, "the notebook was not run from top to bottom")


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ({"output_type": "stream", "name": "stderr", "text": "careful"}, "it stores a warning on standard error"),
        ({"output_type": "error", "ename": "KeyError", "evalue": "x", "traceback": []}, "it stores an error, KeyError"),
        ({"output_type": "display_data", "data": {"text/html": "<b>"}, "metadata": {}}, "it stores text/html"),
        ({"output_type": "display_data", "data": {"text/plain": "<Half at 0x7f>"}}, "it ends with an object's own"),
    ],
)
def test_an_output_that_the_site_does_not_show_is_refused(project, output, why):
    project.edit_cell(2, outputs=[output])
    project.record()
    project.refuses(f"{NOTEBOOK}: cell 2", why)


RUNS = {
    "script": "<script>alert(1)</script>",
    "another spelling": '<s:SCRIPT href="x.js"/>',
    "handler": '<path d="M 0 0" onclick="alert(1)"/>',
    "address": '<a xlink:href="javascript:alert(1)"><path d="M 0 0"/></a>',
    "hidden address": '<a href="java&#10;script&#58;alert(1)"><path d="M 0 0"/></a>',
    "entity": '<!ENTITY x "&#60;script&#62;">',
}


@pytest.mark.parametrize("inside", RUNS.values(), ids=RUNS)
def test_a_figure_with_a_script_is_refused_and_stops_the_build(project, inside):
    (output,) = project.notebook()["cells"][2]["outputs"]
    output["data"]["image/svg+xml"] = output["data"]["image/svg+xml"].replace("</svg>", f"{inside}</svg>")
    project.edit_cell(3, outputs=[output])
    project.record()
    project.refuses(f"{NOTEBOOK}: cell 3", "its figure carries a script")
    with pytest.raises(Problem, match="figure 1 carries a script"):
        notebook_pages.figures(project.root, "half", {"light": {"#ffffff": "none"}})


@pytest.mark.parametrize("title", ["Half of the units", "# Half\n\n# Half again"])
def test_a_notebook_without_one_title_is_refused(project, title):
    project.edit_cell(1, source=title)
    project.record()
    project.refuses(NOTEBOOK, "the notebook must have one title")


def test_a_notebook_that_names_another_kernel_is_refused(project):
    project.write_notebook(*project.notebook()["cells"], kernel="my-env")
    project.record()
    project.refuses(NOTEBOOK, "the notebook asks for the kernel “my-env”")


def test_a_cell_that_is_no_python_is_refused(project):
    project.edit_cell(2, source="%config x\nprint(")
    project.refuses(f"{NOTEBOOK}: cell 2, line 2", "this is not valid Python")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"cells": [1]}', '{"cells": [{"cell_type": "code"}]}'])
def test_a_file_that_is_no_notebook_is_refused(project, content):
    project.write(NOTEBOOK, content)
    project.refuses(NOTEBOOK, "this is not a notebook")


def test_a_notebook_without_code_is_refused(project):
    project.write_notebook(project.notebook()["cells"][0])
    project.record()
    project.refuses(NOTEBOOK, "the notebook has no code")


# ------------------------------------------------------------------------------------------- evidence


@pytest.mark.parametrize("name", [PROOF, "snippets/half_wrong.py", "requirements/test.txt"])
def test_stale_evidence_is_refused(project, name):
    project.write(name, project.read(name) + "\n# changed\n")
    project.refuses(RECORD, f"the record of half is stale: {name} changed since; run `make record Q=half`")


def test_a_renamed_claim_makes_evidence_stale(project):
    project.edit(PROOF, "test_the_mistake_keeps_all", "test_the_mistake_keeps_ten")
    project.refuses(RECORD, f"the record of half is stale: {PROOF} changed since")


def _set(path: str, value):
    def change(record):
        *parents, last = path.split("/")
        for key in parents:
            record = record[key]
        record[last] = value

    return change


CLAIM = "claims/half/test_half_of_them_stay"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_set(f"{CLAIM}/values/share/value", 0.4), "half.test_half_of_them_stay was edited by hand"),
        (_set(f"{CLAIM}/sentence", "All of it stays."), "half.test_half_of_them_stay was edited by hand"),
        (_set(f"{CLAIM}/date", "2027-01-01"), "half.test_half_of_them_stay was edited by hand"),
        (_set(f"{CLAIM}/files/requirements~1test.txt", "0"), "half.test_half_of_them_stay was edited by hand"),
        (_set("environment/device", "a GPU"), "the environment was edited by hand"),
        (_set(f"{CLAIM}/environment", {"device": "a GPU"}), "half.test_half_of_them_stay was edited by hand"),
        (_set("claims/half/test_new", None), "this is not a record as a run writes it"),
        (_set(f"{CLAIM}/values/share/colour", "red"), "this is not a record as a run writes it"),
        (lambda record: record.pop("claims"), "this is not a record as a run writes it"),
        (_set("remarks", "checked by hand"), "`remarks` does not belong in a record as a run writes it"),
        (_set(f"{CLAIM}/remark", "checked by hand"), "`remark` does not belong in a record as a run writes it"),
        (lambda record: record["claims"]["half"].popitem(), "half.test_the_mistake_keeps_all has no record"),
    ],
)
def test_hand_edited_evidence_is_refused(project, change, why):
    project.edit_record(change)
    project.refuses(RECORD, why)


def test_a_record_that_is_no_json_is_refused(project):
    project.edit(
        RECORD,
        '"outcome": "passed",\n    "date": "2026-01-01",\n    "seconds": 0.1,\n    "values": {\n     "units"',
        "<<<",
    )
    project.refuses(f"{RECORD}:{project.read(RECORD).partition('<<<')[0].count(chr(10)) + 1}", "is not valid JSON")


def test_a_missing_record_is_refused(project):
    project.remove(RECORD)
    project.refuses(RECORD, "there is no record: run `make record`")


def test_a_backend_of_ours_without_a_record_is_refused(project):
    project.write("requirements/jax.txt", "nothing==1.0\n")
    project.refuses(JAX, "there is no record: run `make record BACKEND=jax`")


def test_a_value_that_stands_twice_in_a_record_is_refused(project):
    project.edit(RECORD, '"value": 0.5,', '"value": 0.5, "value": 0.6,')
    project.refuses(RECORD, "`value` stands twice in one place")


def test_a_record_of_no_backend_is_refused(project):
    project.write("evidence/cpu-mxnet.json", project.read(RECORD))
    project.refuses("evidence/cpu-mxnet.json", "this is the record of no backend")


def _swap_claims(record):
    claims = record["claims"]["half"]
    names = list(claims)
    record["claims"]["half"] = dict(zip(names, reversed(claims.values()), strict=True))


BOTH = "half.test_half_of_them_stay, half.test_the_mistake_keeps_all"


def _without_names(record):
    """As entries were written before they said whose they are."""
    for item in record["claims"]["half"].values():
        del item["of"]
        item["seal"] = evidence.seal(item)


def test_claims_that_changed_places_are_refused(project):
    project.edit_record(_swap_claims)
    project.refuses(RECORD, f"{BOTH} was recorded as something else: only a run writes a record")


def test_claims_that_changed_places_are_known_by_their_sentences(project):
    project.edit_record(_without_names)
    assert project.problems() == []
    project.edit_record(_swap_claims)
    project.refuses(RECORD, f"{BOTH} says another sentence than its claim does: only a run writes a record")


def test_a_claim_of_another_question_is_refused(recorded):
    """Its files are others, so it would count as old."""

    def change(record):
        item = record["claims"]["half"]["test_half_of_them_stay"]
        del item["of"]
        item["files"] = {name.replace("half", "whole"): digest for name, digest in item["files"].items()}
        item["seal"] = evidence.seal(item)

    recorded.edit_record(change, "cpu-jax")
    recorded.refuses(JAX, "half.test_half_of_them_stay was recorded as something else")


@pytest.mark.parametrize("runner", ["cpu-jax", "a-gpu-torch"])
def test_a_claim_that_another_runners_record_lost_is_missed(recorded, runner):
    recorded.edit_record(lambda record: record["claims"]["half"].pop("test_half_of_them_stay"), runner)
    recorded.refuses(f"evidence/{runner}.json", "half.test_half_of_them_stay has no record: run `make record Q=half ")


@pytest.mark.parametrize("runner", ["cpu-tensorflow", "cpu-jax"])
def test_a_record_that_was_emptied_is_refused(recorded, runner):
    recorded.edit_record(lambda record: record["claims"].clear(), runner)
    recorded.refuses(f"evidence/{runner}.json", "the record holds no claim: run `make record")


def test_a_record_of_other_versions_than_are_locked_is_refused(project):
    project.write("requirements/test.txt", "tensorflow==2.20.0\n")
    project.record()
    project.refuses(RECORD, "half ran with tensorflow 2.21.0, and 2.20.0 is locked")


@pytest.mark.parametrize("text", ["[" * 100_000, "\\ud800"])
def test_a_record_that_nobody_can_read_is_one_sentence(project, text):
    if text[0] == "[":
        project.write(RECORD, text)
        project.refuses(RECORD, "this is not a record as a run writes it")
    else:
        project.edit(RECORD, "A share of 0.50 of the units stays.", text)
        project.refuses(RECORD, "half.test_half_of_them_stay was edited by hand")


def test_a_program_timed_for_another_question_is_refused(project):
    entries = evidence.load(project.root)["claims"]["half"]
    environment = evidence.load(project.root)["environment"]
    seconds = {"half": {"half.py": 2.0}}
    evidence.write(project.root, evidence.DEFAULT, environment, {"half": entries}, True, seconds)
    assert project.problems() == []
    project.edit_record(lambda record: record["programs"].update(whole=record["programs"].pop("half")))
    project.refuses(RECORD, "half.py is timed as a program of whole, which it is not")


def test_a_question_that_was_never_recorded_is_refused(project):
    project.edit_record(lambda record: record["claims"].update(whole=record["claims"].pop("half")))
    assert f"{RECORD}: there is no record of half: run `make record Q=half`." in project.problems()


def test_a_recorded_question_that_is_gone_is_refused(project):
    def change(record):
        record["claims"]["whole"] = record["claims"]["half"]

    project.edit_record(change)
    project.refuses(RECORD, "whole is recorded, but there is no such question")


# -------------------------------------------------------------------------------------- every text file


def _with_mark(data):
    return b"\xef\xbb\xbf" + data


def _from_windows(data):
    return data.replace(b"\n", b"\r\n")


def _half_merged(data):
    return data.replace(b"\n", b"\n<<<<<<< HEAD\n", 1)


def _in_latin_1(data):
    return data.replace(b"\n", b"\n\xe9", 1)


@pytest.mark.parametrize(
    ("name", "damage", "line", "why"),
    [
        (PAGE, _with_mark, 1, "begins with a byte order mark"),
        (PAGE, _from_windows, 1, "the line ends as on Windows"),
        (PAGE, _in_latin_1, 2, "this is not UTF-8 text"),
        (PROOF, _with_mark, 1, "begins with a byte order mark"),
        ("snippets/half.py", _from_windows, 1, "the line ends as on Windows"),
        ("snippets/half.py", _in_latin_1, 2, "this is not UTF-8 text"),
        (NOTEBOOK, _in_latin_1, 2, "this is not UTF-8 text"),
        (RECORD, _with_mark, 1, "begins with a byte order mark"),
        ("docs/references.bib", _in_latin_1, 2, "this is not UTF-8 text"),
        (PAGE, _half_merged, 2, "a merge conflict is left here"),
        (RECORD, _half_merged, 2, "a merge conflict is left here"),
    ],
)
def test_a_file_that_is_not_plain_text_is_refused(project, name, damage, line, why):
    project.write(name, damage((project.root / name).read_bytes()))
    project.refuses(f"{name}:{line}", why)


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("  url     = {https://example.org/half},\n", "", 1, "`author2014half` has no url"),
        ("  journal = {Journal of Halves},\n", "", 1, "`author2014half` has no journal, booktitle or publisher"),
        ("{Half of It}", "{Half of It", 3, "and this is not that"),
        ("{Half of It},", "{Half of It}", 3, "and this is not that"),
        ("{Half of It}", "{Half {of It}", 3, "and this is not that"),
        ("half},\n}", "half},\n", 7, "the last entry never ends"),
    ],
)
def test_a_reference_that_cannot_be_shown_is_refused(project, old, new, line, why):
    project.edit("docs/references.bib", old, new)
    project.refuses(f"docs/references.bib:{line}", why)


def test_a_reference_that_stands_twice_is_refused(project):
    project.write("docs/references.bib", project.read("docs/references.bib") * 2)
    project.refuses("docs/references.bib:8", "`author2014half` stands twice")


# -------------------------------------------------------------------------- what only the build can see


@pytest.fixture
def site(project, monkeypatch):
    pytest.importorskip("mkdocs", reason="only the environments of the site and of make check build pages")
    from kb import site

    monkeypatch.setattr(site, "ROOT", project.root)
    monkeypatch.setattr(site, "state", site.pages.Site(project.root), raising=False)
    return site


@pytest.mark.parametrize(
    ("markdown", "why"),
    [
        ("It is {{ half.shore }}.", "there is no measured number `half.shore`"),
        ("It is {{ proof half.test_no }}.", "there is no claim `half.test_no`"),
        ("Doe found it [@author2015half].", "unknown reference `author2015half`"),
    ],
)
def test_the_build_stops_at_what_no_page_may_name(project, site, one_sentence, markdown, why):
    page = SimpleNamespace(file=SimpleNamespace(src_uri="index.md"), meta={})
    before = project.files()
    with pytest.raises(site.PluginError) as stopped:
        site.on_page_markdown(markdown, page, None, None)
    one_sentence(str(stopped.value), "index.md", why)
    assert project.files() == before


MKDOCS = {
    "site_name": "Half",
    "strict": True,
    "theme": {"name": None, "custom_dir": "theme"},
    "plugins": [],
    "validation": {"links": {"not_found": "warn", "anchors": "warn"}},
    "extra": {"figure_colours": {"light": {"#ffffff": "none"}, "dark": {"#ffffff": "none"}}},
    "not_in_nav": "/questions/\n/notebooks/\n/proofs/\n/topics/\n",
    "markdown_extensions": ["md_in_html", "attr_list"],
}


def test_a_dead_anchor_stops_the_build(project, site, caplog, monkeypatch):
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    project.edit(PAGE, "It holds.", "It [holds](#nowhere).")
    project.write("theme/main.html", "{{ page.content }}")
    project.write("mkdocs.yml", json.dumps(MKDOCS))
    monkeypatch.setattr(site.pages.Site, "_how_we_know", lambda *_: '<div id="test_half_of_them_stay"></div>')
    before = project.files()
    config = load_config(str(project.root / "mkdocs.yml"))
    for event in ("files", "page_markdown"):
        config.plugins.events[event].append(getattr(site, f"on_{event}"))
    with caplog.at_level(logging.WARNING, "mkdocs"), pytest.raises(Abort):
        build(config)
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1 and "questions/half.md" in warnings[0] and "'#nowhere'" in warnings[0]
    assert {name: text for name, text in project.files().items() if not name.startswith("site/")} == before


# ------------------------------------------------------------------------------------- other runners

JAX, GPU = "evidence/cpu-jax.json", "evidence/a-gpu-torch.json"
TEST = "def test_half_of_them_stay"


@pytest.fixture
def recorded(project):
    """The project with records of three runners."""
    project.record("cpu-jax")
    project.record("a-gpu-torch")
    assert project.problems() == []
    return project


@pytest.mark.parametrize("runner", ["cpu-jax", "a-gpu-torch"])
@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (f"{CLAIM}/values/share/value", 0.4, "half.test_half_of_them_stay was edited by hand"),
        (f"{CLAIM}/outcome", "failed", "half.test_half_of_them_stay was edited by hand"),
        ("environment/device", "ANOTHER GPU", "the environment was edited by hand"),
    ],
)
def test_hand_edited_evidence_of_any_runner_is_refused(recorded, runner, path, value, why):
    recorded.edit_record(_set(path, value), runner)
    recorded.refuses(f"evidence/{runner}.json", why)


def test_a_device_that_did_not_run_is_refused(recorded):
    recorded.write("evidence/a-large-gpu-torch.json", recorded.read(GPU))
    recorded.refuses(
        "evidence/a-large-gpu-torch.json", "its environment is that of a-gpu-torch: no a-large-gpu-torch ran"
    )


def test_a_claim_copied_from_another_runner_is_refused(recorded):
    copied = json.loads(recorded.read(RECORD))["claims"]["half"]["test_half_of_them_stay"]
    recorded.edit_record(_set(CLAIM, copied), "a-gpu-torch")
    recorded.refuses(GPU, "half.test_half_of_them_stay was not recorded by a run of a-gpu-torch")


def test_a_record_of_another_runner_may_lag(recorded):
    recorded.edit(PROOF, "10, 10", "5 + 5, 10")
    recorded.record()
    assert recorded.problems() == []


@pytest.mark.parametrize(("slug", "why"), [("whole", "there is no such question"), ("half", "there is no such claim")])
def test_another_runners_record_of_what_does_not_exist_is_refused(recorded, slug, why):
    def change(record):
        item = record["claims"]["half"]["test_half_of_them_stay"]
        record["claims"].setdefault(slug, {})["test_gone" if slug == "half" else "test_half_of_them_stay"] = item

    recorded.edit_record(change, "cpu-jax")
    recorded.refuses(JAX, why)


def test_a_run_takes_claims_that_are_gone_out_of_every_record(recorded):
    recorded.edit(PROOF, "test_the_mistake_keeps_all", "test_the_mistake_keeps_ten")
    recorded.edit(PROOF, '"""The wrong twin: all {units} units stay."""', '"""All stay."""')
    recorded.record()
    assert recorded.problems() == []
    assert "keeps_all" not in recorded.read(JAX) + recorded.read(GPU)


def test_runners_that_disagree_are_refused(recorded):
    recorded.record("cpu-jax", share=Value("close", 0.53, 0.5, tolerance=0.01))
    recorded.record("a-gpu-torch", share=Value("close", 0.515, 0.5, tolerance=0.01))
    recorded.refuses(JAX, "half.test_half_of_them_stay: share is 0.53, and 0.5 in evidence/cpu-tensorflow.json")


def test_runners_may_disagree_where_another_claim_says_why(project):
    differs = '@pytest.mark.differs("share", see="test_the_mistake_keeps_all")'
    project.edit(PROOF, TEST, f"{differs}\n{TEST}")
    project.record()
    project.record("cpu-jax", share=Value("close", 0.53, 0.5, tolerance=0.01))
    assert project.problems() == []


def test_runners_are_compared_only_in_the_same_files(project):
    project.record("cpu-jax", share=Value("close", 0.53, 0.5, tolerance=0.01))
    project.edit(PROOF, "10, 10", "5 + 5, 10")
    project.record()
    assert project.problems() == []


@pytest.mark.parametrize(
    ("marker", "place", "why"),
    [
        ('only("theano", why="it was its own")', 4, "is only about `theano`, which is no backend"),
        ('only("jax")', 4, 'write the marker as `only("…", why="…")`'),
        ('only(why="it is")', 4, 'write the marker as `only("…", why="…")`'),
        ('holds("keras 3", why="it was")', 4, "holds in `keras 3`, which is no range of versions"),
        ('holds("keras==3.15.1", why="it was")', 4, "holds in `keras==3.15.1`: write a range with `>=` and `<`"),
        ('holds("keras", why="it was")', 4, "holds in `keras`: write a range with `>=` and `<`"),
        (
            'differs("share", see="test_other")',
            4,
            "differs between runners as `test_other` says, and there is no such claim",
        ),
    ],
)
def test_a_marker_that_says_nothing_is_refused(project, marker, place, why):
    project.edit(PROOF, TEST, f"@pytest.mark.{marker}\n{TEST}")
    if project.problems() and "write the marker" not in why:
        project.record()
    found = [problem for problem in project.problems() if why in problem]
    assert len(found) == 1 and found[0].startswith(f"{PROOF}:")


def test_only_what_is_fresh_on_both_runners_is_compared(project):
    def compared() -> int:
        records = {runner: evidence.load(project.root, runner) for runner in evidence.runners(project.root)}
        return sum(1 for _ in evidence.comparisons(project.root, records))

    assert compared() == 0  # one runner alone
    project.record("cpu-jax")
    assert compared() == 2
    project.write(PROOF, project.read(PROOF) + "\n# a change\n")
    assert compared() == 0
    project.record()
    assert compared() == 0  # still old on the other
    project.record("cpu-jax")
    assert compared() == 2


def test_a_claim_about_another_backend_needs_no_record(project):
    project.edit(PROOF, TEST, f'@pytest.mark.only("tensorflow", why="it is its own")\n{TEST}')
    project.record()
    project.record("cpu-jax")
    assert project.problems() == []
    assert "test_half_of_them_stay" not in project.read(JAX)


@pytest.mark.parametrize("imported", [False, True])
def test_a_program_for_another_backend_makes_no_evidence_stale(project, imported):
    if imported:
        project.edit(PROOF, "def test_half_of_them_stay", "import half_torch\n\n\ndef test_half_of_them_stay")
        project.record()
    project.write("snippets/half_torch.py", project.read("snippets/half.py"))
    assert not [problem for problem in project.problems() if problem.startswith(RECORD)]


@pytest.mark.parametrize(
    "device", ["A100", "A40", "GB200", "RTX A6000", "RTX 4090", "TPU v5e", "TPUs", "Ryzen", "`T4`"]
)
def test_a_device_on_which_nothing_ran_is_refused(project, device):
    project.edit(PAGE, "It holds.", f"It holds on an {device}.")
    line = project.read(PAGE)[: project.read(PAGE).index(device)].count("\n") + 1
    project.refuses(f"{PAGE}:{line}", f"“{device.strip('`')}” has no record")


@pytest.mark.parametrize("device", ["A100", "GB200"])
def test_a_device_is_looked_for_wherever_a_reader_reads(project, device):
    project.edit(PAGE, "It holds.", f"So says a source [@author2014half, section 2]. It is so on an {device}, too.")
    line = project.read(PAGE)[: project.read(PAGE).index(device)].count("\n") + 1
    project.refuses(f"{PAGE}:{line}", f"“{device}” has no record")
    project.repair()
    project.edit(PROOF, "all {units} units stay.", f"all {{units}} units stay on an {device}.")
    project.record()
    project.refuses(f"{PROOF}:10", f"“{device}” has no record")
    project.repair()
    project.edit("snippets/half.py", "Half of the units stay.", f"Half of the units stay on an {device}.")
    project.record()
    project.refuses("snippets/half.py:1", f"“{device}” has no record")
    project.repair()
    project.edit_cell(1, source=f"# Half\n\n[The answer](../docs/questions/half.md) holds on an {device}.")
    project.record()
    project.refuses("notebooks/half.ipynb: cell 1", f"“{device}” has no record")


def test_a_device_of_which_a_source_speaks_may_be_named(project):
    project.edit(PAGE, "It holds.", "It holds on an A100 [@author2014half, section 2].")
    assert project.problems() == []


# ------------------------------------------------------------------------ claims and their versions


@pytest.fixture
def gone(project):
    """The project with a claim that holds up to Keras 3.15, and a lock file with the next version."""
    project.edit(PROOF, TEST, f'@pytest.mark.holds("keras>=3.0,<3.16", why="3.16 keeps more")\n{TEST}')
    project.write("requirements/test.txt", "keras==3.15.1\n")
    project.record()
    assert project.problems() == [] and CLAIM.rpartition("/")[2] in project.read(RECORD)
    project.write("requirements/test.txt", "keras==3.16.0\n")
    project.record()
    return project


def test_a_claim_that_stops_holding_in_the_locked_version_needs_no_record(gone):
    assert CLAIM.rpartition("/")[2] not in gone.read(RECORD)
    assert [problem for problem in gone.problems() if "evidence/" in problem and "half.share" not in problem] == []


def test_a_page_says_up_to_which_version_a_claim_holds(gone):
    found = _marks(gone)
    claim = found.claims["half"][0]
    assert found.of("half", claim) == [("apart", "Holds from Keras 3.0 on, before 3.16: 3.16 keeps more")]
    why = "(not measured in the versions of today, in which it does not hold)."
    assert found.sentence("half", claim) == f"A share of … of the units stays {why}"
    assert not found.is_proven("half", claim.test)
    assert found.verdict("half")[1].startswith("1 claim verified on CPU with TensorFlow, ")


def test_a_number_of_a_claim_that_stopped_holding_is_not_shown(gone):
    gone.refuses(f"{PAGE}:21", "there is no measured number `half.share`")


# ------------------------------------------------------------------------------ measured on a GPU only

TIMED = '''

@pytest.mark.gpu
def test_it_takes_a_while(claim):
    """Half of them take {ms.interval:.1f} ms."""
    claim.timed("ms", [1.4, 1.6], above=0)
'''
TIMING = "{{ timing test_it_takes_a_while }}"


@pytest.fixture
def timed(project):
    """The project with a timed claim, recorded on a processor."""
    project.write(PROOF, project.read(PROOF) + TIMED)
    project.edit(PAGE, "It holds.", f"It holds.\n\n{TIMING}")
    project.record()
    return project


def _marks(project):
    questions = {"half": question.read(project.root / PAGE)}
    return marks.Marks(project.root, questions, {"half": question.claims(project.root, "half")})


def test_pages_name_every_machine_that_measured(project):
    def elsewhere(record):
        item = record["claims"]["half"]["test_the_mistake_keeps_all"]
        item["environment"] = {k: v for k, v in record["environment"].items() if k != "seal"} | {
            "device": "Other, 4 cores"
        }
        item["seal"] = evidence.seal(item)

    home = evidence.load(project.root)["environment"]["device"]
    project.edit_record(elsewhere)
    assert project.problems() == []
    found = _marks(project)
    assert found.versions("half").endswith(f", on {home} and Other with 4 cores")
    rows = [row.split(" | ") for row in found.runners_table().splitlines()[2:4]]
    assert [(row[1].partition(",")[0], row[4].partition(" ")[0]) for row in rows] == [(home, "1"), ("Other", "1")]


def test_a_claim_about_a_backend_that_has_not_run_is_not_counted(project):
    proof = "tests/questions/test_half.py"
    project.write(
        proof,
        project.read(proof)
        + '''

@pytest.mark.only("torch", why="it is PyTorch's")
def test_it_is_of_torch(claim):
    """It is so in PyTorch."""
    claim.exact("so", True, True)
''',
    )
    project.record()
    project.edit_record(lambda record: record["claims"]["half"].pop("test_it_is_of_torch", None))
    assert _marks(project).verdict("half")[1].startswith("2 claims verified on CPU with TensorFlow, ")


def test_a_timed_claim_needs_no_record_of_a_processor(timed):
    assert timed.problems() == []
    assert "test_it_takes_a_while" not in timed.read(RECORD)


def test_a_claim_about_a_processor_is_not_asked_of_a_gpu(project):
    project.edit(PROOF, TEST, f"@pytest.mark.cpu\n{TEST}")
    project.record()
    project.record("a-gpu-torch")
    assert project.problems() == []
    assert "test_half_of_them_stay" not in project.read(GPU)
    found = _marks(project)
    words = [text for _, text in found.of("half", found.claims["half"][0])]
    assert words == ["Verified on CPU with TensorFlow, 2026-01-01", "About a processor, and not asked of a GPU"]


@pytest.mark.parametrize(
    ("version", "ranges", "holds"),
    [
        ("3.15.1", ["keras>=3.10,<3.16"], True),
        ("3.16.0.dev2026102704", ["keras>=3.10,<3.16"], False),
        ("3.16.0.dev2026102704", ["keras>=3.16"], True),
        ("3.9.2", ["keras<3.4", "keras>=3.9"], True),
        (None, ["keras>=3.0"], False),
    ],
)
def test_a_nightly_build_is_of_the_next_version(version, ranges, holds):
    assert question.holds_in(ranges, {"keras": version}.get) is holds


def test_a_timed_claim_says_that_it_was_not_timed_yet(timed):
    found = _marks(timed)
    claim = found.claims["half"][-1]
    assert found.timing("half", claim.test).startswith("*Not measured yet: ")
    assert found.of("half", claim) == [("none", "Measured on a GPU only, and not yet")]
    assert found.sentence("half", claim) == "Half of them take … ms (not measured yet)."
    kind, words = found.verdict("half")
    assert kind == "verified" and words.startswith("2 claims verified") and words.endswith("1 waits for a GPU")


def test_a_timed_claim_says_what_each_gpu_measured(timed):
    timed.record("a-gpu-torch")
    assert timed.problems() == []
    found = _marks(timed)
    sentence = "Half of them take 1.5 (95 % interval 1.4 to 1.6) ms."
    assert found.timing("half", "test_it_takes_a_while") == f"- **A GPU, PyTorch 2.13.0, 2026-01-01:** {sentence}"
    assert "for a GPU" not in found.verdict("half")[1]


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ("{{ timing test_half_of_them_stay }}", "there is no claim `test_half_of_them_stay` that is marked `gpu`"),
        (f"As {TIMING}", "it stands on a line of its own"),
    ],
)
def test_a_timing_that_cannot_be_shown_is_refused(timed, new, why):
    timed.edit(PAGE, TIMING, new)
    timed.refuses(f"{PAGE}:29", why)


def test_what_make_new_wrote_is_refused(project):
    project.edit("docs/questions/half.md", "It holds.", "Write when it does not hold.")
    project.refuses(
        "docs/questions/half.md:27", "“Write when it does not hold.” is what `make new` wrote: write the page."
    )


# -------------------------------------------------------------------------------------------- built pages


def test_a_link_to_nothing_is_found_on_the_built_pages(tmp_path):
    page = '<h2 id="why">Why</h2><a href="#why">1</a><a class="x" href="#how">2</a>'
    page += '<a href="../b/">3</a><a href="c/#x">4</a>'
    for name, text in (("a/index.html", page + '<a href="https://example.org/#x">5</a>'), ("b/index.html", "")):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text, encoding="utf-8")
    dead = check.dead_links(tmp_path)
    assert dead == [f"a/index.html: nothing is at `{link}`, where a link leads." for link in ("#how", "c/#x")]
