// The drop between any two runs, with its interval, computed where the page is read: the gate's own for pass
// rates of independent cases; for others a simple one, as docs/site.md says.

const CONFIDENCE = 0.9;
const Z = 1.6448536269514722; // the normal quantile of 0.95
const CONTINUITY = 0.25; // in cases, as the gate has it
const HALVINGS = 60;

const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);

/** Tango's standardised distance of the counts from a true drop. */
function scoreOf(lost, gained, n, drop) {
  const a = 2 * n;
  const b = -lost - gained + (2 * n - lost + gained) * drop;
  const c = -gained * drop * (1 - drop);
  const gain = (Math.sqrt(Math.max(b * b - 4 * a * c, 0)) - b) / (2 * a);
  const distance = lost - gained - n * drop + CONTINUITY;
  const variance = n * (2 * gain + drop * (1 - drop));
  return variance > 0 ? distance / Math.sqrt(variance) : Math.sign(distance) * Infinity || 0;
}

function upperEnd(lost, gained, n) {
  if (lost >= n - 1e-9) return 1;
  let low = Math.max((lost - gained) / n, -1 + 1e-12);
  let high = 1;
  for (let step = 0; step < HALVINGS; step += 1) {
    const middle = (low + high) / 2;
    if (scoreOf(lost, gained, n, middle) <= -Z) high = middle;
    else low = middle;
  }
  return Math.max(high, 1 - 2 * 0.05 ** (1 / n));
}

/** Score interval of a paired drop of a pass rate; counts may be fractions. */
const tangoInterval = (lost, gained, n) => [(lost - gained) / n, -upperEnd(gained, lost, n), upperEnd(lost, gained, n)];

/** The pairs' drops by cluster: their sum and number. */
function clustersOf(pairs) {
  const found = new Map();
  pairs.forEach(({ drop, cluster }, place) => {
    const key = cluster ?? `case ${place}`;
    const [total, count] = found.get(key) ?? [0, 0];
    found.set(key, [total + drop, count + 1]);
  });
  return [...found.values()];
}

/** How much more a mean over clusters varies than one over as many independent cases; at least 1. */
function designEffect(pairs, clusters, mean) {
  const G = clusters.length;
  const spread = sum(pairs.map(({ drop }) => (drop - mean) ** 2));
  if (!spread || G < 2) return pairs.length / G;
  return Math.max(1, ((G / (G - 1)) * sum(clusters.map(([total, count]) => (total - count * mean) ** 2))) / spread);
}

/** Interval of the drop of a pass rate: estimate, low, high. */
function rateDrop(pairs) {
  const lost = pairs.filter(({ drop }) => drop > 0).length;
  const gained = pairs.filter(({ drop }) => drop < 0).length;
  const clusters = clustersOf(pairs);
  const effect = clusters.length < pairs.length ? designEffect(pairs, clusters, (lost - gained) / pairs.length) : 1;
  return tangoInterval(lost / effect, gained / effect, pairs.length / effect);
}

/** Interval of the drop of a graded metric, by the t distribution over clusters; null if nothing varies. */
function gradedDrop(pairs, quantiles) {
  const clusters = clustersOf(pairs);
  const G = clusters.length;
  const mean = sum(pairs.map(({ drop }) => drop)) / pairs.length;
  if (G < 2) return [mean, null, null];
  const error = Math.sqrt((G / (G - 1)) * sum(clusters.map(([total, count]) => (total - count * mean) ** 2))) / pairs.length;
  const half = error * quantiles[Math.min(G - 1, quantiles.length) - 1];
  // What is less comes from rounding, in any unit.
  const least = 1e-12 * Math.max(...pairs.map(({ drop }) => Math.abs(drop)));
  return error > least ? [mean, mean - half, mean + half] : [mean, null, null];
}
