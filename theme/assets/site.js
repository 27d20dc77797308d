// Copy buttons, the palette's button, the home page's search field, and Escape for the tooltips
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

document.querySelector("button.find")?.addEventListener("click", () => {
  const toggle = document.getElementById("__search");
  if (toggle && !toggle.checked) toggle.click();
  document.querySelector("header input[type=text], header input[type=search]")?.focus();
});

// a tooltip goes away at Escape and comes back with the pointer or the focus
document.addEventListener("keydown", event => {
  if (event.key === "Escape") root.classList.add("no-tips");
});
for (const when of ["pointerover", "focusin"])
  document.addEventListener(when, event => {
    if (!event.target.closest?.(".term")) root.classList.remove("no-tips");
  });

// on paper, a link to another page says where it leads
addEventListener("beforeprint", () => {
  const here = location.href.split("#")[0];
  for (const link of document.querySelectorAll("article :is(p, li, td) > a:not(.term, .proof, .test)"))
    if (link.protocol.startsWith("http") && link.getAttribute("href")[0] !== "#" && !link.href.startsWith(here + "#"))
      link.dataset.print = link.href;
});
