// One case with its answers and checks.

/** A text, and how much of it was left out. */
const drawText = ([text, omitted]) => [
  text,
  omitted ? make("span", { class: "omitted" }, `… ${thousands(omitted)} more characters`) : null,
];

const drawTurn = (role, text) =>
  make("div", { class: "turn" }, make("span", { class: "role" }, role), make("div", { class: "text", dir: "auto" }, drawText(text)));

const drawFold = (title, ...content) => make("details", { class: "more" }, make("summary", {}, title), content);

/** One side's answer; parts that only it has are marked. */
function drawAnswer(answer, title, tag, anchor) {
  const parts = (answer.text ?? []).map((text, place) => (place % 2 && text ? make(tag, {}, text) : text));
  const text = make("div", { class: "answer", dir: "auto" }, parts.length ? parts : make("i", { class: "quiet" }, "empty"));
  if (answer.omitted) text.append(make("span", { class: "omitted" }, `… ${thousands(answer.omitted)} more characters`));
  const whole = (answer.text ?? []).join("");
  const long = whole.length > 700 || whole.split("\n").length > 14;
  return make(
    "figure",
    { class: "side" },
    make(
      "figcaption",
      {},
      make("b", {}, title),
      " ",
      drawOutcome(answer.outcome),
      answer.cut ? make("span", { class: "cut" }, " cut at the token limit") : null,
      make("small", {}, ` ${answer.facts ?? ""}`),
    ),
    answer.reasoning ? drawFold("Reasoning", make("div", { class: "answer", dir: "auto" }, drawText(answer.reasoning))) : null,
    long ? make("input", { type: "checkbox", class: "unfold", id: anchor, "aria-label": `Show the whole answer: ${title}` }) : null,
    text,
    long ? make("label", { class: "unfold-label", for: anchor }) : null,
  );
}

function drawAnswers(one, anchor) {
  if (one.same && one.candidate) return make("div", { class: "sides one" }, drawAnswer(one.candidate, "Both sides", "ins", `${anchor}-a`));
  if (!one.candidate && !one.baseline) return make("p", { class: "quiet" }, "No answer.");
  const both = one.candidate && one.baseline;
  return make(
    "div",
    { class: both ? "sides" : "sides one" },
    one.baseline ? drawAnswer(one.baseline, "Baseline", "del", `${anchor}-b`) : null,
    one.candidate ? drawAnswer(one.candidate, "Candidate", "ins", `${anchor}-a`) : null,
  );
}

function drawMark(mark) {
  if (!mark) return "–";
  const [value, passed] = mark;
  const known = passed === true || passed === false;
  return make(
    "span",
    { class: `mark ${known ? (passed ? "yes" : "no") : ""}` },
    value,
    known ? make("span", { "aria-hidden": "true" }, passed ? " ✓" : " ✗") : null,
    known ? make("span", { class: "heard" }, passed ? "passed" : "failed") : null,
  );
}

/** What a check requires; a pattern or a schema is folded behind its description. */
const drawWants = (wants, about) =>
  about
    ? [make("small", {}, ` ${about}`), drawFold("pattern", make("code", {}, wants))]
    : [make("small", {}, wants ? ` ${wants}` : "")];

const headCell = (text) => make("th", { scope: "col" }, text);

function drawChecks(one, key) {
  const rows = one.checks.map(([name, wants, about, baseline, candidate, ...why]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, name, drawWants(wants, about)),
      one.compared ? make("td", { "data-label": "baseline" }, drawMark(baseline)) : null,
      make("td", { "data-label": "candidate" }, drawMark(candidate)),
      make("td", { class: "why" }, drawText(why)),
    ),
  );
  return make(
    "table",
    { class: "checks" },
    make("caption", { class: "heard" }, `Checks of ${key}`),
    make("thead", {}, make("tr", {}, headCell("Check"), one.compared ? headCell("Baseline") : null, headCell("Candidate"), headCell("Why"))),
    make("tbody", {}, rows),
  );
}

function drawDifferences(one, key) {
  const cell = (label, value) => make("td", { "data-label": label }, value === null ? make("i", { class: "quiet" }, "none") : make("code", {}, value));
  const expects = one.differences.some(([, expected]) => expected !== null);
  return make(
    "table",
    { class: "checks json" },
    make("caption", {}, "Values that differ", make("span", { class: "heard" }, ` in ${key}`)),
    make("thead", {}, make("tr", {}, headCell("Key"), expects ? headCell("Expected") : null, headCell("Baseline"), headCell("Candidate"))),
    make(
      "tbody",
      {},
      one.differences.map(([path, expected, baseline, candidate]) =>
        make("tr", {}, make("th", { scope: "row" }, make("code", {}, path)), expects ? cell("expected", expected) : null, cell("baseline", baseline), cell("candidate", candidate)),
      ),
    ),
  );
}

/** A button that copies a text, beside the text. */
function drawCopy(text, label) {
  const button = make("button", { type: "button", class: "copy", "data-copies": text }, label);
  return button;
}

/** All details of one case. */
function drawBody(one, row) {
  const anchor = `case-${row.place + 1}`;
  return make(
    "div",
    { class: "body" },
    one.brief ? make("p", { class: "brief" }, one.brief) : null,
    (one.turns ?? []).map(([role, ...text]) =>
      role === "system" ? drawFold("System message", make("div", { class: "answer", dir: "auto" }, drawText(text))) : drawTurn(role, text),
    ),
    (one.context ?? []).map((text) => drawTurn("context", text)),
    drawAnswers(one, anchor),
    one.note ? make("p", { class: "quiet" }, `Not marked word by word: ${one.note}.`) : null,
    (one.references ?? []).map((text) => drawTurn("reference", text)),
    one.differences ? drawDifferences(one, row.key) : null,
    one.checks ? drawChecks(one, row.key) : null,
    one.cluster ? make("p", { class: "quiet" }, `Cluster: ${one.cluster}.`) : null,
    (one.prompts ?? []).map(([sides, sha256, ...text]) =>
      drawFold(`Prompt as the ${sides || "model"} reads it ${sha256}`, make("div", { class: "answer", dir: "auto" }, drawText(text))),
    ),
    (one.traces ?? []).map(([metric, ...text]) => drawFold(`Traceback of ${metric}`, make("div", { class: "answer" }, drawText(text)))),
    make(
      "p",
      { class: "tools" },
      make("code", {}, one.rerun ?? ""),
      " ",
      drawCopy(one.rerun ?? "", "Copy command"),
      " ",
      make("a", { href: anchorOf(row.key) }, "Link to this case"),
    ),
  );
}

const anchorOf = (key) => `#case=${encodeURIComponent(key)}`;

/** A folded case; its details are drawn when it is first opened. */
function drawRow(cases, row, level) {
  const card = make(
    "details",
    { class: "card", "data-key": row.key },
    make(
      "summary",
      {},
      drawOutcome(row.outcome),
      make(`h${level}`, {}, row.key),
      make("span", { class: "change" }, row.change),
      make("span", { class: "brief" }, row.brief),
      make(
        "span",
        { class: "chips" },
        row.notes.map((note) => [make("span", { class: "chip note" }, note), " "]),
        row.tags.map((tag) => [make("span", { class: "chip" }, tag), " "]),
      ),
    ),
  );
  card.addEventListener("toggle", () => card.open && fill(cases, row, card));
  return card;
}

/** Draw a card's details, once. */
async function fill(cases, row, card) {
  if (card.dataset.filled) return;
  card.dataset.filled = "1";
  card.append(drawBody(await cases.details(row.place), row));
}
