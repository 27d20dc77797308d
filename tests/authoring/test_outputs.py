"""What machines read: search index, Markdown twins, llms.txt, QAPage data, the feed; and what no page may carry."""

import json
import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

pytest.importorskip("mkdocs", reason="only the environments of the site and of make check build pages")
from kb import outputs, pages, search

ATOM = "{http://www.w3.org/2005/Atom}"
WHERE = {"index.md": "", "questions/half.md": "questions/half/", "proofs/half.md": "proofs/half/"}


@pytest.fixture
def half(project):
    return pages.Site(project.root)


def the_twin(project, half) -> str:
    markdown = half.fill(half.question_page(half.questions["half"]), "half", "../")
    return outputs.twin(project.root, markdown, "questions/half.md", WHERE.get)


def test_a_twin_is_plain_markdown_with_its_programs(project, half):
    twin = the_twin(project, half)
    assert twin.startswith("# Does half of the units stay?\n\nYes, half of them. The other half goes.\n")
    assert project.read("snippets/half.py").rstrip() in twin
    assert "A share of 0.50 stays" in twin
    prose = re.sub(r"```.*?```", "", twin, flags=re.DOTALL)
    assert not re.search(r"<\w|\{\{|\{ |--8<--|Copy", prose), prose


def test_links_between_twins_lead_to_twins(project, half):
    twin = the_twin(project, half)
    assert "[the home page](../../index.md)" in twin
    assert "[a test](../../proofs/half/index.md)" in twin


def test_a_link_to_a_place_finds_it_in_the_twin_or_leads_to_the_page(project, half):
    twin = the_twin(project, half)
    other = "# Two\n\nSee [this](../half/index.md#why), [that](../half/index.md#ref-author2014half) and `[x](#y)`.\n"
    twins = outputs.settled({"questions/half/": twin, "questions/two/": other})
    claim = "test_half_of_them_stay"
    assert f"(#{claim})" in twins["questions/half/"] and f"\n### {claim}\n\n" in twins["questions/half/"]
    assert "(Author 2014)" in twins["questions/half/"], "a link to nothing is none"
    assert twins["questions/two/"].endswith(
        "See [this](../half/index.md#why), [that](../half/index.md) and `[x](#y)`.\n"
    )


def test_a_twin_names_its_programs_and_what_each_tab_is_for(project):
    project.write("snippets/half_torch.py", '"""Half, in PyTorch."""\n\nprint(5)\n#> 5\n')
    project.edit(
        "docs/questions/half.md",
        '```python\n--8<-- "snippets/half.py"\n```\n',
        '```python\n--8<-- "snippets/half.py"\n```\n\n```python\n--8<-- "snippets/half_torch.py"\n```\n',
    )
    twin = the_twin(project, pages.Site(project.root))
    assert '\n\n`half.py` for Keras:\n\n```python\n"""Half of the units stay."""\n' in twin
    assert '\n\n`half_torch.py` for PyTorch:\n\n```python\n"""Half, in PyTorch."""\n' in twin
    assert "\n\n`half_wrong.py`:\n\n```python\n" in twin


def test_a_twin_keeps_formulas_and_blank_lines_of_code(project):
    markdown = "# T\n\n$\\sum_{i=1}^{n} x$\n\n```python\na = 1\n\n\nb = {1: 2}\n```\n"
    assert outputs.twin(project.root, markdown, "a.md", WHERE.get) == markdown


def test_qa_data_has_what_schema_org_and_search_engines_ask_for(half):
    data = json.loads(outputs.qa_page(half, "half", "https://example.org/questions/half/"))
    assert (data["@context"], data["@type"]) == ("https://schema.org", "QAPage")
    question = data["mainEntity"]
    assert question["@type"] == "Question" and question["answerCount"] == 1
    assert question["name"] == question["text"] == "Does half of the units stay?"
    answer = question["acceptedAnswer"]
    assert answer["@type"] == "Answer" and answer["text"] == "Yes, half of them. The other half goes."
    assert answer["url"] == "https://example.org/questions/half/"
    assert answer["citation"] == ["Author (2014). Half of It. Journal of Halves."]
    assert question["dateModified"] == answer["dateModified"] == "2026-01-01"
    assert question["author"]["@type"] == "Organization" and question["author"]["name"]


def test_qa_data_says_no_address_that_it_does_not_know(half):
    assert "url" not in json.loads(outputs.qa_page(half, "half", ""))["mainEntity"]["acceptedAnswer"]


def test_qa_data_cannot_end_its_script(project, half):
    half.questions["half"].answer = "Not </script><script>alert(1)</script> at all."
    text = outputs.qa_page(half, "half", "")
    assert "</script" not in text and "alert(1)</script>" in json.loads(text)["mainEntity"]["acceptedAnswer"]["text"]


def test_the_feed_is_what_atom_asks_for(half):
    feed = ET.fromstring(outputs.feed(half, "Half & more", "https://example.org/"))
    assert feed.tag == ATOM + "feed"
    assert [feed.findtext(ATOM + tag) for tag in ("title", "updated")] == ["Half & more", "2026-01-01T00:00:00Z"]
    assert feed.findtext(f"{ATOM}author/{ATOM}name")
    (entry,) = feed.findall(ATOM + "entry")
    assert entry.findtext(ATOM + "title") == "Does half of the units stay?"
    assert entry.findtext(ATOM + "updated") == "2026-01-01T00:00:00Z"
    assert entry.find(ATOM + "link").get("href") == "https://example.org/questions/half/"
    assert feed.findtext(ATOM + "id").startswith("urn:uuid:") and entry.findtext(ATOM + "id").startswith("urn:uuid:")


def test_a_new_run_changes_no_answer(project):
    project.edit_record(lambda record: record["claims"]["half"]["test_half_of_them_stay"].update(date="2026-03-03"))
    feed = ET.fromstring(outputs.feed(pages.Site(project.root), "Half", ""))
    assert feed.findtext(ATOM + "updated") == "2026-01-01T00:00:00Z"


def test_the_feed_begins_with_what_changed_last(project, half):
    half.questions["third"] = half.questions["half"]
    half.changed["third"] = "2026-02-02"
    entries = ET.fromstring(outputs.feed(half, "Half", "")).findall(ATOM + "entry")
    assert [e.findtext(ATOM + "updated")[:10] for e in entries] == ["2026-02-02", "2026-01-01"]


def test_llms_txt_lists_each_question_with_its_answer(half):
    text = outputs.llms(half, "Half", "Halves.", "")
    assert text.startswith("# Half\n\n> Halves.\n")
    assert (
        "- [Does half of the units stay?](questions/half/index.md): Yes, half of them. The other half goes.\n" in text
    )


def test_llms_full_txt_holds_the_twins_under_one_title(half):
    text = outputs.llms_full(half, {"questions/half/": "# Q?\n\n## Why\n\n```python\n# one\n```\n"}, "Half", "")
    assert text == "# Half\n\n## Q?\n\n### Why\n\n```python\n# one\n```\n"


@pytest.mark.parametrize("base", ["", "https://example.org/"])
def test_links_of_llms_full_txt_count_from_where_it_lies(half, base):
    twin = "[a](../../proofs/half/index.md) [b](#why) [c](../rate/index.md#why) [d](https://e.org/#f) `[e](f.md)`\n"
    text = outputs.llms_full(half, {"questions/half/": twin}, "Half", base)
    links = "[a]({0}proofs/half/index.md) [b]({0}questions/half/index.md#why) [c]({0}questions/rate/index.md#why)"
    assert text == "# Half\n\n" + links.format(base) + " [d](https://e.org/#f) `[e](f.md)`\n"


PAGE = """
<h1 id="t">Does half stay?<a class="headerlink" href="#t">&para;</a></h1><div class="answer"><p>Yes &amp; no.</p></div>
<p class="verdict">9 claims</p><h2 id="why">Why<a class="headerlink" href="#why">¶</a></h2><p>Masks, masks.</p>
<pre>hidden_code()</pre><h2 id="more">More</h2><p>One mask of keep_prob.</p>
<h2 id="how-we-know">How we know</h2><p>Proved: mask, mask, mask.</p>
<h2 id="also-asked">Also asked</h2><ul><li>Is half kept?</li></ul>
<h2 id="related-questions">Related</h2><p>Embedding</p>
"""


def test_search_sees_a_page_by_its_parts():
    found = search.page("questions/half/", PAGE)
    assert (found["title"], found["summary"]) == ("Does half stay?", "Yes & no.")
    assert found["sections"] == [["why", "Why"], ["more", "More"]]
    title, asked, answer, _, text = (
        {word: use for field, word, *use in found["words"] if field == i} for i in range(len(search.FIELDS))
    )
    assert set(title) == {"half", "stay"} and set(answer) == {"yes", "no"}
    assert set(asked) == {"half", "stay", "kept"}
    assert asked["stay"] == [1, 0] and asked["kept"] == [1, 1], "the question is the first wording"
    assert text["mask"] == [6, 1], "it stands six times, most often of all sections but the proofs in the first"
    assert text["keep_prob"] == [1, 2] and text["keep"] == [1, 2]
    assert not {"hidden_code", "embed", "claim"} & set(text)


def test_words_of_a_proof_lead_to_no_section():
    found = search.page("questions/half/", PAGE)
    assert (4, "prov", 1, 0) in found["words"]
    assert "how-we-know" not in [anchor for anchor, _ in found["sections"]]


def test_the_index_is_one_script_that_names_each_page_once():
    found = search.page("questions/half/", PAGE) | {"weight": 1}
    other = search.page("questions/third/", PAGE) | {"weight": 1}
    text = search.index([found, other]).removeprefix("searchIndex = JSON.parse(").removesuffix(");\n")
    made = json.loads(json.loads(text))
    assert [p[0] for p in made["pages"]] == ["questions/half/", "questions/third/"]
    assert made["words"]["mask"] == [0, 4 + 5 * (5 + 8), 1, 4 + 5 * (5 + 8)]


@pytest.mark.parametrize(
    "html",
    [
        "<script>alert(1)</script>",
        '<img alt="x" src="x" onerror="alert(1)">',
        '<a href="javascript:alert(1)">x</a>',
        '<iframe srcdoc="<p>">',
    ],
)
def test_a_page_with_a_script_of_its_own_stops_the_build(project, html, monkeypatch):
    from kb import site

    monkeypatch.setattr(site, "state", pages.Site(project.root), raising=False)
    page = SimpleNamespace(file=SimpleNamespace(src_uri="notebooks/half.ipynb"), url="notebooks/half/")
    with pytest.raises(site.PluginError, match=r"notebooks/half\.ipynb: a page carries no script of its own"):
        site._finish(f"<h1>Half</h1>{html}", page)
    site._finish("<h1>Half</h1><pre>&lt;script&gt; onerror=</pre>", page)
