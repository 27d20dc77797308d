// Copy buttons, tabs, the palette's button, the table of contents, and Escape for the tooltips
const root = document.documentElement;

document.querySelector("button.scheme").addEventListener("click", () => {
  const dark = root.dataset.scheme ? root.dataset.scheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.scheme = dark ? "light" : "dark";
  try { localStorage.setItem("scheme", root.dataset.scheme); } catch {}
});

// a program has its buttons already; other code gets one
for (const block of document.querySelectorAll(".highlight.language-python, .highlight.language-sh")) {
  if (block.closest(".program")) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.dataset.copy = "all";
  button.textContent = "Copy";
  block.append(button);
}

document.addEventListener("click", async event => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const code = button.closest(".program, .highlight").querySelector("code").textContent;
  const lines = code.trimEnd().split("\n");
  const kept = button.dataset.copy === "program" ? lines.filter(line => !/^\s*#>/.test(line)) : lines;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(kept.join("\n") + "\n");
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed here";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
});

// a tooltip goes away at Escape and comes back with the pointer or the focus
document.addEventListener("keydown", event => {
  if (event.key === "Escape") root.classList.add("no-tips");
});
for (const when of ["pointerover", "focusin"])
  document.addEventListener(when, event => {
    if (!event.target.closest?.(".term")) root.classList.remove("no-tips");
  });

// on paper, a link to another page says where it leads; from a disk, where in the site
const site = new URL("..", document.currentScript.src).href;
addEventListener("beforeprint", () => {
  const here = location.href.split("#")[0];
  for (const link of document.querySelectorAll("article :is(p, li, td, .bar) > a:not(.term, .proof, .test)"))
    if (/^(https?|file):/.test(link.protocol) && link.getAttribute("href")[0] !== "#" && !link.href.startsWith(here + "#"))
      link.dataset.print = link.protocol === "file:" ? link.href.replace(site, "").replace("index.html", "") : link.href;
});

// the whole page as Markdown, which lies beside it
document.querySelector("button.twin")?.addEventListener("click", async event => {
  const button = event.target;
  const label = button.textContent;
  try {
    const text = fetch("index.md").then(answer => answer.text()).then(text => new Blob([text], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed here";
  }
  setTimeout(() => { button.textContent = label; }, 1500);
});

// the section that is being read, marked in the table of contents
const entries = new Map([...document.querySelectorAll(".md-sidebar a[href^='#']")]
  .map(a => [document.getElementById(decodeURIComponent(a.hash.slice(1))), a]));
if (entries.size) {
  const mark = () => {
    const passed = [...entries.keys()].filter(heading => heading?.getBoundingClientRect().top < 100);
    for (const [heading, a] of entries) a.classList.toggle("md-nav__link--active", heading === passed.at(-1));
  };
  document.addEventListener("scroll", mark, { passive: true });
  mark();
}

// from a disk nobody turns a folder into its page, and no script reads a file
if (location.protocol === "file:") {
  for (const button of document.querySelectorAll("button.twin")) button.hidden = true;
  for (const a of document.querySelectorAll("a[href]")) {
    const url = new URL(a.href);
    if (url.protocol !== "file:" || !url.pathname.endsWith("/")) continue;
    url.pathname += "index.html";
    a.href = url.href;
  }
}

// who reads one library's tab reads it on every page
const choose = name => {
  for (const input of document.querySelectorAll(".tabs input")) if (input.value === name) input.checked = true;
};
try { choose(localStorage.getItem("library")); } catch {}
document.addEventListener("change", event => {
  if (!event.target.matches(".tabs input")) return;
  choose(event.target.value);
  try { localStorage.setItem("library", event.target.value); } catch {}
});
