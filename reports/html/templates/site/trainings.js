// Training runs side by side: loss, reward and KL by step.

const MOST_CHOSEN = 4;

function curveOptions(chosen) {
  return {
    scales: { x: { time: false } },
    axes: [{ ...axis(undefined, 34), space: 70 }, axis((_, values) => values.map((value) => withMinus(String(Number(value.toPrecision(4))))), 62)],
    series: [{}, ...chosen.map((line) => ({ stroke: colour(LINES[line]), width: 1.7, dash: DASHES[line], spanGaps: true, points: { show: false } }))],
  };
}

/** One chart: the curves of the chosen trainings, at their own steps. */
function drawCurves(title, trainings) {
  const found = trainings.map((training, line) => ({ training, line, curve: training.curves[title] })).filter(({ curve }) => curve);
  if (!found.length) return null;
  const values = uPlot.join(found.map(({ curve }) => curve));
  const told = found.map(({ training, curve }) => `${training.label}: ${plainMean(curve[1][0])} at step ${curve[0][0]}, ${plainMean(curve[1].at(-1))} at step ${curve[0].at(-1)}`).join("; ");
  return make(
    "section",
    { class: "plot", "aria-label": title },
    make("h2", {}, title, " ", make("small", {}, "by step")),
    drawChart(`${title}. ${told}`, () => curveOptions(found.map(({ line }) => line)), values, 210),
    make("ul", { class: "keys" }, found.map(({ training, line }) => drawKey(training.label, { stroke: `var(--${LINES[line]})`, dash: DASHES[line].join(" ") }))),
    drawLater(`${title}: table`, () => drawTable(title, ["step", ...found.map(({ training }) => training.label)], values[0].map((step, at) => [String(step), ...values.slice(1).map((line) => (line[at] === null || line[at] === undefined ? "–" : plainMean(line[at])))]))),
  );
}

drawPage((place, data) => {
  const trainings = [...data.trainings].reverse();
  if (!trainings.length) {
    place.append(make("p", {}, "No judged run has a training manifest. tunegate site --training DIR shows trainings that no run has judged yet."));
    return;
  }
  const plots = make("div", { class: "plots" });
  const form = make("form", { class: "filter" });
  const rows = make("div");
  const titles = [...new Set(trainings.flatMap((training) => Object.keys(training.curves)))];
  const chosenNames = () => (readChoices().trainings ?? "").split(",").filter(Boolean);

  function show() {
    const choices = readChoices();
    const names = chosenNames();
    let chosen = trainings.filter((training) => names.includes(training.name)).slice(0, MOST_CHOSEN);
    if (!chosen.length) chosen = trainings.slice(0, 2);
    const words = (choices.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const found = trainings.filter((training) => words.every((word) => `${training.label} ${training.name} ${training.facts.flat().join(" ")}`.toLowerCase().includes(word)));
    plots.replaceChildren(...titles.map((title) => drawCurves(title, chosen)).filter(Boolean));
    const fact = (training, name) => training.facts.find(([key]) => key === name)?.[1] ?? "–";
    const end = (training, title) => (training.curves[title] ? plainMean(training.curves[title][1].at(-1)) : "–");
    rows.replaceChildren(
      drawTable(
        `Trainings, newest first; up to ${MOST_CHOSEN} are drawn`,
        ["training", "method", "base", "steps", "time", "last loss", "reward, first → last fifth", "verdicts on its result"],
        found.map((training) => {
          const box = make("input", { type: "checkbox", checked: chosen.includes(training), value: training.name });
          box.checked = chosen.includes(training);
          return [
            make("label", { class: "pick" }, box, make("span", {}, training.label, make("small", {}, ` ${training.name}`))),
            fact(training, "method"),
            fact(training, "base"),
            fact(training, "steps"),
            fact(training, "time"),
            end(training, titles.find((title) => title.startsWith("Training loss")) ?? ""),
            [fact(training, "reward"), training.canaries.map((line) => make("small", {}, ` ${line}`))],
            training.runs.length ? training.runs.slice(-4).map(([id, at, verdict]) => make("div", {}, verdictText(verdict), make("small", {}, ` ${momentText(at).slice(0, 10)} ${id}`))) : "not judged yet",
          ];
        }),
      ),
    );
    showCharts();
  }

  rows.addEventListener("change", (event) => {
    const boxes = [...rows.querySelectorAll("input:checked")];
    if (boxes.length > MOST_CHOSEN) event.target.checked = false;
    writeChoices({ ...readChoices(), trainings: boxes.filter((box) => box.checked).slice(0, MOST_CHOSEN).map((box) => box.value).join(",") });
    const value = event.target.value;
    show();
    rows.querySelector(`input[value="${CSS.escape(value)}"]`)?.focus();
  });
  const search = make("input", { type: "search", name: "q", placeholder: "model, method, base" });
  search.value = readChoices().q ?? "";
  form.append(make("label", { class: "words" }, "Words ", search));
  form.addEventListener("input", () => {
    writeChoices({ ...readChoices(), q: search.value });
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", show);
  place.append(plots, form, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Trainings" }, rows));
  show();
});
