// Search: gives MiniSearch the part of kb/search.py's index that a query needs, ranks pages, shows them as the reader types
const Search = (() => {
  const FIELDS = ["title", "asked", "answer", "headings", "text"];
  const ASKED = 1;
  const BOOST = { title: 2.5, asked: 7, answer: 1.2, headings: 1.5, text: 0.7 };
  const EVERYWHERE = new Map([["dropout", 0.2], ["kera", 0.2], ["layer", 0.5]]); // words that tell little on this site
  const TOP = new Set(["title", "asked", "answer"]);
  const BELOW = 0.3; // so much of a query must be missing there for a hit to lead further down
  const ASKING = 0.3; // the weight of `what` and its like
  const MOST = 8;
  let pages, owners, frame, index, stop, asking, same;

  // must cut a text as `words` in kb/search.py does
  function words(text) {
    const found = [];
    for (const word of text.match(/[A-Za-z0-9_]+/g) || []) {
      const whole = word.replace(/^_+|_+$/g, "").toLowerCase();
      if (!whole || stop.has(whole)) continue;
      const parts = word.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+/g) || [];
      found.push(stem(whole));
      if (parts.length > 1) found.push(...parts.filter(p => p.length > 1).map(p => stem(p.toLowerCase())));
    }
    return found;
  }

  function stem(word) {
    if (word.length > 4 && /ie[sd]$/.test(word)) word = word.slice(0, -3) + "y";
    else if (word.length > 3 && /[^su]s$/.test(word)) word = word.slice(0, -1);
    const ending = /(ing|ed)$/.exec(word);
    if (ending && word.length - ending[0].length > 2) {
      word = word.slice(0, -ending[0].length);
      if (/([^ls])\1$/.test(word)) word = word.slice(0, -1);
    }
    if (word.length > 4 && word.endsWith("e")) word = word.slice(0, -1);
    return same.get(word) || word;
  }

  const numbered = values => Object.fromEntries(values.map((value, i) => [i, value]));

  // A page is a document, and so is each wording of its question, behind all pages
  function load(made) {
    stop = new Set(made.stop);
    asking = new Set(made.asking);
    same = new Map(Object.entries(made.same));
    index = new Map(Object.entries(made.words));
    owners = made.pages.map((_, i) => i);
    const lengths = made.pages.map(page => page[4]);
    const means = FIELDS.map((_, f) => lengths.reduce((sum, of) => sum + of[f], 0) / lengths.length);
    pages = made.pages.map(([url, title, summary, weight, of, sections], i) => {
      const page = { url, title, summary, weight, sections, asked: owners.length };
      for (const length of of[ASKED]) {
        owners.push(i);
        lengths.push({ [ASKED]: length });
      }
      return page;
    });
    const asked = lengths.slice(pages.length);
    means[ASKED] = asked.reduce((sum, of) => sum + of[ASKED], 0) / asked.length || 0;
    frame = {
      documentCount: owners.length,
      nextId: owners.length,
      documentIds: numbered(owners.map((_, i) => i)),
      fieldIds: Object.fromEntries(FIELDS.map((field, i) => [field, i])),
      fieldLength: numbered(lengths),
      averageFieldLength: means,
      storedFields: {},
      dirtCount: 0,
      serializationVersion: 2,
    };
  }

  // Where a word stands: how often, by field and document; and the section of each page that has it most often
  function unpacked(packed) {
    const uses = {}, sections = new Map(), on = new Set();
    for (let i = 0, page = 0; i < packed.length; i += 2) {
      page += packed[i];
      on.add(page);
      const field = packed[i + 1] % FIELDS.length;
      const rest = (packed[i + 1] - field) / FIELDS.length;
      const place = Math.floor(rest / MOST);
      (uses[field] ||= {})[field === ASKED ? pages[page].asked + place : page] = 1 + (rest % MOST);
      if (field > ASKED && place && !sections.has(page)) sections.set(page, place);
    }
    return { uses, sections, pages: on };
  }

  // Whether one letter more, less, other or swapped with the next makes one word of the other
  function slip(a, b) {
    if (Math.abs(a.length - b.length) > 1) return false;
    let start = 0, end = 0;
    while (start < a.length && a[start] === b[start]) start++;
    while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
    const [x, y] = [a, b].map(word => word.slice(start, word.length - end));
    return (x.length < 2 && y.length < 2) || (x.length === 2 && x === y[1] + y[0]);
  }

  // A word as the index knows it: as it is, without a slip of the finger, or without its ending
  function known(word) {
    if (word.length < 4 || starts(word)) return word;
    const others = [...index.keys()].filter(other => slip(word, other));
    if (others.length) return others.reduce((a, b) => (index.get(a).length < index.get(b).length ? b : a));
    for (let end = word.length - 1; end > 4; end--) if (index.has(word.slice(0, end))) return word.slice(0, end);
    return word;
  }

  const starts = word => index.has(word) || [...index.keys()].some(other => other.startsWith(word));

  function find(query) {
    const typed = [...new Set(words(query).map(known))];
    const partial = typed.filter((word, i) => word.length > 2 || i === typed.length - 1);
    const near = new Map();
    for (const [word, packed] of index)
      if (typed.includes(word) || partial.some(start => word.startsWith(start))) near.set(word, unpacked(packed));
    const engine = MiniSearch.loadJS(
      { ...frame, index: [...near].map(([word, { uses }]) => [word, uses]) },
      { fields: FIELDS, tokenize: text => text.split(" "), processTerm: word => word },
    );
    const weight = word => EVERYWHERE.get(word) || (asking.has(word) ? ASKING : 1);
    const rarity = word => weight(word) * Math.log(1 + pages.length / (1 + (near.get(word)?.pages.size || 0)));
    const sum = all => [...all].reduce((total, word) => total + rarity(word), 0);
    const whole = sum(typed);
    const found = engine.search(typed.join(" "), {
      boost: BOOST,
      bm25: { k: 1.2, b: 1, d: 0.5 },
      boostTerm: weight,
      prefix: word => partial.includes(word),
    });

    // a page counts with its wordings, the best above all, and for the share of the query's words that it has
    const hits = new Map();
    for (const { id, score, queryTerms, match } of found) {
      const page = owners[id];
      const hit = hits.get(page) || { page, own: 0, asked: 0, terms: new Set(), top: new Set(), below: new Set() };
      hits.set(page, hit);
      const kind = id === page ? "own" : "asked";
      hit[kind] = Math.hypot(hit[kind], score / queryTerms.length); // MiniSearch multiplies by their number
      for (const term of queryTerms) hit.terms.add(term);
      for (const [word, fields] of Object.entries(match))
        if (typed.includes(word)) hit[fields.some(f => TOP.has(f)) ? "top" : "below"].add(word);
    }
    for (const hit of hits.values())
      hit.score = (hit.own + hit.asked) * Math.sqrt(sum(hit.terms) / whole) * pages[hit.page].weight;
    return [...hits.values()].sort((a, b) => b.score - a.score).map(hit => {
      const { url, title, summary, sections } = pages[hit.page];
      const section = lower(hit, near, word => rarity(word) / whole);
      if (!section) return { url, title, summary };
      return { url: `${url}#${sections[2 * section - 2]}`, title, summary, heading: sections[2 * section - 1] };
    });
  }

  // The section that has most of what neither the question, nor its answer, nor a wording has, if that is much
  function lower({ page, top, below }, near, share) {
    const votes = new Map();
    let left = 0;
    for (const word of below) {
      if (top.has(word)) continue;
      left += share(word);
      const section = near.get(word).sections.get(page);
      if (section) votes.set(section, (votes.get(section) || 0) + share(word));
    }
    if (left < BELOW) return 0;
    return [...votes].sort((a, b) => b[1] - a[1])[0]?.[0] || 0;
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
  const more = dialog.querySelector("button.more");
  const SHOWN = 10; // at first, and with each press of `more`
  let ready, shown;

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
    list.replaceChildren(...hits.slice(0, shown).map(entry));
    more.hidden = hits.length <= shown;
    const count = more.hidden ? hits.length : `${shown} of ${hits.length}`;
    status.textContent = !query ? "" : hits.length ? `${count} ${hits.length > 1 ? "pages" : "page"}` : "Nothing found";
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

  input.addEventListener("input", () => {
    shown = SHOWN;
    show();
  });
  more.addEventListener("click", async () => {
    shown += SHOWN;
    await show();
    list.children[shown - SHOWN].querySelector("a").focus();
  });
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
    const stops = [input, ...dialog.querySelectorAll("li a, button.more:not([hidden])")];
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
    const writing = event.target.closest?.("input:not([type=radio]), textarea, select, [contenteditable]");
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || writing) return;
    event.preventDefault();
    open();
  });
})();
