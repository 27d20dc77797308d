"""The built pages in a real browser: desktop and phone, light and dark, with scripts and without.

Runs on what `make check` built, where Chromium is installed.
"""

import gzip
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import BUILT, ROOT

KINDS = {
    "home": "",
    "question": "questions/rate/",
    "notebook": "notebooks/rate/",
    "topic": "topics/placement/",
    "where": "where/",
    "glossary": "glossary/",
    "references": "references/",
    "verified": "verified/",
    "proof": "proofs/scope/",
    "coverage": "coverage/",
    "corrections": "corrections/",
    "thread": "thread/",
    "prose": "contributing/",
    "not found": "404.html",
}
PAGES = {*KINDS.values()}
PAGES |= {p.parent.relative_to(BUILT).as_posix() + "/" for p in BUILT.glob("*/*/index.html")}
SCREENS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 780}}
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 90_000}  # a phone's


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport=SCREENS["desktop"])
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_fits_the_screen_and_asks_nobody_else(browser, address, screen, scheme):
    context = browser.new_context(viewport=SCREENS[screen], color_scheme=scheme)
    page, asked, complaints = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # a page that is too wide is so on a phone, whatever its colours
    for name in sorted(PAGES if (screen, scheme) == ("phone", "light") else KINDS.values()):
        page.goto(address + name)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= SCREENS[screen]["width"], f"{name or 'home'} is {width} pixels wide on a {screen}"
    others = [url for url in asked if not url.startswith((address, "data:"))]
    assert not others, f"asked of others: {others}"
    assert not complaints, complaints
    context.close()


@pytest.mark.parametrize(("screen", "scheme"), [("desktop", "dark"), ("phone", "light")])
def test_no_page_shuts_anybody_out(browser, address, screen, scheme):
    context = browser.new_context(viewport=SCREENS[screen], color_scheme=scheme, reduced_motion="reduce")
    page, found = context.new_page(), []
    for kind, name in KINDS.items():
        page.goto(address + name)
        result = Axe().run(page, options={"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}})
        for violation in result.response["violations"]:
            places = [node["target"][0] for node in violation["nodes"]]
            found.append(f"{kind}: {violation['id']}: {len(places)} places, such as {places[:2]}")
    assert not found, "\n".join(found)
    context.close()


def test_copy_takes_the_program_and_download_the_file(page, address):
    page.goto(address + "questions/scope/")
    program = page.locator(".program").first
    source = (ROOT / "snippets/scope.py").read_text(encoding="utf-8")
    bare = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith("#>")) + "\n"
    for label, wanted in (("Copy", bare), ("Copy with output", source)):
        program.get_by_role("button", name=label, exact=True).click()
        page.wait_for_function("async text => await navigator.clipboard.readText() === text", arg=wanted)
        page.get_by_role("button", name="Copied").first.wait_for()
    with page.expect_download() as download:
        program.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_text(encoding="utf-8") == source
    assert download.value.suggested_filename == "scope.py"


def test_a_cell_of_a_notebook_can_be_copied(page, address):
    page.goto(address + "notebooks/rate/")
    block = page.locator(".highlight.language-python").first
    block.hover()
    block.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith("import sys\n")


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_each_forward_pass_drops_other_units(browser, address, motion):
    context = browser.new_context(reduced_motion=motion)
    page = context.new_page()
    page.goto(address)
    state = "[...document.querySelectorAll('.network [data-unit]')].map(u => u.classList.contains('dropped'))"
    seen = {str(page.evaluate(state))}
    for _ in range(4):
        page.get_by_role("button", name="Forward pass").click()
        dropped = page.evaluate(state)
        seen.add(str(dropped))
        said = [int(n) for n in page.locator(".network b").all_inner_texts()]
        assert said == [sum(dropped[:6]), sum(dropped[6:])]
        ends = page.locator(".network path:not(.cut)").evaluate_all("paths => paths.map(p => p.dataset.ends)")
        out = page.locator(".network .dropped").evaluate_all("units => units.map(u => u.dataset.unit)")
        assert not {end for pair in ends for end in pair.split()} & set(out), "a line leads to a dropped unit"
    assert len(seen) > 1
    if motion == "reduce":
        assert page.evaluate("getComputedStyle(document.querySelector('.network circle')).transitionDuration") == "0s"
    context.close()


def test_a_term_says_what_it_means_and_escape_hides_it(page, address):
    page.goto(address + "questions/rate/")
    term = page.locator("a.term").first
    shown = "a => getComputedStyle(a, '::after').visibility"
    assert term.get_attribute("aria-description")
    assert term.evaluate(shown) == "hidden"
    term.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")  # the focus of a keyboard
    page.wait_for_timeout(400)
    assert term.evaluate(shown) == "visible"
    page.keyboard.press("Escape")
    page.wait_for_timeout(400)
    assert term.evaluate(shown) == "hidden"
    page.goto(term.evaluate("a => a.href"))
    assert page.locator("dt:target").count() == 1


def test_every_kind_of_page_explains_terms_and_the_glossary_does_not():
    kinds = [kind for kind in KINDS if (BUILT / KINDS[kind]).is_dir()]
    marked = {k for k in kinds if 'class="term"' in (BUILT / KINDS[k] / "index.html").read_text(encoding="utf-8")}
    assert marked >= {"home", "question", "notebook", "topic", "corrections", "verified", "prose"}
    assert "glossary" not in marked


def test_the_reader_chooses_the_palette_and_keeps_it(page, address):
    page.goto(address)
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Switch between light and dark").click()
    dark = page.evaluate(background)
    assert dark != light
    page.goto(address + "glossary/")
    assert page.evaluate(background) == dark


@pytest.mark.parametrize("kind", ["home", "question", "notebook", "verified"])
def test_nothing_moves_while_a_page_loads(browser, address, kind):
    context = browser.new_context(viewport=SCREENS["phone"])
    page = context.new_page()
    context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOW)
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver(list => list.getEntries().forEach(e => window.moved += e.value))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    page.goto(address + KINDS[kind])
    page.wait_for_timeout(300)
    assert page.evaluate("window.moved") < 0.01
    context.close()


WIDTHS = """() => ["", "Helvetica, Arial, 'Liberation Sans', "].map(fonts => {
    const context = document.createElement("canvas").getContext("2d");
    context.font = `20px ${fonts}monospace`;
    return context.measureText("dropout").width;
})"""


def test_a_question_prints_on_two_pages(page, address):
    """In the fonts that paper is set in; where none of them is installed, a wider one may need a third page."""
    page.goto(address)
    fixed, narrow = page.evaluate(WIDTHS)
    counts = {}
    for slug in sorted(p.parent.name for p in BUILT.glob("questions/*/index.html")):
        page.goto(f"{address}questions/{slug}/")
        counts[slug] = len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True)))
    assert max(counts.values()) <= (3 if narrow == fixed else 2), counts


def test_on_paper_a_figure_is_as_wide_as_its_column(page, address):
    page.goto(f"{address}questions/rate/")
    page.emulate_media(media="print")
    for figure in page.locator("p.figure").all():
        image = figure.locator("img:visible")
        assert image.bounding_box()["width"] >= 0.99 * figure.bounding_box()["width"]


def test_on_paper_links_say_where_they_lead(page, address):
    page.goto(f"{address}questions/scope/")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    written = "a => getComputedStyle(a, '::after').content"
    paper = page.locator("#references + ul a").first
    assert paper.get_attribute("href") in paper.evaluate(written)
    notebook = page.locator("a[href*=notebooks]").first
    assert f"{address}notebooks/scope/" in notebook.evaluate(written)


def test_on_paper_links_say_where_they_lead_from_a_disk_too(page):
    page.goto((BUILT / "questions/scope/index.html").as_uri())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    written = page.locator("a[href*=notebooks]").first.evaluate("a => getComputedStyle(a, '::after').content")
    assert written == '" (notebooks/scope/)"'


def test_everything_is_readable_without_scripts(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "questions/rate/")
    assert page.locator(".answer").inner_text().startswith("The rate is the fraction that is dropped")
    assert page.locator("math").count() >= 2
    assert page.locator("math mfrac").first.is_visible()
    assert "keras.layers.Dropout" in page.locator("pre").first.inner_text()
    page.goto(address)
    assert page.locator(".network circle").first.is_visible()
    assert page.get_by_text("The rate is the fraction that is dropped").is_visible()
    for what in ("button", ".field"):
        assert not any(i.is_visible() for i in page.locator(what).all()), f"a {what} that does nothing is shown"
    context.close()


LINES = """() => [...document.querySelectorAll("article :is(p, li, dd)")].flatMap(p => {
    if (!p.checkVisibility() || p.closest(".program, nav, table, figure")) return [];
    const lines = new Map(), range = document.createRange(), walk = document.createTreeWalker(p, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) for (let i = 0; i < walk.currentNode.length; i++) {
        range.setStart(walk.currentNode, i);
        range.setEnd(walk.currentNode, i + 1);
        const box = range.getClientRects()[0];
        if (!box?.width || walk.currentNode.parentElement.closest(".unseen, math")) continue;
        const place = Math.round((box.top + box.bottom) / 8);  // code in a line may stand a pixel lower
        const line = [place, place - 1, place + 1].find(at => lines.has(at)) ?? place;
        lines.set(line, (lines.get(line) ?? 0) + 1);
    }
    return [...lines.values()].slice(0, -1);  // the last one is as long as it happens to be
})"""


def test_a_line_is_no_longer_than_eyes_follow(page, address):
    lengths = []
    for kind in KINDS:
        page.goto(address + KINDS[kind])
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        lengths += page.evaluate(LINES)
    assert len(lengths) > 300
    long = sum(length > 75 for length in lengths) / len(lengths)
    print(f"{len(lengths)} lines, {long:.1%} longer than 75 characters, the longest {max(lengths)}")
    assert long < 0.02


def test_the_answer_is_the_first_thing_below_the_title(browser, address):
    page = browser.new_page(viewport=SCREENS["phone"])
    for slug in (p.parent.name for p in BUILT.glob("questions/*/index.html")):
        page.goto(f"{address}questions/{slug}/")
        top = page.locator(".answer").bounding_box()["y"]
        assert top < SCREENS["phone"]["height"] / 2, f"{slug}: the answer begins at {top:.0f} pixels"
    page.close()


def test_a_link_in_the_coverage_is_a_fingertip_high(browser, address):
    page = browser.new_page(viewport=SCREENS["phone"])
    page.goto(address + "coverage/")
    links = page.locator("article :is(p, li) a:not(.headerlink, .term)")  # a term stands within a line
    heights = links.evaluate_all("links => links.flatMap(a => [...a.getClientRects()].map(box => box.height))")
    assert len(heights) > 100 and min(heights) >= 24
    assert not [text for text in links.all_inner_texts() if text.strip().isdigit()]
    page.close()


def test_each_figure_shows_on_its_own_palette(browser, address):
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(address + "notebooks/rate/")
        shown = [i for i in page.locator("article img").all() if i.is_visible()]
        assert shown, "no figure is visible"
        for image in shown:
            assert image.get_attribute("src").endswith(f"#only-{scheme}")
            image.scroll_into_view_if_needed()
            page.wait_for_function("i => i.complete && i.naturalWidth > 0", arg=image.element_handle())
        context.close()


def test_pages_are_light_and_figures_are_files():
    for path in BUILT.glob("notebooks/*/index.html"):
        data = path.read_bytes()
        assert len(data) <= 80_000, f"{path.parent.name}: {len(data)} bytes"
        assert len(gzip.compress(data)) <= 12_000, f"{path.parent.name}: {len(gzip.compress(data))} bytes compressed"
        text = data.decode()
        assert "base64" not in text, f"{path.parent.name} holds a figure in its HTML"
        for image in re.findall(r"<img\b[^>]*>", text):
            assert re.search(r'\bwidth="?\d', image) and re.search(r'\bheight="?\d', image), image
            assert re.search(r'\balt="[^"]', image), image
