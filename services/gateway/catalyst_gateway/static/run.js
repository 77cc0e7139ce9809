// One run, live: a graph of steps by their needs, progress, and the events as they come.
import { api, everyPage } from "./api.js";
import { element, replace } from "./elements.js";
import { layout, NODE } from "./layout.js";
import { badge, sort, word } from "./states.js";

const LOG = 400;
const DONE = new Set(["SUCCEEDED", "SKIPPED", "UNDONE"]);

export async function runPage(page, name) {
  const parts = {
    state: element("span"), progress: element("progress", { max: "1", "aria-label": "Steps done" }), count: element("p", { class: "quiet", id: "count" }),
    graph: element("div", { id: "graph", role: "group", "aria-label": "Steps of the run" }), detail: element("pre", { id: "detail" }, "Choose a step."),
    log: element("ol", { class: "log", id: "log", tabindex: "0", "aria-label": "Events of the run" }),
  };
  replace(page, element("h1", {}, name), element("p", {}, parts.state), parts.progress, parts.count, parts.graph,
    element("h2", {}, "Step"), parts.detail, element("h2", {}, "Events"), parts.log,
    element("h2", {}, "The same on a command line"), element("pre", {}, `catalyst run get ${name}\ncatalyst run events ${name} --follow`));
  const refresh = soon(() => draw(name, parts));
  await draw(name, parts);
  return follow(name, parts, refresh);
}

async function draw(name, parts) {
  // One after the other: steps that were read before the run could be older than its state, and a run that ended show one going on.
  const run = await api(`/v1/${name}`);
  const steps = await everyPage(`/v1/${name}/steps`, "steps");
  const done = steps.filter((s) => DONE.has(word(s.state))).length;
  replace(parts.state, badge(run.state), " ", run.error?.message ?? "");
  parts.progress.max = Math.max(1, steps.length);
  parts.progress.value = done;
  parts.count.textContent = `${done} of ${steps.length} steps done`;
  drawGraph(parts, steps);
  parts.graph.dataset.state = word(run.state);
}

function drawGraph(parts, steps) {
  const { nodes, edges, width, height } = layout(steps);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  svg.setAttribute("aria-hidden", "true");
  for (const [from, to] of edges) svg.append(curve(from, to));
  const chosen = document.activeElement?.dataset?.step;
  replace(parts.graph, svg, ...nodes.map((node) => button(node, parts)));
  parts.graph.style.minHeight = `${Math.min(height, 420)}px`;
  if (chosen) parts.graph.querySelector(`[data-step="${CSS.escape(chosen)}"]`)?.focus({ preventScroll: true });
}

function button({ step, id, x, y }, parts) {
  const state = word(step.state).toLowerCase().replaceAll("_", " ");
  const made = element("button", { class: `step ${sort(step.state)}`, "data-step": id, "data-state": word(step.state), title: id }, element("b", {}, id), state);
  made.style.left = `${x}px`;
  made.style.top = `${y}px`;
  made.addEventListener("click", () => { parts.detail.textContent = JSON.stringify(step, null, 1); });
  return made;
}

function curve(from, to) {
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const [x1, y1, x2, y2] = [from.x + NODE.width, from.y + NODE.height / 2, to.x, to.y + NODE.height / 2];
  const bend = Math.max(20, (x2 - x1) / 2);
  path.setAttribute("d", `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`);
  return path;
}

function follow(name, parts, refresh) {
  const live = document.getElementById("live");
  const source = new EventSource(`/v1/${name}/events:stream`);
  const told = (event) => {
    const data = JSON.parse(event.data);
    if (data.seq !== "0" && data.seq !== 0) log(parts.log, data);
    refresh();
    if (data.code === "done") stop("ended");
  };
  const stop = (text) => { source.close(); live.textContent = text; };
  source.onopen = () => { live.textContent = "live"; };
  source.onerror = () => { live.textContent = "reconnecting …"; };
  // Frames are named by their code; one listener for each name that was met, and one for frames without a name.
  const listen = source.addEventListener.bind(source);
  for (const code of CODES) listen(code, told);
  source.onmessage = told;
  return () => stop("");
}

const CODES = ["done", "run.created", "run.started", "run.waiting", "run.paused", "run.resumed", "run.cancelling", "run.cancelled", "run.succeeded", "run.failed",
  "run.stuck", "run.taken_over", "step.ready", "step.started", "step.running", "step.waiting", "step.in_doubt", "step.succeeded", "step.failed", "step.retrying", "step.skipped", "step.undoing",
  "step.undone", "step.undo_failed", "resource.intended", "resource.created", "resource.deleted", "component.changed", "agent.enrolled", "agent.silent", "cluster.enrolled", "message"];

function log(list, event) {
  const line = `${event.time?.slice(11, 19) ?? ""} ${event.code} ${event.step ? event.step.split("/").pop() : ""} ${event.message ?? ""}`;
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
  list.append(element("li", { value: event.seq }, line));
  while (list.children.length > LOG) list.firstChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function soon(work) {
  let planned = null;
  return () => { planned ??= setTimeout(() => { planned = null; work(); }, 120); };
}
