"""Measure in a real browser, for `bench`: how long a search takes, and an edit until it shows.

`python -m kb.look search SITE QUERY…` and `python -m kb.look edit PROJECT PAGE` print seconds as JSON. Runs in the
environment of `make check`.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

TYPE = """async ([query, pause]) => {
    const dialog = document.querySelector("dialog.search"), input = dialog.querySelector("input");
    for (let i = 1; pause && i < query.length; i++) {
        input.value = query.slice(0, i);
        input.dispatchEvent(new Event("input"));
        await new Promise(go => setTimeout(go, pause));
    }
    input.value = query;
    const start = performance.now();
    input.dispatchEvent(new Event("input"));
    while (dialog.dataset.shown !== query) await new Promise(requestAnimationFrame);
    return (performance.now() - start) / 1000;
}"""


PAUSE = 100  # ms between two keys of somebody who types fast
EDITS = 3


def search(page, site: str, *queries: str) -> dict[str, float]:
    """From the last key to the hits: of the first search on a page, which reads the index, pasted and typed; and of the
    slowest other one.
    """
    found = {}
    for how, pause in (("pasted", 0), ("typed", PAUSE)):
        page.goto(Path(site, "index.html").resolve().as_uri())
        page.reload()
        page.keyboard.press("/")
        found[how] = page.evaluate(TYPE, [queries[0], pause])
    return found | {"slowest": max(page.evaluate(TYPE, [query, 0]) for query in queries[1:])}


def edit(page, project: str, name: str) -> dict[str, float]:
    """From saving a page to seeing it, under `make serve`: the median of edits of its text and of its answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    source = Path(project, "docs", name)
    python = os.environ["SITE_PYTHON"]
    command = [python, "-m", "kb.start", "--quiet", "serve", "--dev-addr", f"127.0.0.1:{port}"]
    server = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL)
    before, answer = source.read_text(encoding="utf-8"), "answer: >\n  "
    edits = {
        "text": lambda new: f"{before}\n\n{new}\n",
        "answer": lambda new: before.replace(answer, f"{answer}{new} ", 1),
    }
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        page.goto(f"http://127.0.0.1:{port}/{name.removesuffix('.md')}/")
        found = {}
        for what, edited in edits.items():
            times = []
            for i in range(EDITS):
                time.sleep(2)
                start = time.monotonic()
                source.write_text(edited(f"Edited the {what} for the time {i}."), encoding="utf-8")
                page.get_by_text(f"Edited the {what} for the time {i}.").first.wait_for(timeout=120_000)
                times.append(time.monotonic() - start)
            found[what] = statistics.median(times)
        return found
    finally:
        source.write_text(before, encoding="utf-8")
        server.terminate()
        server.wait()


def main(what: str, *arguments: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    flags = ["--headless", "--no-sandbox", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        print(json.dumps({"search": search, "edit": edit}[what](browser.new_page(), *arguments)))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
