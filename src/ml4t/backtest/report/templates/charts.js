"use strict";
// Draws the figures of the page in the colours of its scheme, each when it comes into view.

// Pixels of a phone, and of less than a desktop.
const NARROW = 600;
const MEDIUM = 900;
const CONFIG = {
  displaylogo: false,
  responsive: true,
  modeBarButtons: [["zoom2d", "pan2d", "resetScale2d"]],
};

function isDark() {
  return document.documentElement.dataset.theme === "dark";
}

function cssColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function pageTemplate() {
  const axis = {
    gridcolor: cssColor("--grid"),
    linecolor: cssColor("--axis"),
    tickcolor: cssColor("--axis"),
    zeroline: false,
    automargin: true,
    title: { standoff: 12, font: { size: 12 } },
  };
  return {
    layout: {
      font: { family: cssColor("--font"), size: 13, color: cssColor("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      separators: ".,",
      xaxis: { ...axis, showgrid: false, ticks: "outside" },
      yaxis: axis,
      hoverlabel: {
        bgcolor: cssColor("--panel"),
        bordercolor: cssColor("--axis"),
        font: { family: cssColor("--font"), color: cssColor("--ink") },
      },
      modebar: {
        bgcolor: "rgba(0,0,0,0)",
        color: cssColor("--soft"),
        activecolor: cssColor("--ink"),
      },
    },
  };
}

// Bars that lie keep what stands before the bracket.
function shortBarTexts(trace) {
  if (trace.type !== "bar" || trace.orientation !== "h") return trace;
  return { ...trace, text: trace.text.map((text) => text.replace(/ \(.*/, "")) };
}

// What a phone can show: short figures, no text in small cells, bars that lie, and a finger that
// scrolls the page and not the chart.
function narrowed({ data, layout }) {
  const axes = Object.keys(layout).filter((name) => /^[xy]axis/.test(name));
  layout = { ...layout, margin: { ...layout.margin, l: 40, r: 8 }, font: { size: 11 }, dragmode: false };
  for (const name of axes) {
    layout[name] = { ...layout[name], fixedrange: true };
    if (layout[name].tickformat === ",") layout[name].tickformat = "~s";
  }
  data = data.map((trace) => {
    if (trace.type === "heatmap") return { ...trace, texttemplate: "" };
    if (trace.type === "bar" && trace.orientation === "h") return { ...trace, textposition: "auto" };
    if (trace.type !== "waterfall") return trace;
    const text = trace.text.map((words) => words.split("<br>").pop());
    return { ...trace, x: trace.y, y: trace.x, orientation: "h", text };
  });
  const heatmap = data.find(({ type }) => type === "heatmap");
  if (heatmap) {
    const letters = heatmap.x.map((name) => (name.length === 3 ? name[0] : name));
    Object.assign(layout.xaxis, { tickmode: "array", tickvals: heatmap.x, ticktext: letters, tickangle: 0 });
  }
  if (data.some(({ type }) => type === "waterfall")) {
    const [low, high] = layout.yaxis.range;
    layout.xaxis = { ...layout.yaxis, range: [low, high + 0.25 * (high - low)], nticks: 4 };
    layout.yaxis = { autorange: "reversed", fixedrange: true };
  }
  return { data, layout, config: { ...CONFIG, displayModeBar: false } };
}

class Charts {
  constructor(figures, onDark) {
    this.figures = figures;
    this.onDark = onDark;
    this.drawn = new Map();
    this.watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) this.draw(entry.target);
    }, { rootMargin: "300px" });
    for (const box of document.querySelectorAll("[data-figure]")) this.watcher.observe(box);
  }

  draw(box) {
    this.watcher.unobserve(box);
    const figure = this.figures[box.dataset.figure];
    if (!figure || this.drawn.has(box)) return;
    this.show(box, figure);
  }

  drawAll() {
    for (const box of document.querySelectorAll("[data-figure]")) this.draw(box);
  }

  // Draws a figure, or another one in its place.
  show(box, figure) {
    const { data, layout, config } = this.inScheme(figure, box);
    box.textContent = "";
    Plotly.newPlot(box, data, layout, config);
    this.drawn.set(box, figure);
  }

  // Draws anew what is drawn: all, or one figure.
  redraw(name) {
    for (const [box, figure] of this.drawn) {
      if (name && figure !== this.figures[name]) continue;
      const { data, layout, config } = this.inScheme(figure, box);
      Plotly.react(box, data, layout, config);
    }
  }

  resize() {
    for (const box of this.drawn.keys()) Plotly.Plots.resize(box);
  }

  inScheme(figure, box) {
    const swap = (value) => {
      if (typeof value === "string") return isDark() ? this.onDark[value] ?? value : value;
      if (Array.isArray(value)) return value.map(swap);
      if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
      return Object.fromEntries(Object.entries(value).map(([k, part]) => [k, swap(part)]));
    };
    const found = {
      data: swap(figure.data),
      layout: { ...swap(figure.layout), template: pageTemplate() },
      config: CONFIG,
    };
    if (box.clientWidth < MEDIUM) found.data = found.data.map(shortBarTexts);
    return box.clientWidth < NARROW ? narrowed(found) : found;
  }
}

function bindScale(charts) {
  for (const group of document.querySelectorAll("[data-scale-of]")) {
    group.addEventListener("click", ({ target }) => {
      if (!target.dataset.scale) return;
      for (const button of group.querySelectorAll("[data-scale]")) {
        button.setAttribute("aria-pressed", String(button === target));
      }
      const name = group.dataset.scaleOf;
      const { yaxis, meta } = charts.figures[name].layout;
      yaxis.type = target.dataset.scale;
      yaxis.dtick = yaxis.type === "log" ? meta.log_step : null;
      charts.redraw(name);
    });
  }
}
