"""What is assembled around a question: its programs, its terms, its topic, its notebook, the table of places."""

import json
import re

import pytest

from kb import notebook_pages
from kb.question import Problem

pages = pytest.importorskip("kb.pages", reason="only the environments of the site and of make check assemble pages")
ROW = "- for: MLP\n" + "".join(
    f"  {key}: {{says: Here, see: half, proof: test_half_of_them_stay}}\n"
    for key in ("place", "layer", "rate", "avoid")
)
GLOSSARY = """# Glossary

Mask { #mask }
:   The array of zeros and ones. It is [drawn anew](index.md)
    for each call.

Feature map { #feature-map }
:   One channel of an output.
"""


@pytest.fixture
def site(project):
    return pages.Site(project.root)


def test_a_program_says_what_it_needs(project):
    project.write("snippets/half.py", '"""x"""\n\nimport json\n\nimport keras\nfrom half_wrong import kept\n')
    project.write("snippets/half_wrong.py", '"""x"""\n\nimport sklearn.datasets\n\nkept = 1\n')
    page = pages.Site(project.root).question_page(pages.Site(project.root).questions["half"])
    assert "Needs `keras>=3.13` and a backend, and [half_wrong.py](../snippets/half_wrong.py) beside it." in page
    assert "Needs `scikit-learn`." in page


def test_a_program_of_one_backend_names_it(project):
    project.write("snippets/half_torch.py", '"""x"""\n\nimport torch\n')
    assert pages.Site(project.root)._needs(project.root / "snippets/half_torch.py") == "Needs `torch`."


def test_a_program_that_was_timed_says_how_long_it_takes(project):
    record = json.loads(project.read("evidence/cpu-tensorflow.json"))
    digest = record["claims"]["half"]["test_half_of_them_stay"]["files"]["snippets/half.py"]
    record["programs"] = {"half": {"half.py": {"seconds": 3.6, "file": digest, "seal": ""}}}
    project.write("evidence/cpu-tensorflow.json", json.dumps(record))
    needs = "Needs Python alone"
    assert (
        pages.Site(project.root)._needs(project.root / "snippets/half.py") == f"{needs}. Takes about 4\u00a0s on a CPU."
    )
    project.write("snippets/half.py", project.read("snippets/half.py") + "# another program now\n")
    assert pages.Site(project.root)._needs(project.root / "snippets/half.py") == f"{needs}."


def test_a_program_of_one_backend_takes_what_it_took_there(project):
    project.write("snippets/half_jax.py", '"""x"""\n\nimport jax\n')
    project.record("cpu-jax")
    record = json.loads(project.read("evidence/cpu-jax.json"))
    digest = pages.evidence.digest(project.read("snippets/half_jax.py").encode())
    record["programs"] = {"half": {"half_jax.py": {"seconds": 7.1, "file": digest, "seal": ""}}}
    project.write("evidence/cpu-jax.json", json.dumps(record))
    needs = pages.Site(project.root)._needs(project.root / "snippets/half_jax.py")
    assert needs == "Needs `jax`. Takes about 7\u00a0s on a CPU."


def test_a_topic_lists_its_questions_and_leads_to_the_others(site):
    assert list(site.topics) == ["rate"]
    assert "[Does half of the units stay?](../questions/half.md)" in site.topic_page("rate")
    assert site.neighbours(site.questions["half"]) == (None, None)


def test_the_home_page_says_the_sentence_that_answers_and_the_topic_all(site):
    q = site.questions["half"]
    q.answer = "Yes, of `x. y. z.`, as Doe et al. say. The other half goes."
    assert site.question_list().endswith("\n\nYes, of `x. y. z.`, as Doe et al. say.")
    assert q.answer in site.topic_page("rate")


def test_a_mark_says_in_words_what_it_means_wherever_it_stands(site):
    shown = site.fill("{{ verified }}", "", "") + site.question_page(site.questions["half"])
    marks = re.findall(r'<span class="mark [^"]+"([^>]*)>([^<]*)(<span class="unseen">)?', shown)
    assert len(marks) > 3 and all("title=" in attributes and hidden for attributes, _, hidden in marks), marks
    assert "markdown" not in "".join(attributes for attributes, *_ in marks)


def test_a_paper_is_listed_with_the_questions_that_cite_it(site):
    assert "Author (2014)" in site.reference_list()
    assert "[Does half of the units stay?](questions/half.md)" in site.reference_list()


def test_a_team_is_named_without_the_braces_that_keep_its_words_together(project):
    project.edit("docs/references.bib", "{Author, An}", "{{Half team}}")
    assert "Half team (2014)" in pages.Site(project.root).reference_list()


def test_a_citation_on_another_page_leads_to_the_references(site):
    assert "(references.md#ref-author2014half)" in site.fill("[@author2014half]", "where", "")
    assert "(#ref-author2014half)" in site.fill("[@author2014half]", "half", "../")


# ----------------------------------------------------------------------------------- where do I put it?


def test_a_row_whose_question_is_missing_stays_out(project):
    project.write("docs/where.yml", ROW + ROW.replace("MLP", "GNN").replace("see: half", "see: graphs"))
    table = pages.Site(project.root).where_table()
    assert "MLP" in table and "[Here](questions/half.md) [proof](questions/half.md#test_half_of_them_stay)" in table
    assert "GNN" not in table


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("test_half_of_them_stay", "test_no", "there is no claim `half.test_no`"),
        ("  avoid:", "  leave:", "each row says `for`, `place`, `layer`, `rate`, `avoid` and nothing else"),
    ],
)
def test_a_row_that_proves_nothing_is_one_clear_sentence(project, one_sentence, old, new, why):
    project.write("docs/where.yml", ROW.replace(old, new))
    with pytest.raises(Problem) as stopped:
        pages.Site(project.root).where_table()
    one_sentence(str(stopped.value), "docs/where.yml", why)


# ----------------------------------------------------------------------------------------------- terms


@pytest.fixture
def terms(project):
    project.write("docs/glossary.md", GLOSSARY)
    return pages.Site(project.root).terms


def test_a_term_means_its_first_sentence(terms):
    assert terms["mask"] == ("mask", "The array of zeros and ones.")
    assert terms["feature map"] == ("feature-map", "One channel of an output.")


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("<p>A mask and a mask</p>", 1),
        ("<p>Masks</p><p>of feature maps</p>", 2),
        ("<h2>Mask</h2><pre><code>mask</code></pre><a href='x'>mask</a><table><td>mask</td></table>", 0),
        ("<p><code>mask</code> and <em>mask</em></p>", 1),
        ("<p>unmasked, mask_zero and masking</p>", 0),
        ('<p title="mask">nothing</p>', 0),
    ],
)
def test_only_the_first_use_in_running_text_is_marked(terms, text, marked):
    made = pages.mark_terms(text, terms, "../glossary/")
    assert made.count('class="term"') == marked
    assert made.count("aria-description=") == marked


def test_no_line_ends_between_a_number_and_its_sign():
    made = pages.keep_together("<p>95 % of <code>95 % 2</code></p>")
    assert made == "<p>95\u00a0% of <code>95 % 2</code></p>"


def test_a_table_says_once_that_its_intervals_are_of_95_percent():
    head, said, short = "| | gain |\n| --- | --- |\n", "| a | +1 (95 % interval 0 to 2) |\n", "| b | +3 (2 to 4) |\n"
    repeated = short.replace("(", "(95 % interval ")
    assert pages.TABLE.sub(lambda m: pages.said_once(m[0]), f"{said}\n{head}{said}{repeated}\n{repeated}") == (
        f"{said}\n{head}{said}{short}\n{repeated}"
    )


def test_the_bounds_of_an_interval_stay_on_one_line():
    made = pages.keep_together("<p>+3 (95 % interval −0.2 to +1,000) from 2 to 4</p>")
    assert made == "<p>+3 (95\u00a0% interval −0.2\u00a0to\u00a0+1,000) from 2 to 4</p>"


# ------------------------------------------------------------------------------------------- notebooks


def test_colab_opens_a_notebook_where_the_repository_is_known(project):
    assert "Colab" not in notebook_pages.page(project.root, "half")
    page = notebook_pages.page(project.root, "half", "https://github.com/owner/name/")
    wanted = "https://colab.research.google.com/github/owner/name/blob/gh-pages/notebooks/half/half-colab.ipynb"
    assert f"[Open in Colab]({wanted})" in page
    assert "Colab" not in notebook_pages.page(project.root, "half", "https://example.org/owner/name")


def test_colab_installs_the_locked_versions_first(project):
    project.write("requirements/test.txt", "keras==3.15.1 \\\n    --hash=x\ntensorflow==2.21.0\nscikit-learn==1.9.1\n")
    cells = project.notebook()["cells"]
    project.edit_cell(2, source="import keras\nfrom sklearn import metrics\nfrom half import kept\n")
    made = json.loads(notebook_pages.download(project.root, "half", colab=True))["cells"]
    assert made[0]["source"] == "%pip install --quiet keras==3.15.1 scikit-learn==1.9.1 tensorflow==2.21.0"
    assert [c["source"].split()[1] for c in made[1:3]] == ["figures.mplstyle", "half.py"]
    assert len(made) == len(cells) + 3
