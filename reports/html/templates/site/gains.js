// What each run gained on a task set over its own baseline, against what it kept of the base's skills.

function drawGains(set, data, found) {
  const { runs } = data;
  const points = [...found].sort((a, b) => a.gain[1] - b.gain[1]);
  const whose = points.every(({ since }) => since === "the base") ? "the base" : "the model that the table names";
  const newest = Math.max(...points.map((point) => point.run));
  const values = [points.map((point) => point.gain[1]), points.map((point) => (point.run === newest ? null : point.kept[2])), points.map((point) => (point.run === newest ? point.kept[2] : null))];
  const label = `${set}: gain against retained skills of ${points.length} runs; the table has all figures`;
  const dots = (name, size) => ({ paths: () => null, points: { show: true, size, fill: colour(name), stroke: colour("paper"), width: 1 } });
  const wide = (low, high) => [low - 0.05 * (high - low || 0.2), high + 0.05 * (high - low || 0.2)];
  const options = () => ({
    scales: { x: { time: false, range: (_, low, high) => wide(Math.min(low, 0), Math.max(high, 0)) }, y: { range: (_, low, high) => wide(low, Math.max(high, 1)) } },
    axes: [{ ...axis((_, places) => places.map((value) => signedText(value, true)), 46), label: "gain of the pass rate over the run's baseline, points", labelFont: "12px system-ui, sans-serif", labelSize: 18 }, axis((_, values) => values.map(percent), 62)],
    series: [{}, dots("link", 7), dots("regress-line", 12)],
  });
  return make(
    "section",
    { class: "plot", "aria-label": set },
    make("h2", {}, set, " ", make("small", {}, "upwards: fewer skills forgotten; to the right: more gained")),
    drawChart(label, options, values, 300),
    make("ul", { class: "keys" }, drawKey(`a run: share of the probes passed by ${whose} that it still passes`, { stroke: "var(--link)", shape: "M11,2 a3,3 0 1 0 .1,0 M11,4 a1,1 0 1 0 .1,0" }), drawKey(`the newest, ${runs[newest].id}`, { stroke: "var(--regress-line)", shape: "M11,1 a4,4 0 1 0 .1,0 M11,3 a2,2 0 1 0 .1,0" })),
    drawLater(`${set}: table of ${points.length} runs`, () =>
      drawTable(
        `${set}: gain and retained skills, newest first`,
        ["run", "time", "model", "baseline", "gain over it, points", "its interval, n", "kept probes", `its ${data.confidence} interval`],
        [...points].sort((a, b) => b.run - a.run).map(({ run, gain, kept, since, baseline }) => [runLink(runs[run]), momentText(runs[run].at), runs[run].model, baseline || runs[run].baseline, signedText(gain[1], true), `${spanText(gain.slice(1), true)} n=${gain[4]}`, `${percent(kept[2])} (${kept[0]} of ${kept[1]} of ${since})`, spanText(kept.slice(2), true)]),
      ),
    ),
  );
}

function drawSkills(data) {
  const last = data.points.at(-1);
  const loss = last.loss;
  return make(
    "section",
    { "aria-label": "Skills in the newest run" },
    make("h2", {}, "Skills in the newest run ", make("small", {}, data.runs[last.run].id)),
    loss ? make("p", {}, `Cross-entropy on general text: ${signedText(loss[0], false)} ${spanText(loss, false)} nats per token, since ${last.since}.`) : null,
    drawTable(`Probes that ${last.since} passes and this run still passes`, ["skill", "kept", `${data.confidence} interval`, "n"], [...last.skills].sort((a, b) => a[3] - b[3]).map(([skill, kept, of, ...rate]) => [skill, percent(rate[0]), spanText(rate, true), `${kept} of ${of}`])),
  );
}

drawPage((place, data) => {
  if (!data.points.length) {
    place.append(make("p", {}, "No run with forgetting probes is stored: gates ask them by default."));
    return;
  }
  const form = make("form", { class: "filter" });
  const list = make("div");
  const sets = [...new Set(data.points.flatMap((point) => point.gains.map(([set]) => set)))].sort();
  const models = [...new Set(data.points.map((point) => data.runs[point.run].model))].sort();

  function show() {
    const choices = readChoices();
    form.replaceChildren(drawSelect("Set", "set", sets, choices.set), drawSelect("Model", "model", models, choices.model));
    const plots = sets
      .filter((set) => !choices.set || set === choices.set)
      .map((set) => [set, data.points.flatMap((point) => point.gains.filter(([name]) => name === set && (!choices.model || data.runs[point.run].model === choices.model)).map((gain) => ({ ...point, gain })))])
      .filter(([, found]) => found.length);
    list.replaceChildren(...(plots.length ? plots.map(([set, found]) => drawGains(set, data, found)) : [make("p", {}, "No run fits.")]));
    showCharts();
  }

  form.addEventListener("change", () => {
    writeChoices({ set: form.elements.set.value, model: form.elements.model.value });
    show();
  });
  addEventListener("hashchange", show);
  place.append(form, list, drawSkills(data));
  show();
});
