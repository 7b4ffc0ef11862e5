// The cases: base64 of gzip of JSON in script elements that no browser runs, the index first. The details come
// after the script, so that the list is there before the browser has read all of them.

const DATA = "script[type='application/gzip']";

/** Resolved when the browser has read the whole file. */
const wholeFile = new Promise((done) => {
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", done, { once: true });
  else done();
});

/** One case of the index, with names in place of numbers. */
function namedCase(index, row, place) {
  const [set, id, outcome, change, tags, brief, notes, tokens, latency] = row;
  return {
    place,
    id,
    set: index.sets[set],
    key: `${index.sets[set]}/${id}`,
    outcome: index.outcomes[outcome],
    change: index.changes[change],
    tags: tags.map((tag) => index.tags[tag]),
    brief,
    notes,
    tokens,
    latency,
  };
}

/** The cases of the page, whose details arrive part by part. */
class Cases {
  constructor(index) {
    this.all = index.cases.map((row, place) => namedCase(index, row, place));
    this.names = { set: new Set(index.sets), tag: new Set(index.tags) };
    this.groups = index.groups;
    this.drops = index.drops;
    this.shown = index.shown;
    this.size = index.part;
    this.unpacked = [];
    this.words = new Map();
  }

  /** Whether a case of this report has a set or tag of this name. */
  hasName(kind, name) {
    return this.names[kind]?.has(name) ?? false;
  }

  /** The details of one case. */
  async details(place) {
    const number = Math.floor(place / this.size);
    this.unpacked[number] ??= wholeFile.then(() => unpacked(document.querySelectorAll(DATA)[number + 1]));
    return (await this.unpacked[number])[place % this.size];
  }

  /** The text of a case in which words are searched; only for a case whose details are there. */
  async searched(place) {
    if (!this.words.has(place)) {
      const one = this.all[place];
      const details = await this.details(place);
      this.words.set(place, `${one.key} ${one.brief} ${one.notes} ${one.tags} ${textOf(details)}`.toLowerCase());
    }
    return this.words.get(place);
  }

  /** Unpack and read all details for the search, one part at a time, so that the page stays quick. */
  async prepare() {
    for (let place = 0; place < this.all.length; place++) {
      await this.searched(place);
      if (place % this.size === this.size - 1) await new Promise((done) => setTimeout(done));
    }
  }
}

/** All texts of a nested value, with single spaces. */
function textOf(value) {
  if (typeof value === "string") return value.replace(/\s+/g, " ");
  if (Array.isArray(value)) return value.map(textOf).join(" ");
  return value && typeof value === "object" ? Object.values(value).map(textOf).join(" ") : "";
}
