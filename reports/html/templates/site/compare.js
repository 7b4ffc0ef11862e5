// Any two runs: each one's figures, and the cases whose outcome differs.

const OUTCOMES = { p: "passed", f: "failed", e: "errored", u: "unscored", g: "graded", s: "skipped", ".": "not in this run" };
const MOST_FLIPS = 200;

const runLabel = (run) => `${momentText(run.at)}  ${run.verdict ?? "no verdict"}  ${run.model}  ${run.id}`;

const drawFigure = (figure) => {
  if (!figure) return "–";
  const [, metric, n, mean, , , , verdict] = figure;
  const rate = metric === "pass-rate";
  return [`${meanText(mean[0], rate)} `, make("small", {}, `${spanText(mean, rate)} n=${n} `), verdictText(verdict)];
};

function drawFlips(title, cases, before, now) {
  if (!cases.length) return make("p", {}, `${title}: none.`);
  const list = (shown) =>
    make("ul", { class: "flips" }, shown.map(([key, signs]) => make("li", {}, make("a", { href: `cases.html#case=${encodeURIComponent(key)}` }, key), make("small", {}, ` ${OUTCOMES[signs[before]]} → ${OUTCOMES[signs[now]]}`))));
  return make("section", { "aria-label": title }, make("h2", {}, `${title} `, make("small", {}, thousands(cases.length))), list(cases.slice(0, MOST_FLIPS)), cases.length > MOST_FLIPS ? make("p", { class: "quiet" }, `${thousands(cases.length - MOST_FLIPS)} more: the words of the filter choose among them.`) : null);
}

/** Metrics that can't be compared between two runs, each with the reason, to be read after its name. */
function scoredOtherwise({ otherwise, scorers, opponents }, before, now) {
  const found = new Map(Object.entries(otherwise[`${scorers[before]},${scorers[now]}`] ?? {}));
  const isOneQuestion = before === now || (opponents[now] !== null && opponents[before] === opponents[now]);
  return isOneQuestion ? found : found.set("pairwise", "which compared the answers with those of another run");
}

/** Why a graded metric is not compared, to be read after its name; pairs decide the groups that ask them, too. */
function gradedOtherwise({ groups }, otherwise, [set, metric]) {
  const isOfPairs = groups.some(([ofSet, name]) => ofSet === set && name === metric);
  return otherwise.get(metric) ?? (isOfPairs ? otherwise.get("pairwise") : undefined);
}

/** The metrics that decided a version of a case. */
const decidingOf = ({ checks, decided }, at, version) => checks[decided[at][version.charCodeAt(0) - 97]] ?? [];

const areJudged = (signs, before, now) => "pf".includes(signs[before]) && "pf".includes(signs[now]);

/** What is not compared since it was scored otherwise: how many cases by what decided them, and graded metrics. */
function leftOut(data, same, before, now) {
  const otherwise = scoredOtherwise(data, before, now);
  const counts = new Map();
  for (const { decidedBy, 1: signs } of same) if (decidedBy && areJudged(signs, before, now)) counts.set(decidedBy, (counts.get(decidedBy) ?? 0) + 1);
  const cases = [...counts].map(([metric, count]) => `${thousands(count)} ${count === 1 ? "case" : "cases"} decided by ${metric}, ${otherwise.get(metric)}`);
  const graded = data.graded.filter((metric) => gradedOtherwise(data, otherwise, metric) && pairsOf(data, same.filter(([key]) => key.startsWith(`${metric[0]}/`)), metric, before, now).length);
  return [...cases, ...graded.map((metric) => `${metric[0]} ${metric[1]}, ${gradedOtherwise(data, otherwise, metric)}`)];
}

/** The pairs of one metric: each case's drop from one run to the other, positive is worse. */
function pairsOf(data, paired, metric, before, now) {
  const indices = new Map(data.cases.map((each, place) => [each[0], place]));
  const [, , sign, rows] = metric ?? [];
  const values = metric && new Map(rows);
  return paired
    .map(([key, signs, , cluster]) => {
      const [was, is] = metric ? [values.get(indices.get(key))?.[before], values.get(indices.get(key))?.[now]] : [+(signs[before] === "p"), +(signs[now] === "p")];
      return { was, is, drop: (sign ?? 1) * (was - is), cluster };
    })
    .filter(({ was, is }) => was !== null && was !== undefined && is !== null && is !== undefined);
}

/** The drop of each set and gated metric between the two runs. */
function drawDrops(data, same, before, now) {
  const rows = [];
  const otherwise = scoredOtherwise(data, before, now);
  const add = (name, pairs, rate, find) => {
    if (!pairs.length) return;
    const [drop, low, high] = find(pairs);
    const means = ["was", "is"].map((side) => meanText(sum(pairs.map((each) => each[side])) / pairs.length, rate));
    rows.push([name, ...means, signedText(drop, rate), low === null ? "all cases moved alike" : spanText([drop, low, high], rate), String(pairs.length)]);
  };
  for (const set of new Set(same.map(([key]) => key.split("/")[0]))) {
    const cases = same.filter(([key]) => key.startsWith(`${set}/`));
    const judged = cases.filter((one) => !one.decidedBy && areJudged(one[1], before, now));
    const graded = data.graded.filter((metric) => metric[0] === set && !gradedOtherwise(data, otherwise, metric));
    add(set, pairsOf(data, judged, null, before, now), true, rateDrop);
    for (const metric of graded) add(`${set} ${metric[1]}`, pairsOf(data, cases, metric, before, now), false, (pairs) => gradedDrop(pairs, data.quantiles));
  }
  return rows.length ? drawTable(`The drop between these two, with its ${100 * CONFIDENCE} % interval: positive is worse; pass rates in points`, ["metric", "baseline", "candidate", "drop", "its interval", "n"], rows) : null;
}

/** What the candidate's own gate found. */
function drawStored(data, now) {
  const { runs, figures } = data;
  if (!figures[now].length) return null;
  const rows = figures[now].map(([set, metric, n, , , drop, margin, verdict]) => {
    const rate = metric === "pass-rate";
    return [metric === "pass-rate" ? set : `${set} ${metric}`, signedText(drop[0], rate), spanText(drop, rate), String(n), meanText(margin, rate), verdictText(verdict)];
  });
  return drawTable(`What the candidate's own gate found, compared with ${runs[now].baseline}: the drop, positive is worse; pass rates in points`, ["metric", "drop", "its interval", "n", "allowed", "verdict"], rows);
}

drawPage((place, data) => {
  const { runs, figures, cases } = data;
  const body = make("div");
  const form = make("form", { class: "filter wide" });
  if (!runs.length) {
    place.append(make("p", {}, "No judged run is stored yet."));
    return;
  }
  const options = [...runs].reverse().map((run) => [run.id, runLabel(run)]);
  const placeOf = (id) => runs.findIndex((run) => run.id === id);

  function chosen() {
    const choices = readChoices();
    let now = placeOf(choices.candidate);
    if (now < 0) now = runs.length - 1;
    let before = placeOf(choices.baseline);
    if (before < 0) before = placeOf(runs[now].baseline);
    if (before < 0) before = Math.max(0, now - 1);
    return { now, before, q: choices.q ?? "", set: choices.set ?? "" };
  }

  function show(withForm = true) {
    const { now, before, q, set } = chosen();
    const sets = [...new Set(cases.map(([key]) => key.split("/")[0]))].sort();
    if (withForm) {
      const words = make("input", { type: "search", name: "q", placeholder: "case" });
      words.value = q;
      form.replaceChildren(
        drawSelect("Baseline", "baseline", options, runs[before].id, null),
        drawSelect("Candidate", "candidate", options, runs[now].id, null),
        drawSelect("Set", "set", sets, set),
        make("label", { class: "words" }, "Words ", words),
      );
    }
    const wanted = q.toLowerCase().split(/\s+/).filter(Boolean);
    const same = cases.filter(([key, , versions]) => versions[before] === versions[now] && versions[now] !== "." && (!set || key.startsWith(`${set}/`)));
    const otherwise = scoredOtherwise(data, before, now);
    cases.forEach((one, at) => (one.decidedBy = decidingOf(data, at, one[2][now]).find((metric) => otherwise.has(metric))));
    const paired = same.filter((one) => !one.decidedBy && areJudged(one[1], before, now));
    const others = leftOut(data, same, before, now);
    const shown = (from, to) => paired.filter(([key, signs]) => signs[before] === from && signs[now] === to && wanted.every((word) => key.toLowerCase().includes(word)));
    const changed = cases.filter(([, , versions]) => versions[before] !== "." && versions[now] !== "." && versions[before] !== versions[now]).length;
    const names = [...new Set([...figures[before], ...figures[now]].map(([name, metric]) => `${name}\n${metric}`))];
    const find = (at, name) => figures[at].find((figure) => `${figure[0]}\n${figure[1]}` === name);
    const lost = shown("p", "f");
    const gained = shown("f", "p");
    const command = `tunegate compare ${runs[before].id} ${runs[now].id}`;
    body.replaceChildren(
      make("p", { class: "lead" }, make("b", {}, `${thousands(lost.length)} lost, ${thousands(gained.length)} gained`), ` of ${thousands(paired.length)} cases that are the same in both runs and passed or failed.`, changed ? ` ${thousands(changed)} cases were changed in between and are not compared.` : ""),
      ...(others.length ? [make("p", { class: "note-line" }, `Not compared: ${others.join("; ")}.`)] : []),
      make("p", {}, isLive ? make("a", { href: `compare?${new URLSearchParams({ baseline: runs[before].id, candidate: runs[now].id })}` }, "The gate's verdict on these two runs, with their answers") : ["The gate's verdict on these two: ", make("code", {}, command)]),
      ...[drawDrops(data, same, before, now)].filter(Boolean),
      drawTable(`Each run's own figures, as its gate stored them: mean, ${data.confidence} interval, n, verdict against its own baseline`, ["metric", `baseline ${runs[before].id}`, `candidate ${runs[now].id}`], names.map((name) => [name.replace("\npass-rate", "").replace("\n", " "), drawFigure(find(before, name)), drawFigure(find(now, name))])),
      ...[drawStored(data, now)].filter(Boolean),
      drawFlips("Lost", lost, before, now),
      drawFlips("Gained", gained, before, now),
    );
  }

  form.addEventListener("input", (event) => {
    const { baseline, candidate, set, q } = form.elements;
    writeChoices({ baseline: baseline.value, candidate: candidate.value, set: set.value, q: q.value });
    show(event.target.name !== "q");
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => show());
  place.append(form, body);
  show();
});
