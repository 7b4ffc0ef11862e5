// One case through time: its outcome in each run, and its answers where the outcome changed.

const OUTCOMES = { p: "passed", f: "failed", e: "errored", u: "unscored", g: "graded", s: "skipped" };
const PER_PAGE = 30;

/** Stretches of equal outcome: sign, first run, number of runs. */
function stretches(signs) {
  const found = [];
  for (let at = 0; at < signs.length; at++)
    if (found.length && found.at(-1)[0] === signs[at]) found.at(-1)[2]++;
    else found.push([signs[at], at, 1]);
  return found;
}

function drawStrip(signs) {
  const space = "http://www.w3.org/2000/svg";
  const strip = document.createElementNS(space, "svg");
  const counts = Object.entries(OUTCOMES).map(([sign, word]) => [word, [...signs].filter((each) => each === sign).length]).filter(([, count]) => count);
  const about = { class: "strip", viewBox: `0 0 ${signs.length} 10`, preserveAspectRatio: "none", role: "img", "aria-label": `over ${signs.length} runs: ${counts.map(([word, count]) => `${word} ${count}`).join(", ")}` };
  for (const [name, value] of Object.entries(about)) strip.setAttribute(name, value);
  for (const [sign, from, length] of stretches(signs)) {
    const part = document.createElementNS(space, "rect");
    // Failed runs are lower too: colour is not the only sign.
    const top = sign === "p" ? 0 : sign === "." ? 4 : 3;
    const box = { class: sign === "." ? "none" : sign, x: from, width: length, y: top, height: sign === "." ? 2 : 10 - top };
    for (const [name, value] of Object.entries(box)) part.setAttribute(name, value);
    strip.append(part);
  }
  return strip;
}

/** The newest change of outcome in words. */
function lastChange(signs, runs) {
  const known = [...signs].map((sign, at) => [sign, at]).filter(([sign]) => sign !== ".");
  const changes = known.filter(([sign], place) => place && known[place - 1][0] !== sign);
  const now = OUTCOMES[known.at(-1)[0]];
  if (!changes.length) return `${now} in all ${known.length} runs`;
  const [, at] = changes.at(-1);
  return `${now} since ${momentText(runs[at].at).slice(0, 10)}, ${changes.length} ${changes.length === 1 ? "change" : "changes"} in ${known.length} runs`;
}

function drawMoments(one, data) {
  const [, signs, versions, prompt, shown] = one;
  return make(
    "div",
    { class: "body" },
    make("p", { class: "role" }, "Prompt"),
    make("div", { class: "text", dir: "auto" }, data.texts[prompt]),
    [...shown].reverse().map(([at, text, why, others], place, all) => {
      const older = all[place + 1];
      const edited = older && versions[older[0]] !== versions[at];
      return make(
        "div",
        { class: "moment" },
        make("div", {}, drawOutcome(OUTCOMES[signs[at]]), make("small", {}, ` ${momentText(data.runs[at].at)}`), make("div", {}, runLink(data.runs[at])), make("small", {}, data.runs[at].model), edited ? make("div", {}, make("span", { class: "chip note" }, "prompt or checks changed")) : null, others ? make("div", {}, make("span", { class: "chip note" }, `${others.join(", ")}: scored otherwise before`)) : null),
        make("div", {}, text === null ? make("i", { class: "quiet" }, "no answer stored") : make("div", { class: "answer", dir: "auto", tabindex: "0", role: "group", "aria-label": `Answer of ${data.runs[at].id}` }, data.texts[text] || make("i", { class: "quiet" }, "empty")), why ? make("small", {}, why) : null),
      );
    }),
    make("p", {}, make("a", { href: `#case=${encodeURIComponent(one[0])}` }, "Link to this case")),
  );
}

function drawCase(one, data, open) {
  const [key, signs] = one;
  const card = make("details", { class: "card over-time", "data-key": key }, make("summary", {}, make("h2", {}, key), drawStrip(signs), make("span", { class: "brief" }, lastChange(signs, data.runs))));
  const fill = () => {
    if (card.dataset.filled) return;
    card.dataset.filled = "1";
    card.append(drawMoments(one, data));
  };
  card.addEventListener("toggle", () => card.open && fill());
  if (open) {
    card.open = true;
    fill();
  }
  return card;
}

drawPage((place, data) => {
  if (!data.cases.length) {
    place.append(make("p", {}, "No judged run is stored yet."));
    return;
  }
  const form = make("form", { class: "filter" });
  const list = make("div");
  const sets = [...new Set(data.cases.map(([key]) => key.split("/")[0]))].sort();
  const known = (signs) => signs.replaceAll(".", "");
  const flips = new Map(data.cases.map((one) => [one, stretches(known(one[1])).length - 1]));
  const recent = new Map(data.cases.map((one) => [one, stretches(one[1]).filter(([sign]) => sign !== ".").at(-1)?.[1] ?? 0]));
  const KINDS = {
    failing: (one) => known(one[1]).at(-1) !== "p",
    lost: (one) => known(one[1]).at(-1) !== "p" && known(one[1]).includes("p"),
    changing: (one) => flips.get(one) > 0,
    never: (one) => !one[1].includes("p"),
  };

  function show(withForm = true) {
    const choices = readChoices();
    if (withForm) {
      const words = make("input", { type: "search", name: "q", placeholder: "case, prompt or answer" });
      words.value = choices.q ?? "";
      form.replaceChildren(
        make("label", { class: "words" }, "Words ", words),
        drawSelect("Show", "show", [["lost", "fails now, passed once"], ["failing", "fails now"], ["changing", "its outcome changed"], ["never", "never passed"]], choices.show),
        drawSelect("Set", "set", sets, choices.set),
        drawSelect("Sort", "sort", [["recent", "newest change first"], ["flips", "most changes first"]], choices.sort, "the newest run's order"),
      );
    }
    const words = (choices.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const textOf = ([key, , , prompt, shown]) => `${key} ${data.texts[prompt]} ${shown.map(([, text, why]) => `${text === null ? "" : data.texts[text]} ${why}`).join(" ")}`.toLowerCase();
    let found = data.cases.filter((one) => (!choices.set || one[0].startsWith(`${choices.set}/`)) && (!choices.show || KINDS[choices.show]?.(one)) && (!choices.case || one[0] === choices.case) && (!words.length || words.every((word) => textOf(one).includes(word))));
    if (choices.sort === "recent") found = [...found].sort((a, b) => recent.get(b) - recent.get(a));
    if (choices.sort === "flips") found = [...found].sort((a, b) => flips.get(b) - flips.get(a));
    const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    const at = Math.min(Math.max(Number.parseInt(choices.page, 10) || 1, 1), pages);
    const turn = (text, to) => {
      const button = make("button", { type: "button", disabled: to < 1 || to > pages }, text);
      button.addEventListener("click", () => {
        writeChoices({ ...readChoices(), page: String(to) });
        show();
      });
      return button;
    };
    const all = make("a", { href: "#" }, "all cases");
    list.replaceChildren(
      make("p", { role: "status" }, `${thousands(found.length)} of ${thousands(data.cases.length)} cases`, choices.case ? [" – ", all] : ""),
      ...found.slice((at - 1) * PER_PAGE, at * PER_PAGE).map((one) => drawCase(one, data, Boolean(choices.case))),
      ...(pages > 1 ? [make("p", { class: "pager" }, turn("Back", at - 1), ` page ${at} of ${pages} `, turn("Next", at + 1))] : []),
    );
  }

  form.addEventListener("input", (event) => {
    const { q, set, sort } = form.elements;
    writeChoices({ q: q.value, show: form.elements.show.value, set: set.value, sort: sort.value });
    show(event.target.name !== "q");
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => show());
  place.append(make("p", { class: "quiet" }, "A strip has one place for each run, oldest first: full height where the case passed, lower where it failed. Answers are those of the first run, of each run in which the outcome changed, and of the newest. Where another judge, encoder or version scored what decided a case, or pairs were with another model's answers, its outcome may have changed by that alone; a mark says so."), form, list);
  show();
});
