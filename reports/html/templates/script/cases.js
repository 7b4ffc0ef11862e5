// The list: one page of rows at a time, so that ten thousand cases are as quick as ten.

const ON_PAGE = 30;
const OPEN_AT_FIRST = 3;

class List {
  constructor(root, cases) {
    this.root = root;
    this.cases = cases;
    this.rows = root.querySelector("[data-rows]");
    this.status = root.querySelector("[role=status]");
    this.pager = root.querySelector("[data-pager]");
    this.fields = [...root.querySelectorAll("[data-filter]")];
    this.state = readAddress(cases.shown, this.fields, cases);
    this.asked = 0;
  }

  start() {
    this.root.hidden = false;
    let pending;
    for (const field of this.fields) {
      const change = () => this.change({ [field.dataset.filter]: field.value, page: 1, case: "" });
      field.addEventListener("change", change);
      if (field.type !== "search") continue;
      field.addEventListener("input", () => {
        clearTimeout(pending);
        pending = setTimeout(change, 80);
      });
    }
    this.pager.addEventListener("click", (event) => {
      const step = Number(event.target.dataset.step ?? 0);
      if (!step) return;
      this.change({ page: this.state.page + step, case: "" }).then(() => this.root.scrollIntoView());
    });
    this.root.querySelector("[data-unfold]").addEventListener("click", (event) => this.unfold(event.target));
    addEventListener("hashchange", () => choosesCases() && this.follow());
    return this.follow();
  }

  /** Show what the address says: a case, or a choice of cases. */
  async follow() {
    const state = readAddress(this.cases.shown, this.fields, this.cases);
    const wanted = state.case && this.cases.all.find((one) => one.key === state.case);
    if (wanted) {
      const found = await chosen(this.cases, state);
      const place = flat(grouped(this.cases, found, state)).indexOf(wanted);
      if (place < 0) Object.assign(state, { ...EMPTY, case: wanted.key, page: Math.floor(wanted.place / ON_PAGE) + 1 });
      else state.page = Math.floor(place / ON_PAGE) + 1;
    }
    this.state = state;
    await this.draw();
    if (wanted) this.open(wanted);
    else if (choosesCases()) this.root.scrollIntoView();
  }

  async open(wanted) {
    const card = [...this.rows.querySelectorAll("details.card")].find((each) => each.dataset.key === wanted.key);
    card.open = true;
    await fill(this.cases, wanted, card);
    card.scrollIntoView();
    card.querySelector("summary").focus({ preventScroll: true });
  }

  async change(changes) {
    Object.assign(this.state, changes);
    writeAddress(this.state);
    await this.draw();
  }

  async draw() {
    const asked = ++this.asked;
    const found = await chosen(this.cases, this.state);
    if (asked !== this.asked) return;
    const groups = grouped(this.cases, found, this.state);
    const pages = Math.max(1, Math.ceil(found.length / ON_PAGE));
    this.state.page = Math.min(this.state.page, pages);
    for (const field of this.fields) showChoice(field, this.state[field.dataset.filter]);
    this.rows.replaceChildren(...this.drawGroups(groups));
    this.drawPager(found.length, pages);
    const counted = found.length === this.cases.all.length ? `all ${thousands(found.length)} cases` : `${thousands(found.length)} of ${thousands(this.cases.all.length)} cases`;
    this.status.textContent = `${this.missing()}${counted}`;
    this.name(this.root.querySelector("[data-unfold]"));
  }

  /** A case in the address that this report doesn't have, such as one of another run's. */
  missing() {
    const key = this.state.case;
    return !key || this.cases.all.some((one) => one.key === key) ? "" : `This report has no case ${key.slice(0, 100)}. Shown: `;
  }

  drawGroups(groups) {
    const first = (this.state.page - 1) * ON_PAGE;
    const drawn = [];
    let at = 0;
    groups.forEach(([title, members]) => {
      const shown = members.slice(Math.max(0, first - at), Math.max(0, first + ON_PAGE - at));
      at += members.length;
      if (!shown.length) return;
      if (title) drawn.push(make("h3", { class: "group" }, title, " ", make("span", { class: "total" }, thousands(members.length))));
      const rows = shown.map((row) => drawRow(this.cases, row, title ? 4 : 3));
      drawn.push(make("div", { class: "rows" }, rows));
    });
    if (!drawn.length) return [make("p", { class: "quiet" }, "No case fits.")];
    const fresh = this.state.show && this.state.page === 1 && !this.state.q;
    const cards = drawn.flatMap((each) => [...each.querySelectorAll("details.card")]);
    if (fresh) for (const card of cards.slice(0, OPEN_AT_FIRST)) card.open = true;
    return drawn;
  }

  drawPager(found, pages) {
    const { page } = this.state;
    const button = (step, text, off) => make("button", { type: "button", "data-step": step, disabled: off }, text);
    this.pager.replaceChildren(button(-1, "Previous page", page === 1), make("span", {}, `page ${page} of ${pages}`), button(1, "Next page", page === pages));
    this.pager.hidden = pages === 1;
  }

  /** Open or close all cases of this page. */
  unfold(button) {
    const cards = [...this.rows.querySelectorAll("details.card")];
    const open = !cards.every((card) => card.open);
    for (const card of cards) card.open = open;
    this.name(button, open);
  }

  name(button, open = false) {
    button.textContent = open ? "Fold all on this page" : "Unfold all on this page";
  }
}

const flat = (groups) => groups.flatMap(([, members]) => members);
