// Keys, details that open on wide screens, and the progress of exports. Every page works without this file.
"use strict";

const EXPORT_BEGINS_MS = 300;
const WIDE = window.matchMedia("(min-width: 64rem)");

function rows() {
  return Array.from(document.querySelectorAll("[data-row]"));
}

function move(step) {
  const all = rows();
  if (all.length === 0) return;
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  const link = next.querySelector("a");
  if (link) link.focus();
}

function openKeys() {
  document.getElementById("keys").showModal();
}

function onKey(event) {
  const typing = event.target.closest("input, select, textarea, dialog[open]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.documentElement.dataset.keys !== "on") return;
  const actions = {
    "/": () => document.getElementById("search")?.focus(),
    j: () => move(1),
    k: () => move(-1),
    "?": openKeys,
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function openFilters() {
  if (!WIDE.matches) return;
  for (const each of document.querySelectorAll("details.filters")) each.open = true;
}

// The browser downloads the file; beside it, the page shows how far the export is.
function showExport(path) {
  window.setTimeout(() => htmx.ajax("GET", path, { target: "#export", select: "#export", swap: "outerHTML" }), EXPORT_BEGINS_MS);
}

// A printed page has the numbers behind a chart, also in browsers whose style sheets cannot open details.
function openForPrint(isOpen) {
  for (const each of document.querySelectorAll("details[data-printed]")) {
    if (isOpen) each.dataset.wasOpen = each.open;
    each.open = isOpen || each.dataset.wasOpen === "true";
  }
}

window.addEventListener("beforeprint", () => openForPrint(true));
window.addEventListener("afterprint", () => openForPrint(false));
document.addEventListener("keydown", onKey);
document.addEventListener("click", (event) => {
  const exported = event.target.closest("[data-export]");
  if (exported) showExport(exported.dataset.export);
  if (event.target.closest("[data-open-keys]")) openKeys();
  if (event.target.closest("[data-print]")) window.print();
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("htmx:load", openFilters);
openFilters();
