// Figures: BokehJS draws them in the colours of the page, anew when these change.
"use strict";
(() => {
  const read = (id) => document.getElementById(id).textContent;
  const dark = new Map(Object.entries(JSON.parse(read("dark-colors"))));
  const wantsDark = matchMedia("(prefers-color-scheme: dark)");
  const hasPointer = matchMedia("(hover: hover)").matches;
  const figures = [...document.querySelectorAll("figure[data-item]")];
  const managers = [];

  const draw = async () => {
    const isDark = wantsDark.matches;
    const recolored = (_, part) => (isDark && typeof part === "string" && dark.get(part)) || part;
    document.documentElement.dataset.drawn = isDark ? "dark" : "light";
    for (const manager of managers.splice(0)) manager.clear();
    for (const figure of figures) {
      const item = JSON.parse(read(figure.dataset.item), recolored);
      figure.querySelector(".plot").replaceChildren();
      const manager = await Bokeh.embed.embed_item(item);
      managers.push(manager);
      // Where a finger scrolls the page, it must not zoom a figure unless asked to.
      if (!hasPointer) {
        for (const { model } of manager) if (model.toolbar) model.toolbar.active_drag = null;
      }
    }
    document.documentElement.dataset.ready = "yes";
  };
  let drawing = Promise.resolve();
  const drawNext = () => { drawing = drawing.then(draw); };
  wantsDark.addEventListener("change", drawNext);
  drawNext();
})();
