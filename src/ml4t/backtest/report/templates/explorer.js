"use strict";
// The rebalance explorer: one date, every asset, from the weight that was asked for to what filled.

class Explorer {
  constructor(box, data, charts) {
    this.box = box;
    this.data = data;
    this.charts = charts;
    this.select = box.querySelector(".explorer-date");
    this.slider = box.querySelector(".explorer-slider");
    this.onlyTraded = box.querySelector(".explorer-traded");
    this.sentence = box.querySelector(".explorer-sentence");
    data.plans.label.forEach((label, k) => {
      this.select.append(element("option", { value: String(k), textContent: label }));
    });
    const last = data.plans.label.length - 1;
    this.slider.max = String(last);
    this.grid = new Grid(box, data.columns, { perPage: 100, one: "asset", several: "assets", rows: [] });
    this.select.addEventListener("change", () => this.choose(Number(this.select.value)));
    this.slider.addEventListener("input", () => this.choose(Number(this.slider.value)));
    this.onlyTraded.addEventListener("change", () => this.choose(this.chosen));
    box.querySelector(".explorer-back").addEventListener("click", () => this.choose(this.chosen - 1));
    box.querySelector(".explorer-next").addEventListener("click", () => this.choose(this.chosen + 1));
    this.choose(this.lastThatCouldFill() ?? last);
    this.makeAssetChart();
  }

  // Of one that was decided at the last bar nothing has filled yet, so that it has no filled weight.
  lastThatCouldFill() {
    const { ordered, filled } = this.data;
    const isOrdered = (quantity) => !Number.isNaN(quantity);
    let row = ordered.findLastIndex((quantity, k) => isOrdered(quantity) && !Number.isNaN(filled[k]));
    if (row < 0) row = ordered.findLastIndex(isOrdered);
    return row < 0 ? null : this.data.plans.start.findLastIndex((start) => start <= row);
  }

  choose(plan) {
    const { start, label, sentence } = this.data.plans;
    const last = label.length - 1;
    this.chosen = Math.min(Math.max(plan, 0), last);
    this.select.value = this.slider.value = String(this.chosen);
    this.slider.setAttribute("aria-valuetext", label[this.chosen]);
    this.box.querySelector(".explorer-back").disabled = this.chosen === 0;
    this.box.querySelector(".explorer-next").disabled = this.chosen === last;
    this.sentence.textContent = sentence[this.chosen];
    const only = this.onlyTraded.checked ? ", only what was ordered" : "";
    this.box.querySelector(".explorer-when").textContent =
      `The rebalance of ${label[this.chosen]}${only}, one of ${label.length.toLocaleString("en-US")}.`;
    const rows = [];
    for (let row = start[this.chosen]; row < start[this.chosen + 1]; row++) {
      if (!this.onlyTraded.checked || !Number.isNaN(this.data.ordered[row])) rows.push(row);
    }
    this.grid.setRows(rows);
  }

  // Requested against filled weight of one asset over all rebalances.
  makeAssetChart() {
    const choice = this.box.querySelector(".explorer-asset");
    this.chart = this.box.querySelector(".explorer-chart");
    const { names, codes } = this.data.asset;
    [...names.keys()].sort((a, b) => (names[a] < names[b] ? -1 : 1)).forEach((code) => {
      choice.append(element("option", { value: String(code), textContent: names[code] }));
    });
    choice.addEventListener("change", () => this.drawAsset(Number(choice.value)));
    const watcher = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watcher.disconnect();
      this.drawAsset(Number(choice.value));
    }, { rootMargin: "300px" });
    this.box.querySelector(".explorer-one").hidden = !codes.length;
    if (codes.length) watcher.observe(this.chart);
  }

  drawAsset(code) {
    const { plans, asset, requested, filled } = this.data;
    const lines = { requested: [], filled: [] };
    for (let plan = 0; plan < plans.label.length; plan++) {
      let asked = 0;
      let held = 0;
      for (let row = plans.start[plan]; row < plans.start[plan + 1]; row++) {
        if (asset.codes[row] !== code) continue;
        asked = Number.isNaN(requested[row]) ? 0 : requested[row];
        held = filled[row];
      }
      lines.requested.push(asked);
      lines.filled.push(held);
    }
    const line = (name, color, dash) => ({
      type: "scatter", mode: "lines", name, x: plans.time, y: lines[name],
      line: { color, dash, width: 1.8, shape: "hv" }, hovertemplate: "%{y:.2%}",
    });
    const { account, paper } = this.data.colors;
    this.charts.show(this.chart, {
      data: [line("requested", paper, "dash"), line("filled", account, "solid")],
      layout: {
        height: 300, margin: { l: 60, r: 16, t: 36, b: 40 }, hovermode: "x unified",
        legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
        xaxis: { type: "date" }, yaxis: { tickformat: "~%", rangemode: "tozero", title: { text: "weight" } },
      },
    });
    this.box.querySelector(".explorer-which").textContent = `Asset: ${asset.names[code]}.`;
    this.chart.setAttribute("aria-label", `Requested and filled weight of ${asset.names[code]}`);
  }
}
