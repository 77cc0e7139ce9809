// How states look: one of four sorts, and always a word beside the colour.
import { element } from "./elements.js";

const SORTS = {
  good: ["SUCCEEDED", "ACTIVE", "READY_COMPONENT", "TRUE", "CANCELLED_CLEAN", "UNDONE", "DESTROYED"],
  bad: ["FAILED", "STUCK", "UNDO_FAILED", "CANCELLED_WITH_LEFTOVERS", "FALSE", "DEGRADED"],
  run: ["RUNNING", "PROVISIONING", "UPDATING", "DESTROYING", "UNDOING", "CANCELLING", "IN_DOUBT"],
  wait: ["WAITING", "PAUSED", "UNKNOWN"],
};

export function word(state) {
  return (state ?? "").replace(/^(STATE|STATUS|HEALTH)_/, "");
}

export function sort(state) {
  return Object.keys(SORTS).find((name) => SORTS[name].includes(word(state))) ?? "idle";
}

export function badge(state) {
  return element("span", { class: `badge ${sort(state)}` }, word(state).toLowerCase().replaceAll("_", " "));
}
