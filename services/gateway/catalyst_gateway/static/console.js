// The console's router and its pages: sign-in, Sovereigns, one Sovereign, one run live.
import { api, NotSignedIn, signIn } from "./api.js";
import { element, replace } from "./elements.js";
import { runPage } from "./run.js";
import { badge } from "./states.js";

const page = document.getElementById("page");
const path = document.getElementById("path");
let leave = () => {};

async function show() {
  leave();
  leave = () => {};
  const names = location.pathname.replace(/^\/console\/?/, "").split("/").filter(Boolean);
  replace(path, ...crumbs(names));
  try {
    if (names[2] === "runs" && names[3]) leave = await runPage(page, names.slice(0, 4).join("/"));
    else if (names[0] === "sovereigns" && names[1]) await sovereign(names.slice(0, 2).join("/"));
    else await sovereigns();
  } catch (error) {
    if (error instanceof NotSignedIn) signInPage();
    else replace(page, element("p", { class: "error" }, error.message));
  }
}

function crumbs(names) {
  return names.flatMap((name, i) => (i % 2 ? [" / ", link(`/console/${names.slice(0, i + 1).join("/")}`, name)] : []));
}

export function link(href, text) {
  const a = element("a", { href }, text);
  a.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, "", href);
    show();
  });
  return a;
}

async function sovereigns() {
  const { sovereigns: rows } = await api("/v1/sovereigns");
  const body = rows.map((s) => [link(`/console/${s.name}`, s.name), badge(s.state), s.fqdn, s.health?.replace("HEALTH_", "")]);
  replace(page, element("h1", {}, "Sovereigns"),
    rows.length ? table(["name", "state", "fqdn", "health"], body) : empty("There is none yet.", "catalyst sovereign create --file sovereign.yaml"));
}

async function sovereign(name) {
  const [one, { runs }] = await Promise.all([api(`/v1/${name}`), api(`/v1/${name}/runs`)]);
  const rows = runs.map((r) => [link(`/console/${r.name}`, r.name.split("/").pop()), badge(r.state), r.intent?.replace("INTENT_", ""), r.startTime]);
  const conditions = (one.conditions ?? []).map((c) => [c.type, badge(c.status), c.reason, c.message]);
  replace(page, element("h1", {}, name), element("p", {}, badge(one.state), " ", one.fqdn, one.simulated ? " (simulated)" : ""),
    element("h2", {}, "Runs"), table(["run", "state", "intent", "started"], rows),
    element("h2", {}, "Conditions"), table(["type", "status", "reason", "message"], conditions),
    element("h2", {}, "The same on a command line"), element("pre", {}, `catalyst sovereign get ${name}\ncurl -H "Authorization: Bearer $TOKEN" ${location.origin}/v1/${name}`));
}

export function table(heads, rows) {
  return element("table", {}, element("thead", {}, element("tr", {}, ...heads.map((h) => element("th", { scope: "col" }, h)))),
    element("tbody", {}, ...rows.map((cells) => element("tr", {}, ...cells.map((c) => element("td", {}, c ?? ""))))));
}

function empty(what, command) {
  return element("div", {}, element("p", { class: "quiet" }, what), element("pre", {}, command));
}

function signInPage() {
  const code = element("input", { id: "code", autocomplete: "one-time-code", inputmode: "numeric", required: "" });
  const problem = element("p", { class: "error", role: "alert" });
  const form = element("form", {}, element("h1", {}, "Sign in"),
    element("label", { for: "code" }, "Code that `catalyst dev` printed"), code, element("button", {}, "Sign in"), problem);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await signIn(code.value);
      show();
    } catch (error) {
      problem.textContent = error.message;
    }
  });
  replace(page, form);
  code.focus();
}

addEventListener("popstate", show);
show();
