// Regions that live: events of the mesh say that something changed, and what changed is fetched anew from the server.
// All tabs of a browser share one stream: whoever holds the lock reads it and tells the others.
const line = document.getElementById("live");
const tell = new BroadcastChannel("catalyst-live");
const PATIENCE = 250; // ms between two looks at the same region
let last = "", stopped = false;

const regions = () => document.querySelectorAll("[data-live]");
const waiting = new WeakMap();

function concerns(region, event) {
  const { live, about } = region.dataset;
  const named = live.split(" ").some((topic) => event.subject.startsWith(topic));
  return named && (!about || event.aggregate === about || event.aggregate.startsWith(`${about}/`));
}
function refresh(region) {
  if (waiting.has(region)) return;
  waiting.set(region, setTimeout(() => { waiting.delete(region); if (region.isConnected) htmx.trigger(region, "live"); }, PATIENCE));
}
function heard(event) {
  document.dispatchEvent(new CustomEvent("catalyst:event", { detail: event }));
  for (const region of regions()) if (event === "all" || concerns(region, event)) refresh(region);
}
function say(text) { if (line.textContent !== text) { line.textContent = text; line.dataset.state = text; } }
tell.onmessage = ({ data }) => { if (data.said) say(data.said); else heard(data.event); };
function share(data) { tell.postMessage(data); if (data.said) say(data.said); else heard(data.event); }

async function* frames(path, from) {
  const answer = await fetch(path, { headers: from ? { "last-event-id": from } : {} });
  if (answer.status === 401) { stopped = true; share({ said: "signed out" }); return; }
  if (!answer.ok) throw new Error(answer.statusText);
  yield { open: true };
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const whole = text.split("\n\n");
    text = whole.pop();
    for (const frame of whole) yield Object.fromEntries(frame.split("\n").filter((l) => !l.startsWith(":")).map((l) => [l.slice(0, l.indexOf(":")), l.slice(l.indexOf(":") + 2)]));
  }
}
async function follow() {
  for await (const frame of frames("/v1/stream", last)) {
    if (!frame.open) { take(frame); continue; }
    share({ said: "live" });
    if (!last) share({ event: "all" }); // what happened between the page and this moment
  }
}
function take(fields) {
  if (fields.id) last = fields.id;
  if (fields.event === "reset") share({ event: "all" });
  else if (fields.data) share({ event: JSON.parse(fields.data) });
}
const rest = (ms) => new Promise((go) => setTimeout(go, ms));
async function keep() {
  for (let pause = 500; !stopped; pause = Math.min(pause * 2, 8000)) {
    const began = Date.now();
    try { await follow(); } catch { share({ said: "reconnecting …" }); }
    if (Date.now() - began > 5000) pause = 500;
    await rest(pause);
  }
}
// A method's own stream, such as the events of a run: it ends with the run.
async function accompany(id) {
  const region = () => document.getElementById(id);
  const path = region().dataset.follow;
  for (let from = region().dataset.from ?? "", ended = false; !ended && !stopped && region()?.dataset.follow === path;) {
    try {
      for await (const frame of frames(path, from)) {
        if (frame.id) from = frame.id;
        ended = frame.event === "done";
        if (region()) refresh(region());
      }
    } catch { say("reconnecting …"); }
    if (!ended) await rest(1000);
  }
}
for (const region of document.querySelectorAll("[data-follow]")) accompany(region.id);
// What a person typed, chose or opened in a region stays, though the region comes anew.
const FIELDS = "input:not([type=hidden], [type=search]), select, textarea";
const kept = new Map();
const key = (e) => [e.closest("form")?.id, e.name, e.type === "radio" ? e.value : "", e.tagName === "DETAILS" ? e.firstElementChild?.textContent : ""].join(" ");
const initial = (e) => e.tagName === "SELECT" ? Math.max(0, [...e.options].findIndex((o) => o.defaultSelected)) : e.matches("[type=checkbox], [type=radio]") ? e.defaultChecked : e.defaultValue;
const slot = (e) => e.tagName === "SELECT" ? "selectedIndex" : e.matches("[type=checkbox], [type=radio]") ? "checked" : "value";
document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
  kept.clear();
  for (const e of target.querySelectorAll(FIELDS)) if (e[slot(e)] !== initial(e)) kept.set(key(e), e.tagName === "SELECT" ? e.value : e[slot(e)]);
  for (const e of target.querySelectorAll("details")) kept.set(key(e), e.open);
});
document.addEventListener("htmx:afterSwap", () => {
  if (kept.size === 0) return;
  for (const e of document.querySelectorAll(`[data-live] :is(${FIELDS})`)) if (kept.has(key(e))) e[e.tagName === "SELECT" ? "value" : slot(e)] = kept.get(key(e));
  for (const e of document.querySelectorAll("[data-live] details")) if (kept.has(key(e))) e.open = kept.get(key(e));
  kept.clear();
});
// What scrolls keeps its place, though what is in it is new.
const places = new Map();
document.addEventListener("htmx:beforeSwap", () => document.querySelectorAll(".scrolls[id]").forEach((e) => places.set(e.id, [e.scrollLeft, e.scrollTop])));
document.addEventListener("htmx:afterSwap", () => document.querySelectorAll(".scrolls[id]").forEach((e) => { const at = places.get(e.id); if (at) [e.scrollLeft, e.scrollTop] = at; }));
if (document.querySelector("[data-live]")) {
  say("connecting …");
  if (navigator.locks) {
    navigator.locks.request("catalyst-live", { ifAvailable: true }, (lock) => {
      if (lock) return keep();
      say("live");
      heard("all");
      return undefined;
    }).then(() => { if (!stopped) navigator.locks.request("catalyst-live", keep); });
  } else keep();
}
