// Long tables: further rows are this page's own markup in a noscript element. They are drawn in parts when they
// are about to be seen, and leave the page when they are far away, so that hundreds of sets are as quick as ten.

const ROWS_OF_PART = 10;
const NEAR = "500px 0px";

/** Rows of a table that are in the page while they are near. */
class TablePart {
  constructor(rows) {
    this.rows = rows;
    this.near = false;
    // The browser's search finds the names of rows that are not drawn.
    this.names = make("div", {}, rows.map((row) => row.cells[0].textContent.trim().replace(/\s+/g, " ")).join(", "));
    this.gap = make("tr", { role: "row", class: "gap" }, make("td", { role: "cell", colspan: 20 }, this.names));
    this.names.style.height = `${rows.length * 3.2}rem`;
    this.body = make("tbody", { role: "rowgroup" }, this.gap);
  }

  /** Draw the rows, or leave their place empty. */
  show(drawn) {
    if (drawn === (this.gap.parentElement !== this.body)) return;
    const height = this.body.getBoundingClientRect().height;
    if (!drawn && height) this.names.style.height = `${height}px`;
    this.body.replaceChildren(...(drawn ? this.rows : [this.gap]));
  }
}

/** The parts of one table's further rows, added to the table. */
function partsOf(later) {
  const rows = [...new DOMParser().parseFromString(later.textContent, "text/html").querySelectorAll("tbody > tr")];
  const parts = [];
  for (let at = 0; at < rows.length; at += ROWS_OF_PART) parts.push(new TablePart(rows.slice(at, at + ROWS_OF_PART)));
  later.previousElementSibling.append(...parts.map((part) => part.body));
  later.remove();
  return parts;
}

function drawTablesLater() {
  const parts = [...document.querySelectorAll("noscript.later")].flatMap(partsOf);
  const ofBody = new Map(parts.map((part) => [part.body, part]));
  const watcher = new IntersectionObserver(
    (seen) => {
      for (const { target, isIntersecting } of seen) {
        const part = ofBody.get(target);
        part.near = isIntersecting;
        part.show(part.near);
      }
    },
    { rootMargin: NEAR },
  );
  for (const part of parts) watcher.observe(part.body);
  // Paper has all rows.
  addEventListener("beforeprint", () => parts.forEach((part) => part.show(true)));
  addEventListener("afterprint", () => parts.forEach((part) => part.show(part.near)));
}
