// Search: turns the index that kb/search.py made into MiniSearch's form, ranks pages, shows them as the reader types
const Search = (() => {
  const FIELDS = ["title", "asked", "answer", "headings", "text"];
  const BOOST = { title: 2, asked: 4, answer: 1.5, headings: 1, text: 0.5 };
  const EVERYWHERE = { dropout: 0.3, kera: 0.3, layer: 0.5 }; // words that tell little on this site
  const MOST = 8;
  let pages, places, engine, stop;

  // must cut a text as `words` in kb/search.py does
  function words(text) {
    const found = [];
    for (const word of text.match(/[A-Za-z0-9_]+/g) || []) {
      const whole = word.replace(/^_+|_+$/g, "").toLowerCase();
      if (!whole || stop.has(whole)) continue;
      const parts = word.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+/g) || [];
      if (parts.length < 2) found.push(stem(whole));
      else found.push(whole, ...parts.filter(p => p.length > 1).map(p => stem(p.toLowerCase())));
    }
    return found;
  }

  function stem(word) {
    if (word.length > 3 && word.endsWith("ies")) word = word.slice(0, -3) + "y";
    else if (word.length > 3 && /[^su]s$/.test(word)) word = word.slice(0, -1);
    const ending = /(ing|ed)$/.exec(word);
    if (ending && word.length - ending[0].length > 2) {
      word = word.slice(0, -ending[0].length);
      if (/([^ls])\1$/.test(word)) word = word.slice(0, -1);
    }
    return word.length > 4 && word.endsWith("e") ? word.slice(0, -1) : word;
  }

  function load(made) {
    stop = new Set(made.stop);
    pages = made.pages.map(([url, title, summary, weight, lengths, sections]) =>
      ({ url, title, summary, weight, lengths, sections }));
    places = new Map(); // word → page → section
    const index = Object.entries(made.words).map(([word, packed]) => {
      const byField = {};
      const at = new Map();
      for (let i = 0, page = 0; i < packed.length; i += 2) {
        page += packed[i];
        const field = packed[i + 1] % FIELDS.length;
        const rest = (packed[i + 1] - field) / FIELDS.length;
        (byField[field] ||= {})[page] = 1 + (rest % MOST);
        if (rest >= MOST && !at.has(page)) at.set(page, Math.floor(rest / MOST));
      }
      places.set(word, at);
      return [word, byField];
    });
    engine = MiniSearch.loadJS({
      index,
      documentCount: pages.length,
      nextId: pages.length,
      documentIds: Object.fromEntries(pages.map((_, i) => [i, i])),
      fieldIds: Object.fromEntries(FIELDS.map((field, i) => [field, i])),
      fieldLength: Object.fromEntries(pages.map((page, i) => [i, page.lengths])),
      averageFieldLength: FIELDS.map((_, f) => pages.reduce((sum, page) => sum + page.lengths[f], 0) / pages.length),
      storedFields: {},
      dirtCount: 0,
      serializationVersion: 2,
    }, { fields: FIELDS, tokenize: words, processTerm: word => word });
  }

  function find(query) {
    const found = engine.search(query, {
      boost: BOOST,
      bm25: { k: 1.2, b: 0.15, d: 0.5 }, // a page that answers many wordings is not less about each
      boostTerm: word => EVERYWHERE[word] || 1,
      boostDocument: id => pages[id].weight,
      prefix: (word, i, all) => word.length > 2 || i === all.length - 1,
      fuzzy: word => (word.length > 4 && !places.has(word) ? 0.2 : false), // a slip of the finger
    });
    // MiniSearch multiplies by how many of the words are found; by how rare these are says more
    const rarity = word => Math.log(1 + pages.length / (1 + (places.get(word)?.size || 0))) * (EVERYWHERE[word] || 1);
    const sum = all => all.reduce((total, word) => total + rarity(word), 0);
    const whole = sum(words(query));
    for (const hit of found) hit.score *= Math.sqrt(sum(hit.queryTerms) / whole) / hit.queryTerms.length;
    found.sort((a, b) => b.score - a.score);
    return found.map(({ id, match }) => {
      const { url, title, summary, sections } = pages[id];
      // the section that has most of the words which neither the question nor its answer has
      const votes = new Map();
      for (const [word, fields] of Object.entries(match)) {
        const section = places.get(word).get(id);
        if (section && !fields.some(f => f === "title" || f === "asked" || f === "answer"))
          votes.set(section, (votes.get(section) || 0) + 1);
      }
      const [section] = [...votes].sort((a, b) => b[1] - a[1])[0] || [0];
      if (!section) return { url, title, summary };
      return { url: `${url}#${sections[2 * section - 2]}`, title, summary, heading: sections[2 * section - 1] };
    });
  }

  return { words, load, find };
})();

// --- the page: a dialog that opens with `/` or with any button of class `find`
(() => {
  const here = document.currentScript.src;
  const root = new URL("..", here).href;
  const dialog = document.querySelector("dialog.search");
  const input = dialog.querySelector("input");
  const list = dialog.querySelector("ol");
  const status = dialog.querySelector("[role=status]");
  const SHOWN = 10;
  let ready;

  const script = name => new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.src = new URL(name, here).href;
    element.onload = resolve;
    element.onerror = reject;
    document.head.append(element);
  });

  function prepare() {
    ready ||= Promise.all([script("minisearch.js"), script("search-index.js")]).then(() => Search.load(searchIndex));
    return ready;
  }

  function open() {
    prepare();
    if (!dialog.open) dialog.showModal();
    input.select();
  }

  async function show() {
    await prepare();
    const query = input.value.trim();
    const hits = query ? Search.find(query) : [];
    list.replaceChildren(...hits.slice(0, SHOWN).map(entry));
    status.textContent = !query ? "" : hits.length ? `${hits.length} ${hits.length > 1 ? "pages" : "page"}` : "Nothing found";
    dialog.dataset.shown = query; // what the list answers
  }

  function entry({ url, title, heading, summary }) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = root + (location.protocol === "file:" ? url.replace(/\/(?=#|$)/, "/index.html") : url);
    const name = document.createElement("b");
    name.textContent = title;
    link.append(name);
    for (const [kind, text] of [["place", heading], ["summary", summary]]) {
      if (!text) continue;
      const part = document.createElement("span");
      part.className = kind;
      part.textContent = text;
      link.append(part);
    }
    item.append(link);
    return item;
  }

  input.addEventListener("input", show);
  dialog.addEventListener("submit", event => {
    event.preventDefault();
    list.querySelector("a")?.click();
  });
  dialog.addEventListener("click", event => {
    if (event.target === dialog || event.target.closest("a")) dialog.close(); // beside it, or a hit
  });
  dialog.addEventListener("keydown", event => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const stops = [input, ...list.querySelectorAll("a")];
    stops[(stops.indexOf(document.activeElement) + step + stops.length) % stops.length].focus();
    event.preventDefault();
  });
  document.addEventListener("click", event => {
    if (event.target.closest("button.find")) open();
  });
  document.addEventListener("pointerover", event => {
    if (event.target.closest?.("button.find")) prepare();
  });
  document.addEventListener("keydown", event => {
    const writing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || writing) return;
    event.preventDefault();
    open();
  });
})();
