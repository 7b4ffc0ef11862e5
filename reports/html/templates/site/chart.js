// Charts by uPlot, in the page's own colours; whoever can't see one reads its table.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const drawnCharts = [];
const LINES = ["link", "inconclusive-line", "pass-line", "regress-line"];
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]];

/**
 * A chart that follows its width and the colour scheme. `options` gives series, scales and axes, and is called
 * again for each drawing, so that its colours are the current ones.
 */
function drawChart(label, options, data, height = 230) {
  const place = make("div", { class: "canvas", role: "img", "aria-label": label });
  const chart = { place, plot: null, options, data, height };
  drawnCharts.push(chart);
  return place;
}

function showChart(chart) {
  const width = chart.place.clientWidth;
  if (!width || !chart.place.isConnected) return;
  chart.plot?.destroy();
  chart.width = width;
  chart.plot = new uPlot({ width, height: chart.height, legend: { show: false }, cursor: { show: false }, ...chart.options() }, chart.data, chart.place);
}

const watcher = new IntersectionObserver(
  (entries) => {
    const near = new Set(entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target));
    for (const chart of drawnCharts) if (!chart.plot && near.has(chart.place)) showChart(chart);
  },
  { rootMargin: "400px" },
);

/** Draw what is in the page and has no drawing yet, once it is near the screen. */
function showCharts() {
  for (const chart of drawnCharts) if (!chart.plot) watcher.observe(chart.place);
  for (const chart of [...drawnCharts]) if (!chart.place.isConnected) drawnCharts.splice(drawnCharts.indexOf(chart), 1);
}

const redrawCharts = () => drawnCharts.filter((chart) => chart.plot).forEach(showChart);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);
addEventListener("resize", () => {
  clearTimeout(redrawCharts.timer);
  redrawCharts.timer = setTimeout(() => drawnCharts.forEach((chart) => chart.plot && chart.place.clientWidth !== chart.width && showChart(chart)), 100);
});
addEventListener("beforeprint", () => drawnCharts.forEach(showChart));

const axis = (values, size = 50) => ({
  stroke: colour("quiet"),
  grid: { stroke: colour("line"), width: 1 },
  ticks: { stroke: colour("line"), width: 1 },
  font: "12px system-ui, sans-serif",
  size,
  values,
});

/** A key of a chart: a short line, dashed like the chart's own, or a sign. */
function drawKey(text, { stroke = "var(--text)", dash = "", shape = "M0,5 L22,5" } = {}) {
  const sign = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({ class: "sign", viewBox: "0 0 22 10", "aria-hidden": "true" })) sign.setAttribute(name, value);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [name, value] of Object.entries({ d: shape, stroke, "stroke-dasharray": dash })) path.setAttribute(name, value);
  sign.append(path);
  return make("li", {}, sign, text);
}
