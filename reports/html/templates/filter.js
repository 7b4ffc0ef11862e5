"use strict";
// The page reads whole without this script. It adds the filter, the "unfold all" buttons, and print.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  const bar = document.getElementById("case-filter");
  const search = bar.querySelector("input");
  const selects = all("select", bar);
  const status = bar.querySelector("[data-shown]");
  const rows = all(".rows > li");
  const texts = new Map();

  const textOf = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.replace(/\s+/g, " ").toLowerCase());
    return texts.get(row);
  };
  const fits = (row, words, chosen) =>
    chosen.every(([name, value]) => row.dataset[name].trim().split(" ").includes(value)) &&
    words.every((word) => textOf(row).includes(word));

  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = selects.filter((select) => select.value).map((select) => [select.dataset.filter, select.value]);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !fits(row, words, chosen);
      shown += row.hidden ? 0 : 1;
    }
    status.textContent = shown === rows.length ? `all ${rows.length} cases` : `${shown} of ${rows.length} cases`;
  };

  let pending;
  search.addEventListener("input", () => {
    clearTimeout(pending);
    pending = setTimeout(apply, 120);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && search.value) {
      search.value = "";
      apply();
    }
  });
  for (const select of selects) select.addEventListener("change", apply);
  bar.hidden = false;
  apply();

  for (const button of all("button[data-folds]")) {
    const cards = all("details.card", document.getElementById(button.dataset.folds));
    const label = () => {
      button.textContent = cards.every((card) => card.open) ? "Fold all" : "Unfold all";
    };
    button.addEventListener("click", () => {
      const open = !cards.every((card) => card.open);
      for (const card of cards) card.open = open;
      label();
    });
    for (const card of cards) card.addEventListener("toggle", label);
    button.hidden = false;
    label();
  }

  addEventListener("beforeprint", () => {
    for (const card of all("#lost .card, #failed .card")) card.open = true;
  });
})();
