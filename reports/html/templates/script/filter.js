// What is shown is in the address: a link shows the same cases to the next reader.

const EMPTY = { show: "", q: "", set: "", tag: "", sort: "", page: 1, case: "" };

/** Whether the address chooses cases, and is not the anchor of a section. */
const choosesCases = () => Object.keys(EMPTY).some((name) => new URLSearchParams(location.hash.slice(1)).has(name));

/** The state in the address; anything else in it is left out, and so is what this report doesn't have. */
function readAddress(first, fields, cases) {
  const found = new URLSearchParams(location.hash.slice(1));
  const state = { ...EMPTY, show: first };
  if (!choosesCases()) return state;
  for (const name of Object.keys(EMPTY)) state[name] = found.get(name) ?? EMPTY[name];
  for (const { options, dataset } of fields) {
    const [name, value] = [dataset.filter, state[dataset.filter]];
    if (options && ![...options].some((one) => one.value === value) && !cases.hasName(name, value)) state[name] = EMPTY[name];
  }
  state.page = Math.max(1, Number.parseInt(state.page, 10) || 1);
  return state;
}

function writeAddress(state) {
  const words = new URLSearchParams();
  words.set("show", state.show);
  for (const name of ["q", "set", "tag", "sort"]) if (state[name]) words.set(name, state[name]);
  if (state.page > 1) words.set("page", state.page);
  if (state.case) words.set("case", state.case);
  history.replaceState(null, "", `#${words}`);
}

/** Show a value in its field, even one that is too rare to be among the choices. */
function showChoice(field, value) {
  field.value = value;
  if (field.options && field.value !== value) {
    field.append(make("option", { value }, value));
    field.value = value;
  }
}

/** The number of the largest-drops group that is chosen, or -1. */
const dropsOf = (state) => (state.show.startsWith("drops-") ? Number(state.show.slice(6)) - 1 : -1);

/** The chosen cases, in order, or null while the search still reads. */
async function chosen(cases, state) {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const drops = cases.drops[dropsOf(state)];
  let found = drops ? drops[1].map((number) => cases.all[number - 1]) : cases.all;
  if (!drops && state.show) found = found.filter((one) => one.change === state.show || one.outcome === state.show);
  if (state.set) found = found.filter((one) => one.set === state.set);
  if (state.tag) found = found.filter((one) => one.tags.includes(state.tag));
  if (words.length) {
    const fits = [];
    for (const one of found) {
      const text = cases.words.get(one.place) ?? (await cases.searched(one.place));
      if (words.every((word) => text.includes(word))) fits.push(one);
    }
    found = fits;
  }
  return sorted(found, state.sort);
}

const ORDERS = {
  name: (a, b) => (a.key < b.key ? -1 : 1),
  longest: (a, b) => (b.tokens ?? -1) - (a.tokens ?? -1),
  slowest: (a, b) => (b.latency ?? -1) - (a.latency ?? -1),
};

const sorted = (found, order) => (ORDERS[order] ? [...found].sort(ORDERS[order]) : found);

/** The chosen cases in groups: lost ones by what they share, all others in one group without a title. */
function grouped(cases, found, state) {
  if (state.show !== "lost" || state.sort) return [["", found]];
  const groupOf = new Map(cases.groups.flatMap(([, numbers], group) => numbers.map((number) => [number - 1, group])));
  const groups = cases.groups.map(([title]) => [title, []]);
  for (const one of found) groups[groupOf.get(one.place)]?.[1].push(one);
  return groups.filter(([, members]) => members.length);
}
