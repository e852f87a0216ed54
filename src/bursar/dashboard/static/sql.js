// The editor of the SQL page: colors below a transparent textarea, and completion from the schema. Tab is never taken,
// so the keyboard always leaves the field. The page works without this file.
"use strict";

const KEYWORDS = new Set((
  "all and any as asc between by case cast count cross current_date date desc distinct else end except exists explain " +
  "extract false filter from full group having in inner intersect interval is join last lateral left like limit max min " +
  "not null nulls offset on or order outer over partition qualify recursive right rows select sum avg table then " +
  "timestamp true union using values when where window with"
).split(" "));
const TOKEN = /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*'?)|(\b\d[\d.]*\b)|([A-Za-z_]\w*)/g;
const WORDS_MAX = 8;
const LETTERS_MIN = 2;

const editor = document.querySelector(".editor");
const field = editor.querySelector("textarea");
const colors = editor.querySelector("pre");
const list = editor.querySelector("[role=listbox]");
const status = editor.querySelector("[role=status]");
const words = Array.from(document.getElementById(editor.dataset.words).options, (each) => [each.value, each.label]);
const known = new Map(words);
let chosen = -1;

function kindOf(match) {
  if (match[1]) return "comment";
  if (match[2]) return "text";
  if (match[3]) return "number";
  const word = match[4].toLowerCase();
  return known.has(word) ? "name" : KEYWORDS.has(word) ? "keyword" : "";
}

function paint() {
  const text = field.value;
  const pieces = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    const kind = kindOf(match);
    if (!kind) continue;
    const piece = document.createElement("span");
    piece.className = `sql-${kind}`;
    piece.textContent = match[0];
    pieces.push(text.slice(end, match.index), piece);
    end = match.index + match[0].length;
  }
  colors.replaceChildren(...pieces, `${text.slice(end)}\n`);
  colors.scrollTop = field.scrollTop;
}

function begun() {
  return /[A-Za-z_]\w*$/.exec(field.value.slice(0, field.selectionStart))?.[0] ?? "";
}

function close() {
  list.hidden = true;
  chosen = -1;
  field.removeAttribute("aria-activedescendant");
}

function choose(at) {
  const all = Array.from(list.children);
  chosen = (at + all.length) % all.length;
  all.forEach((each, place) => each.setAttribute("aria-selected", String(place === chosen)));
  field.setAttribute("aria-activedescendant", all[chosen].id);
  all[chosen].scrollIntoView({ block: "nearest" });
}

function accept(at) {
  const word = list.children[at].dataset.word;
  const end = field.selectionStart;
  field.setRangeText(word, end - begun().length, end, "end");
  close();
  paint();
}

function option([word, meaning], place) {
  const item = document.createElement("li");
  const name = document.createElement("b");
  const more = document.createElement("small");
  item.id = `word-${place}`;
  item.dataset.word = word;
  item.setAttribute("role", "option");
  item.setAttribute("aria-selected", "false");
  name.textContent = word;
  more.textContent = meaning;
  item.append(name, " ", more);
  return item;
}

function caretPlace() {
  const marker = document.createElement("span");
  const before = field.value.slice(0, field.selectionStart);
  marker.textContent = "\u200b";
  colors.replaceChildren(before, marker, field.value.slice(field.selectionStart));
  const place = { left: marker.offsetLeft, top: marker.offsetTop + marker.offsetHeight - field.scrollTop };
  paint();
  return place;
}

function suggest(isAsked) {
  const start = begun().toLowerCase();
  const found = words.filter(([word]) => word.startsWith(start) && word !== start).slice(0, WORDS_MAX);
  if (found.length === 0 || (!isAsked && start.length < LETTERS_MIN)) {
    close();
    return;
  }
  const place = caretPlace();
  list.replaceChildren(...found.map(option));
  list.hidden = false;
  list.style.top = `${place.top}px`;
  list.style.left = `${Math.max(0, Math.min(place.left, editor.clientWidth - list.offsetWidth))}px`;
  chosen = -1;
  status.textContent = editor.dataset.found.replace("{count}", found.length);
}

function onKey(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    field.form.requestSubmit();
  } else if (event.key === " " && event.ctrlKey) {
    event.preventDefault();
    suggest(true);
    if (!list.hidden) choose(0);
  } else if (!list.hidden) {
    const actions = {
      ArrowDown: () => choose(chosen + 1),
      ArrowUp: () => choose(chosen < 0 ? -1 : chosen - 1),
      Escape: close,
      Enter: chosen >= 0 ? () => accept(chosen) : undefined,
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}

field.setAttribute("aria-autocomplete", "list");
field.setAttribute("aria-haspopup", "listbox");
field.setAttribute("aria-controls", list.id);
editor.classList.add("editor--live");
field.addEventListener("keydown", onKey);
field.addEventListener("input", () => { paint(); suggest(false); });
field.addEventListener("scroll", () => { colors.scrollTop = field.scrollTop; });
field.addEventListener("blur", close);
list.addEventListener("mousedown", (event) => {
  event.preventDefault();
  const item = event.target.closest("li");
  if (item) accept(Array.from(list.children).indexOf(item));
});
paint();

const stop = document.querySelector("[data-stop]");
const running = document.querySelector("[data-running]");
stop.hidden = true;
field.form.addEventListener("submit", (event) => {
  const isRun = !event.submitter?.hasAttribute("formaction");
  stop.hidden = !isRun;
  if (isRun) running.textContent = running.dataset.running;
});
window.addEventListener("pageshow", () => { stop.hidden = true; });
