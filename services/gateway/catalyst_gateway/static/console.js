// Keys, palette and small comforts; nothing here is needed to use a page.
const $ = (selector, under = document) => under.querySelector(selector);
const all = (selector, under = document) => [...under.querySelectorAll(selector)];
const palette = $("#palette"), input = $("#palette-input"), list = $("#palette-list"), shortcuts = $("#shortcuts");

function commands() {
  const places = all(".places a").map((a) => ({ text: `Go to ${a.firstChild.textContent.trim()}`, key: `g ${a.dataset.key}`, run: () => a.click() }));
  const here = all("#main [data-command]").filter((e) => !e.disabled).map((e) => ({ text: e.dataset.command, key: "", run: () => e.click() }));
  const rows = all("#main [data-rows] tbody tr a:first-of-type").map((a) => ({ text: `Open ${a.textContent.trim()}`, key: "", run: () => a.click() }));
  return [...here, ...places, ...rows, { text: "Change between light and dark", key: "", run: changeTheme }, { text: "Show the keys", key: "?", run: () => shortcuts.showModal() }];
}

let shown = [], at = 0;
function draw() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  shown = commands().filter((c) => words.every((w) => c.text.toLowerCase().includes(w))).slice(0, 12);
  at = Math.min(at, Math.max(0, shown.length - 1));
  list.replaceChildren(...shown.map((c, i) => {
    const row = document.createElement("li");
    row.id = `command-${i}`;
    row.role = "option";
    row.ariaSelected = String(i === at);
    row.append(c.text);
    if (c.key) row.append(Object.assign(document.createElement("kbd"), { textContent: c.key }));
    row.addEventListener("click", () => choose(i));
    return row;
  }));
  input.setAttribute("aria-activedescendant", shown.length ? `command-${at}` : "");
}
function choose(i) { palette.close(); shown[i]?.run(); }
function openPalette() { input.value = ""; at = 0; draw(); palette.showModal(); input.focus(); }
input.addEventListener("input", () => { at = 0; draw(); });
input.addEventListener("keydown", (event) => {
  const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (move && shown.length) { at = (at + move + shown.length) % shown.length; draw(); event.preventDefault(); }
  if (event.key === "Enter") { event.preventDefault(); choose(at); }
});
$("#open-palette").addEventListener("click", openPalette);

function changeTheme() {
  const root = document.documentElement;
  const now = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`; // the next page comes in it
}
$("#change-theme").addEventListener("click", changeTheme);

function move(by) {
  const stops = all("#main [data-rows] tbody tr a:first-of-type, #main [data-stop]");
  if (!stops.length) return;
  const now = stops.findIndex((s) => s === document.activeElement || s.closest("tr")?.contains(document.activeElement));
  stops[now < 0 ? (by > 0 ? 0 : stops.length - 1) : Math.max(0, Math.min(stops.length - 1, now + by))].focus();
}

let leader = 0;
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); openPalette(); return; }
  const typing = event.target.closest?.("input, select, textarea, dialog[open]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (Date.now() - leader < 1500) {
    leader = 0;
    const place = all(".places a").find((a) => a.dataset.key === event.key);
    if (place) { event.preventDefault(); place.click(); return; }
  }
  const does = { g: () => { leader = Date.now(); }, j: () => move(1), k: () => move(-1), "?": () => shortcuts.showModal(), "/": () => $("#main input[type=search]")?.focus() }[event.key];
  if (does) { event.preventDefault(); does(); }
});

// A menu closes with Escape and when the person goes on elsewhere.
for (const menu of all("details.menu")) {
  menu.addEventListener("keydown", (event) => { if (event.key === "Escape") { menu.open = false; $("summary", menu).focus(); } });
  menu.addEventListener("focusout", (event) => { if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false; });
}

// What scrolls sideways is a stop of the keyboard; what fits is none.
const widths = new ResizeObserver((seen) => { for (const box of new Set(seen.map((one) => one.target.closest(".wide")))) if (box) reach(box); });
function reach(box) {
  if (box.scrollWidth > box.clientWidth) { box.tabIndex = 0; box.setAttribute("role", "group"); box.setAttribute("aria-label", $("caption", box)?.textContent ?? "Table"); }
  else for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
}
function measure() { widths.disconnect(); for (const one of all(".wide, .wide > table")) widths.observe(one); }
document.addEventListener("htmx:afterSwap", measure);
measure();

// A form is sent once.
addEventListener("submit", (event) => {
  if (event.submitter?.matches("[data-keep]")) return; // a file is taken along, and the page stays
  for (const button of all("button:not([type=button])", event.target)) setTimeout(() => { button.disabled = true; }, 0);
});
addEventListener("pageshow", (event) => { if (event.persisted) all("form button[disabled]").forEach((b) => { b.disabled = false; }); });

// Where a form was refused, its sentences are read first.
$("#main .refused[tabindex]")?.focus();
// A summary of faults leads to the fields; ids are paths of the contract and have dots.
addEventListener("click", (event) => {
  const to = event.target.closest?.(".refused a[href^='#']");
  if (to) { event.preventDefault(); document.getElementById(decodeURIComponent(to.hash.slice(1)))?.focus(); }
});

// A finding leads to its line of the text.
addEventListener("click", (event) => {
  const to = event.target.closest?.("[data-line]"), text = to && $(to.hash);
  if (!text) return;
  event.preventDefault();
  const lines = text.value.split("\n"), n = Math.min(Number(to.dataset.line), lines.length) - 1;
  const start = lines.slice(0, n).reduce((sum, line) => sum + line.length + 1, 0);
  text.focus();
  text.setSelectionRange(start, start + lines[n].length);
  text.scrollTop = Math.max(0, n - 4) * (text.scrollHeight / lines.length);
});

// Faults name fields by paths of the contract; who sees the form reads what stands beside the field.
function label() {
  for (const one of all("[data-field]")) {
    const beside = one.dataset.field && $(`label[for="${CSS.escape(one.dataset.field)}"]`);
    if (beside) one.textContent = beside.firstChild.textContent.trim();
  }
}
document.addEventListener("htmx:afterSwap", label);
label();

// Cards by words and families; what was typed stays when the cards come anew.
function filter() {
  const search = $("[data-filter]");
  if (!search) return;
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const families = all("[data-chip][aria-pressed=true]").map((c) => c.dataset.chip);
  for (const card of all(search.dataset.filter)) card.hidden = !words.every((w) => card.dataset.words.includes(w)) || (families.length > 0 && !families.includes(card.dataset.family));
}
let typed = { text: "", chips: [] };
addEventListener("input", (event) => { if (event.target.matches?.("[data-filter]")) filter(); });
addEventListener("click", (event) => {
  const chip = event.target.closest?.("[data-chip]");
  if (chip) { chip.ariaPressed = String(chip.ariaPressed !== "true"); filter(); }
});
document.addEventListener("htmx:beforeSwap", () => { typed = { text: $("[data-filter]")?.value ?? "", chips: all("[data-chip][aria-pressed=true]").map((c) => c.dataset.chip) }; });
document.addEventListener("htmx:afterSwap", () => {
  const search = $("[data-filter]");
  if (!search) return;
  search.value = typed.text;
  for (const chip of all("[data-chip]")) chip.ariaPressed = String(typed.chips.includes(chip.dataset.chip));
  filter();
});

// Fields that only count for some values of another.
function reveal() {
  const chosen = $("[data-shows]")?.value;
  for (const part of all("[data-when]")) part.hidden = !part.dataset.when.split(" ").includes(chosen);
}
addEventListener("change", (event) => { if (event.target.matches?.("[data-shows]")) reveal(); });
reveal();

// The graph of a run moves to what is at work, until a person moves it.
let moved = false;
addEventListener("wheel", (event) => { moved ||= Boolean(event.target.closest?.("#graph")); }, { passive: true });
addEventListener("focusin", (event) => { moved ||= Boolean(event.target.closest?.("#graph")); });
addEventListener("pointerdown", (event) => { moved ||= Boolean(event.target.closest?.("#graph")); });
function toWork() {
  const graph = $("#graph"), step = $("#graph .step:is([data-state=RUNNING], [data-state=WAITING], [data-state=FAILED])");
  if (!moved && graph && step) graph.scrollLeft = Math.max(0, Number(step.parentElement.getAttribute("x")) - graph.clientWidth / 2);
}
document.addEventListener("htmx:afterSwap", toWork);
toWork();
