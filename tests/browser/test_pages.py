"""The built pages in a real browser: desktop and phone, light and dark, with scripts and without.

Runs on what `make check` built, where Chromium is installed.
"""

import functools
import gzip
import http.server
import re
import shutil
import threading
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent.parent
BUILT = ROOT / ".cache/check"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = ["", "verified/", "contributing/", "proofs/scope/", "404.html"]
PAGES += sorted(f"{p.parent.parent.name}/{p.parent.name}/" for p in BUILT.glob("questions/*/index.html"))
PAGES += sorted(f"{p.parent.parent.name}/{p.parent.name}/" for p in BUILT.glob("notebooks/*/index.html"))
SCREENS = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 780}}


@pytest.fixture(scope="session")
def address():
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(BUILT)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine: the pages were not looked at in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_fits_the_screen_and_asks_nobody_else(browser, address, screen, scheme):
    context = browser.new_context(viewport=SCREENS[screen], color_scheme=scheme)
    page, asked, complaints = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    for name in PAGES:
        page.goto(address + name)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= SCREENS[screen]["width"], f"{name or 'home'} is {width} pixels wide on a {screen}"
    others = [url for url in asked if not url.startswith((address, "data:"))]
    assert not others, f"asked of others: {others}"
    assert not complaints, complaints
    context.close()


def test_everything_is_readable_without_scripts(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "questions/rate/")
    assert page.locator(".answer").inner_text().startswith("The rate is the fraction that is dropped")
    assert page.locator("math").count() >= 2
    assert page.locator("math mfrac").first.is_visible()
    assert "keras.layers.Dropout" in page.locator("pre").first.inner_text()
    context.close()


def test_the_answer_is_the_first_thing_below_the_title(browser, address):
    page = browser.new_page(viewport=SCREENS["phone"])
    for slug in (p.parent.name for p in BUILT.glob("questions/*/index.html")):
        page.goto(f"{address}questions/{slug}/")
        top = page.locator(".answer").bounding_box()["y"]
        assert top < SCREENS["phone"]["height"] / 2, f"{slug}: the answer begins at {top:.0f} pixels"
    page.close()


def test_search_finds_a_question_by_a_wording_that_others_use(browser, address):
    page = browser.new_page()
    page.goto(address)
    page.wait_for_timeout(500)  # the search reads its index
    page.keyboard.press("/")
    page.keyboard.type("keep_prob", delay=20)
    hit = page.locator(".md-search-result__item a").first
    hit.wait_for(timeout=20_000)
    assert "/questions/rate/" in hit.get_attribute("href")
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
