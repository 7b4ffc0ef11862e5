// Each metric over the runs: its mean with its interval, accepted runs, and where its level changed.

/** Places at which the chart draws: an accepted run that is not in the list is drawn at the next one. */
function acceptedPlaces(trend, runs) {
  return trend.accepted.map(([name, id, at, reason, n, ...mean]) => {
    const own = trend.points.findIndex(([place]) => runs[place].id === id);
    const later = trend.points.findIndex(([place]) => runs[place].at >= at);
    return { name, id, at, reason, n, mean, own, place: own >= 0 ? own : later };
  });
}

/** The accepted mean at each run, from the accepted run on; null before the first. */
function acceptedLevel(trend, marks) {
  const levels = trend.points.map(() => null);
  for (const mark of marks) if (mark.place >= 0) levels.fill(mark.mean[0], mark.place);
  return levels;
}

const dotsOf = (trend, word) => trend.points.map(([, mean, , , , verdict]) => (verdict === word ? mean : null));

function trendOptions(trend, runs, marks) {
  const text = (value) => meanText(value, trend.rate);
  // Smaller where they would cover each other.
  const room = innerWidth / trend.points.length < 6 ? 0.55 : 1;
  const dots = (name, size) => ({ paths: () => null, points: { show: true, size: size * room, fill: colour(name), stroke: colour("paper"), width: room } });
  const label = (place) => (Number.isInteger(place) && trend.points[place] ? momentText(runs[trend.points[place][0]].at).slice(2, 10) : "");
  return {
    scales: { x: { time: false }, y: { range: (_, low, high) => [low - 0.06 * (high - low || Math.abs(high) || 1), high + 0.06 * (high - low || Math.abs(high) || 1)] } },
    axes: [
      { ...axis((_, places) => places.map(label), 34), space: 90 },
      axis((_, values) => values.map(text), 62),
    ],
    series: [
      {},
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
      { stroke: colour("link"), width: 1.6, points: { show: false } },
      { stroke: colour("pass-line"), width: 1.4, dash: [6, 4], points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) },
      dots("regress-line", 9),
      dots("inconclusive-line", 7),
      dots("link", 5),
    ],
    bands: [{ series: [2, 1], fill: `color-mix(in srgb, ${colour("link")} 16%, transparent)` }],
    hooks: { draw: [(plot) => drawMarks(plot, trend, marks)] },
  };
}

/** Vertical lines: where the level changed, and the runs that were accepted. */
function drawMarks(plot, trend, marks) {
  const { ctx, bbox } = plot;
  const line = (place, name, dash, text, at) => {
    const x = Math.round(plot.valToPos(place, "x", true));
    ctx.strokeStyle = ctx.fillStyle = colour(name);
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash(dash.map((each) => each * devicePixelRatio));
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    const width = ctx.measureText(text).width;
    const gap = 4 * devicePixelRatio;
    const right = x + width + gap > bbox.left + bbox.width;
    ctx.textAlign = right ? "right" : "left";
    ctx.fillText(text, right ? x - gap : x + gap, at === "top" ? bbox.top + 13 * devicePixelRatio : bbox.top + bbox.height - 5 * devicePixelRatio);
  };
  ctx.save();
  if (trend.change !== null) line(trend.change - 0.5, trend.worse ? "regress" : "pass", [], trend.worse ? "worse" : "better", "top");
  marks.filter((mark) => mark.place >= 0).forEach((mark) => line(mark.place, "pass", [2, 3], `accepted: ${mark.name.slice(0, 20)}`, "bottom"));
  ctx.restore();
}

function drawTrend(trend, data) {
  const { runs } = data;
  const marks = acceptedPlaces(trend, runs);
  const column = (place) => trend.points.map((point) => point[place]);
  const values = [trend.points.map((_, place) => place), column(2), column(3), column(1), acceptedLevel(trend, marks), ...["regress", "inconclusive", "pass"].map((word) => dotsOf(trend, word))];
  const last = trend.points.at(-1);
  const ends = `${meanText(trend.points[0][1], trend.rate)} in the first run, ${meanText(last[1], trend.rate)} ${spanText(last.slice(1, 4), trend.rate)} n=${last[4]} in the newest`;
  const label = `${trend.title} over ${trend.points.length} runs: ${ends}. ${trend.note}`;
  const acceptedRows = marks.map((mark) => [mark.name, make("code", {}, mark.id), momentText(mark.at), `${meanText(mark.mean[0], trend.rate)} ${spanText(mark.mean, trend.rate)} n=${mark.n}`, mark.reason]);
  return make(
    "section",
    { class: "plot", "aria-label": trend.title },
    make("h2", {}, trend.title, " ", make("small", {}, trend.rate ? "pass rate" : trend.higher ? "higher is better" : "lower is better")),
    make("p", { class: "note-line" }, `${ends}, `, verdictText(last[5])),
    trend.note ? make("p", { class: `note-line ${trend.worse ? "bad" : ""}` }, make("b", {}, trend.worse ? "Worse: " : "Changed: "), trend.note) : null,
    trend.start ? make("p", { class: "note-line quiet" }, trend.start) : null,
    drawChart(label, () => trendOptions(trend, runs, marks), values),
    make(
      "ul",
      { class: "keys" },
      drawKey(`mean, its ${trend.confidence} interval shaded`, { stroke: "var(--link)" }),
      drawKey("regressed", { stroke: "var(--regress-line)", shape: "M11,1 a4,4 0 1 0 .1,0 M11,3 a2,2 0 1 0 .1,0" }),
      drawKey("inconclusive", { stroke: "var(--inconclusive-line)", shape: "M11,2 a3,3 0 1 0 .1,0 M11,4 a1,1 0 1 0 .1,0" }),
      marks.length ? drawKey("accepted", { stroke: "var(--pass-line)", dash: "5 3" }) : null,
    ),
    drawLater(`${trend.title}: table of ${trend.points.length} runs`, () =>
      drawTable(
        `${trend.title}, newest first`,
        ["run", "time", "model", "mean", `${trend.confidence} interval`, "n", "verdict"],
        [...trend.points].reverse().map(([place, ...figures]) => [
          runLink(runs[place]),
          momentText(runs[place].at),
          runs[place].model,
          meanText(figures[0], trend.rate),
          spanText(figures, trend.rate),
          String(figures[3]),
          verdictText(figures[4]),
        ]),
      ),
    ),
    acceptedRows.length ? drawLater(`${trend.title}: accepted runs, ${acceptedRows.length}`, () => drawTable(`Accepted runs with ${trend.title}`, ["name", "run", "accepted", "mean", "reason"], acceptedRows)) : null,
  );
}

drawPage((place, data) => {
  const list = make("div");
  const unique = (values) => [...new Set(values)].sort();
  const sets = unique(data.trends.map((trend) => trend.set));
  const metrics = unique(data.trends.map((trend) => trend.metric));
  const form = make("form", { class: "filter" });

  function show() {
    const choices = readChoices();
    form.replaceChildren(drawSelect("Set", "set", sets, choices.set), drawSelect("Metric", "metric", metrics, choices.metric), drawSelect("Show", "show", [["worse", "what got worse"], ["changed", "what changed"]], choices.show));
    const found = data.trends.filter(
      (trend) =>
        (!choices.set || trend.set === choices.set) &&
        (!choices.metric || trend.metric === choices.metric) &&
        (choices.show !== "worse" || trend.worse) &&
        (choices.show !== "changed" || trend.note),
    );
    list.replaceChildren(...(found.length ? found.map((trend) => drawTrend(trend, data)) : [make("p", {}, data.trends.length ? "No metric fits." : "No complete judged run is stored yet.")]));
    showCharts();
  }

  form.addEventListener("change", () => {
    writeChoices({ set: form.elements.set.value, metric: form.elements.metric.value, show: form.elements.show.value });
    show();
  });
  addEventListener("hashchange", show);
  place.append(make("p", { class: "quiet" }, "Complete runs only. A change of level is marked where Pettitt's test finds one, a drift where Kendall's does: at 5 % over all metrics together (Holm). Where both do, the one that describes the runs better is told."), form, list);
  show();
});
