// Everything above the cases reads whole without this script.

async function start() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copies]");
    if (!button) return;
    const name = button.textContent;
    const done = await copied(button.dataset.copies);
    button.textContent = done ? "Copied" : "Select it and copy it";
    setTimeout(() => (button.textContent = name), 2000);
  });
  for (const button of document.querySelectorAll("button[data-copies]")) button.hidden = false;

  drawTablesLater();
  const problem = document.getElementById("cases-problem");
  if (typeof DecompressionStream === "undefined") {
    problem.hidden = false;
    return;
  }
  const cases = new Cases(await unpacked(document.querySelector(DATA)));
  const list = new List(document.getElementById("case-list"), cases);
  await list.start();
  document.documentElement.dataset.ready = "1";
  await cases.prepare();
  document.documentElement.dataset.searchable = "1";
}

/** Copy a text; the clipboard of a page from a file may be closed. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = make("textarea", { class: "heard" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

start();
