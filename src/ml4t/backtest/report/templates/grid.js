"use strict";
// A table that sorts by any of its columns, is filtered by a text, and is shown page by page.
//
// A column: {label, kind, values, names?, digits?, sign?, note?, wide?, blank?}. `values` is an array with a value
// a row; with `names`, of codes into them (-1: nothing). NaN: nothing, which is written as `blank`.

const MINUS = "\u2212";

function plainNumber(value, digits, sign) {
  const text = new Intl.NumberFormat("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    signDisplay: sign ? "exceptZero" : "negative",
  }).format(value);
  return text.replace("-", MINUS);
}

function dateText(milliseconds) {
  const text = new Date(milliseconds).toISOString();
  return text.endsWith("T00:00:00.000Z") ? text.slice(0, 10) : text.slice(0, 16).replace("T", " ");
}

const WRITERS = {
  text: (value) => value,
  time: dateText,
  percent: (value, column) => `${plainNumber(100 * value, column.digits ?? 2, column.sign)} %`,
  number: (value, column) => plainNumber(value, column.digits ?? 0, column.sign),
  quantity: (value, column) => plainNumber(value, Number.isInteger(value) ? 0 : 4, column.sign),
};

function valueOf(column, row) {
  const value = column.values[row];
  if (column.names) return value < 0 ? null : column.names[value];
  return value === null || Number.isNaN(value) ? null : value;
}

function textOf(column, row) {
  const value = valueOf(column, row);
  return value === null ? column.blank ?? "" : WRITERS[column.kind](value, column);
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

class Grid {
  // `box` has .grid-table, .grid-count, .grid-filter and .grid-pages in it, as report.html makes it.
  constructor(box, columns, options = {}) {
    this.box = box;
    this.columns = columns;
    this.perPage = options.perPage ?? 50;
    this.one = options.one ?? "row";
    this.several = options.several ?? "rows";
    this.all = options.rows ?? [...(columns[0]?.values ?? [])].map((_, row) => row);
    this.sortedBy = null;
    this.descending = false;
    this.page = 0;
    this.filter = box.querySelector(".grid-filter");
    this.filter?.addEventListener("input", () => this.turnTo(0));
    this.makeHead();
    this.makePages();
    this.update();
  }

  setRows(rows) {
    this.all = rows;
    this.turnTo(0);
  }

  turnTo(page) {
    this.page = page;
    this.update();
  }

  makeHead() {
    const row = element("tr");
    this.heads = this.columns.map((column, k) => {
      const button = element("button", { type: "button", textContent: column.label });
      if (column.note) button.title = column.note;
      const head = element("th", { scope: "col" }, button);
      head.addEventListener("click", () => this.sortBy(k));
      if (column.kind !== "text" && column.kind !== "time") head.className = "num";
      row.append(head);
      return head;
    });
    this.body = element("tbody");
    const table = this.box.querySelector(".grid-table");
    table.append(element("thead", {}, row), this.body);
  }

  makePages() {
    const pages = this.box.querySelector(".grid-pages");
    this.pages = pages;
    this.back = element("button", { type: "button", textContent: "Previous" });
    this.next = element("button", { type: "button", textContent: "Next" });
    this.where = element("span");
    this.back.addEventListener("click", () => this.turnTo(this.page - 1));
    this.next.addEventListener("click", () => this.turnTo(this.page + 1));
    pages.append(this.back, this.where, this.next);
  }

  sortBy(k) {
    this.descending = this.sortedBy === k ? !this.descending : this.columns[k].kind !== "text";
    this.sortedBy = k;
    this.heads.forEach((head, j) => {
      if (j === k) head.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    this.turnTo(0);
  }

  chosenRows() {
    const wanted = (this.filter?.value ?? "").trim().toLowerCase();
    let rows = this.all;
    if (wanted) {
      const searched = this.columns.filter(({ kind }) => kind === "text" || kind === "time");
      rows = rows.filter((row) =>
        searched.some((column) => textOf(column, row).toLowerCase().includes(wanted)));
    }
    if (this.sortedBy === null) return rows;
    const column = this.columns[this.sortedBy];
    const way = this.descending ? -1 : 1;
    const keyed = rows.map((row) => [valueOf(column, row), row]);
    keyed.sort(([a, i], [b, j]) => {
      if (a === b) return i - j;
      // What has no value stands last, whichever way.
      if (a === null) return 1;
      if (b === null) return -1;
      return (a < b ? -1 : 1) * way;
    });
    return keyed.map(([, row]) => row);
  }

  update() {
    const rows = this.chosenRows();
    const nPages = Math.max(1, Math.ceil(rows.length / this.perPage));
    this.page = Math.min(Math.max(this.page, 0), nPages - 1);
    const shown = rows.slice(this.page * this.perPage, (this.page + 1) * this.perPage);
    this.body.replaceChildren(...shown.map((row) => this.makeRow(row)));
    const of = rows.length === this.all.length ? "" : ` of ${this.all.length.toLocaleString("en-US")}`;
    const count = `${rows.length.toLocaleString("en-US")}${of} ${rows.length === 1 && !of ? this.one : this.several}`;
    this.box.querySelector(".grid-count").textContent = count;
    this.pages.hidden = nPages === 1;
    const part = this.box.querySelector(".grid-part");
    part.hidden = nPages === 1;
    const from = this.page * this.perPage;
    part.textContent =
      `Printed here: ${from + 1} to ${from + shown.length} of ${rows.length.toLocaleString("en-US")}.`;
    this.where.textContent = `page ${this.page + 1} of ${nPages}`;
    this.back.disabled = this.page === 0;
    this.next.disabled = this.page === nPages - 1;
  }

  makeRow(row) {
    const line = element("tr");
    this.columns.forEach((column, k) => {
      const cell = element(k === 0 ? "th" : "td", { textContent: textOf(column, row) });
      if (k === 0) cell.scope = "row";
      if (column.kind !== "text") cell.className = column.kind === "time" ? "time" : "num";
      else if (column.wide) cell.className = "wide";
      line.append(cell);
    });
    return line;
  }
}
