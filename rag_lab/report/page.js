"use strict";
// Draws every figure of the page, again whenever the window turns narrow or wide, or light turns dark.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const narrow = matchMedia("(max-width: 640px)");
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const set = (target, path, value) => {
    const keys = path.split(".");
    const last = keys.pop();
    for (const key of keys) target = target[key] ??= {};
    target[last] = value;
  };

  const dress = (layout) => {
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    layout.font.color = colour("--ink");
    layout.hoverlabel = {...layout.hoverlabel, bgcolor: colour("--sheet"), bordercolor: colour("--rule")};
    for (const key of Object.keys(layout)) {
      if (!/^[xy]axis\d*$/.test(key)) continue;
      Object.assign(layout[key], {gridcolor: colour("--grid"), linecolor: colour("--rule")});
    }
    return layout;
  };

  const draw = () => {
    for (const [name, figure] of Object.entries(figures)) {
      const layout = dress(structuredClone(figure.layout));
      if (narrow.matches) {
        layout.dragmode = false;  // a finger that scrolls must not zoom
        for (const [path, value] of Object.entries(figure.narrow)) set(layout, path, value);
      }
      Plotly.react(name, figure.data, layout, {responsive: true, displayModeBar: false});
    }
  };

  draw();
  narrow.addEventListener("change", draw);
  dark.addEventListener("change", draw);
})();
