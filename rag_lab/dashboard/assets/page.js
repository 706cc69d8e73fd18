"use strict";
// Links without loading the page again; the reader's width and light; filtering and keys. Everything else is Dash's.
window.rag_lab = (() => {
  const narrow = matchMedia("(max-width: 760px)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const look = () => ({narrow: narrow.matches, dark: dark.matches});
  const changed = () => window.dash_clientside.set_props("look", {data: look()});
  narrow.addEventListener("change", changed);
  dark.addEventListener("change", changed);

  const mark = () => document.documentElement.classList.toggle("chosen", new URLSearchParams(location.search).has("run"));
  mark();
  addEventListener("popstate", mark);

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='/?'], a[href='/']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    if (link.getAttribute("href") !== location.pathname + location.search) history.pushState({}, "", link.href);
    mark();
    dispatchEvent(new PopStateEvent("popstate"));
    if (narrow.matches) scrollTo(0, 0);
  });

  const filter = (text) => {
    const words = (text || "").toLowerCase().split(/\s+/).filter(Boolean);
    for (const one of document.querySelectorAll("#runs li")) {
      const said = (one.textContent + " " + (one.firstElementChild?.title ?? "")).toLowerCase();
      one.hidden = !words.every((word) => said.includes(word));
    }
  };

  document.addEventListener("keydown", (event) => {
    const field = document.getElementById("filter");
    if (event.key === "/" && !event.ctrlKey && !["INPUT", "TEXTAREA"].includes(document.activeElement.tagName)) {
      event.preventDefault();
      field?.focus();
    }
    const own = document.activeElement.closest?.("#runs a");
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (own && step) {
      const all = [...document.querySelectorAll("#runs li:not([hidden]) a")];
      all[all.indexOf(own) + step]?.focus();
      event.preventDefault();
    }
  });
  return {look, filter};
})();
