// What all pages share: the address, figures in words, tables.

/** The choices in the address; each link shows the same page to the next reader. */
const readChoices = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

function writeChoices(choices) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(choices)) if (value) words.set(name, value);
  history.replaceState(null, "", words.size ? `#${words}` : location.pathname + location.search);
}

const isLive = Boolean(document.documentElement.dataset.live);

/** A choice among values; each may be a pair of value and label. */
function drawSelect(label, name, values, chosen, all = "all") {
  const options = [...(all === null ? [] : [["", all]]), ...values.map((value) => (Array.isArray(value) ? value : [value, value]))];
  const select = make("select", { name }, options.map(([value, text]) => make("option", { value }, text)));
  select.value = chosen ?? "";
  if (select.selectedIndex < 0) select.selectedIndex = 0;
  return make("label", {}, `${label} `, select);
}

const MINUS = "\u2212";
/** A figure with true minus signs; a 0 that was rounded has none. */
const withMinus = (text) => (Number(text) === 0 ? text.replace("-", "") : text).replaceAll("-", MINUS);
/** A fraction in hundredths: only nothing, or rounding, is 0.0. */
const hundredths = (value) => {
  const text = (100 * value).toFixed(1);
  return withMinus(Number(text) || Math.abs(value) < 1e-6 ? text : String(Number((100 * value).toPrecision(2))));
};
const percent = (value) => `${hundredths(value)}\u202f%`;
/** A mean score with three decimals, or three digits if it is a small one or above 10. */
const plainMean = (value) => {
  const size = Math.abs(value);
  if (size >= 1000) return withMinus(size < 1e15 ? value.toFixed(0) : value.toPrecision(4));
  return withMinus(size >= 10 || (size > 1e-15 && size < 0.01) ? String(Number(value.toPrecision(3))) : value.toFixed(3));
};
const meanText = (value, rate) => (rate ? percent(value) : plainMean(value));
const meanOf = (value, rate) => (rate ? hundredths(value) : plainMean(value));
const spanText = ([, low, high], rate) => `[${meanOf(low, rate)}, ${meanOf(high, rate)}]`;
/** A difference: only 0, or rounding, has no sign. */
const signedText = (value, rate) => {
  const text = meanOf(value, rate);
  return value > 0 && Number(text.replaceAll(MINUS, "-")) ? `+${text}` : text;
};
const momentText = (at) => (/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(at) ? `${at.slice(0, 10)} ${at.slice(11, 16)}` : at);

const verdictText = (word) => make("span", { class: `verdict-word ${word ?? "none"}` }, word ?? "no verdict");

/** A table; rows are arrays of cells, the first of which is the row's name. */
const drawTable = (caption, heads, rows, kind = "plain") =>
  make(
    "table",
    { class: kind },
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, heads.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, rows.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row" }, first), rest.map((cell) => make("td", {}, cell))))),
  );

/** Content that is only drawn when it is unfolded. */
function drawLater(title, draw, open = false) {
  const fold = make("details", { class: "more" }, make("summary", {}, title));
  const fill = () => {
    if (fold.dataset.filled) return;
    fold.dataset.filled = "1";
    fold.append(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, draw()));
  };
  fold.addEventListener("toggle", () => fold.open && fill());
  if (open) {
    fold.open = true;
    fill();
  }
  return fold;
}

const runLink = (run) => (isLive ? make("a", { href: `runs/${encodeURIComponent(run.id)}` }, make("code", {}, run.id)) : make("code", {}, run.id));

/** Run a page's drawing with its data; the page says so where the browser can't unpack. */
async function drawPage(draw) {
  const place = document.getElementById("drawn");
  if (typeof DecompressionStream === "undefined") {
    place.append(make("p", {}, "This browser can't unpack the page's data; a current one can."));
    return;
  }
  const data = await unpacked(document.querySelector("script[type='application/gzip']"));
  await draw(place, data);
  document.documentElement.dataset.ready = "1";
}
