"use strict";
// Starts the page.

function bindScheme(charts) {
  const root = document.documentElement;
  const preference = window.matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("scheme");
  let isChosen = false;
  const set = (theme) => {
    root.dataset.theme = theme;
    button.setAttribute("aria-pressed", String(theme === "dark"));
    charts()?.redraw();
  };
  button.addEventListener("click", () => {
    isChosen = true;
    set(isDark() ? "light" : "dark");
  });
  preference.addEventListener("change", () => {
    if (!isChosen) set(preference.matches ? "dark" : "light");
  });
  // On paper there is light only, everything is drawn and unfolded, and the width is the paper's.
  let before = null;
  let folded = [];
  window.addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.classList.add("printing");
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const details of folded) details.open = true;
    charts()?.drawAll();
    set("light");
    charts()?.resize();
  });
  window.addEventListener("afterprint", () => {
    root.classList.remove("printing");
    for (const details of folded) details.open = false;
    set(before);
    charts()?.resize();
  });
  set(preference.matches ? "dark" : "light");
}

async function start() {
  let charts = null;
  bindScheme(() => charts);
  try {
    const content = await unpacked();
    for (const [id, { columns, ...options }] of Object.entries(content.tables ?? {})) {
      new Grid(document.getElementById(id), columns, options);
    }
    await loadPlotly();
    charts = new Charts(content.figures, content.on_dark);
    bindScale(charts);
    const box = document.getElementById("explorer-box");
    if (content.explorer && box) new Explorer(box, content.explorer, charts);
    document.body.dataset.state = "ready";
  } catch (error) {
    document.body.dataset.state = "failed";
    const note = document.getElementById("failure");
    note.hidden = false;
    note.textContent =
      "The charts and tables of this page cannot be drawn here: it needs a browser of 2023 or " +
      `later, with JavaScript (${error.message}).`;
    throw error;
  }
}

start();
