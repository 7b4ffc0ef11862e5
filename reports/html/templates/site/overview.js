// The list of runs: filtered, and in pages; without this script it is whole.

const PER_PAGE = 50;

function startRuns() {
  const form = document.getElementById("filter");
  if (!form) return;
  const rows = [...document.querySelectorAll("table.runs tbody tr")];
  const unique = (values) => [...new Set(values)].filter(Boolean).sort();
  const fill = (name, values) => form.elements[name].append(...values.map((value) => make("option", { value }, value)));
  fill("set", unique(rows.flatMap((row) => row.dataset.sets.split("\n"))));
  fill("model", unique(rows.map((row) => row.dataset.model)));
  form.hidden = false;
  const names = ["q", "verdict", "set", "model"];

  function show(page) {
    const state = Object.fromEntries(names.map((name) => [name, form.elements[name].value]));
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows.filter(
      (row) =>
        (!state.verdict || row.dataset.verdict === state.verdict) &&
        (!state.model || row.dataset.model === state.model) &&
        (!state.set || row.dataset.sets.split("\n").includes(state.set)) &&
        words.every((word) => row.dataset.words.includes(word)),
    );
    const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    const at = Math.min(Math.max(page, 1), pages);
    const visible = new Set(found.slice((at - 1) * PER_PAGE, at * PER_PAGE));
    for (const row of rows) row.hidden = !visible.has(row);
    document.getElementById("shown").textContent = found.length === rows.length ? thousands(rows.length) : `${thousands(found.length)} of ${thousands(rows.length)}`;
    const pager = document.getElementById("pager");
    pager.hidden = pages < 2;
    const turn = (text, to) => {
      const button = make("button", { type: "button", disabled: to < 1 || to > pages }, text);
      button.addEventListener("click", () => show(to));
      return button;
    };
    pager.replaceChildren(turn("Newer", at - 1), ` page ${at} of ${pages} `, turn("Older", at + 1));
    writeChoices({ ...state, page: at > 1 ? String(at) : "" });
  }

  function restore() {
    const choices = readChoices();
    for (const name of names) form.elements[name].value = choices[name] ?? "";
    for (const name of names) if (form.elements[name].selectedIndex < 0) form.elements[name].value = "";
    show(Number.parseInt(choices.page, 10) || 1);
  }

  form.addEventListener("input", () => show(1));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", restore);
  // An anchor of a section or a run stays what it is.
  if (location.hash.includes("=") || !location.hash) restore();
  document.documentElement.dataset.ready = "1";
}

startRuns();
