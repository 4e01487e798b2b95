"use strict";
// Draws the figures of the page in the colours of its scheme, each when it comes into view.

const NARROW = 600;
const CONFIG = {
  displaylogo: false,
  responsive: true,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toImage"],
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
    const { data, layout } = this.inScheme(figure, box);
    box.textContent = "";
    Plotly.newPlot(box, data, layout, CONFIG);
    this.drawn.set(box, figure);
  }

  redraw() {
    for (const [box, figure] of this.drawn) {
      const { data, layout } = this.inScheme(figure, box);
      Plotly.react(box, data, layout, CONFIG);
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
    const layout = { ...swap(figure.layout), template: pageTemplate() };
    let data = swap(figure.data);
    if (box.clientWidth < NARROW) {
      layout.margin = { ...layout.margin, l: 44, r: 8 };
      layout.font = { size: 11 };
      // Figures in small cells are not legible: the colour and the touch tell them.
      data = data.map((trace) => (trace.type === "heatmap" ? { ...trace, texttemplate: "" } : trace));
    }
    return { data, layout };
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
      charts.figures[name].layout.yaxis.type = target.dataset.scale;
      for (const [box, figure] of charts.drawn) {
        if (figure === charts.figures[name]) {
          Plotly.relayout(box, { "yaxis.type": target.dataset.scale, "yaxis.autorange": true });
        }
      }
    });
  }
}
