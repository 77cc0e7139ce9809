// Places steps in columns by the longest way from the start, so that each stands right of all it needs.
export const NODE = { width: 168, height: 40 };
const GAP = { x: 46, y: 10 };

export function layout(steps) {
  const byId = new Map(steps.map((step) => [idOf(step.name), step]));
  const depths = new Map();
  for (const id of byId.keys()) depth(id, byId, depths, new Set());
  const columns = [];
  for (const [id, d] of depths) (columns[d] ??= []).push(id);
  const nodes = columns.flatMap((ids, column) => ids.map((id, row) => ({
    id, step: byId.get(id), x: 12 + column * (NODE.width + GAP.x), y: 12 + row * (NODE.height + GAP.y),
  })));
  const at = new Map(nodes.map((node) => [node.id, node]));
  const edges = nodes.flatMap((node) => needs(node.step).filter((id) => at.has(id)).map((id) => [at.get(id), node]));
  const tallest = Math.max(1, ...columns.map((ids) => ids?.length ?? 0));
  return { nodes, edges, width: 24 + columns.length * (NODE.width + GAP.x), height: 24 + tallest * (NODE.height + GAP.y) };
}

function depth(id, byId, depths, under) {
  if (depths.has(id)) return depths.get(id);
  if (under.has(id) || !byId.has(id)) return -1;
  under.add(id);
  const deepest = Math.max(-1, ...needs(byId.get(id)).map((need) => depth(need, byId, depths, under)));
  depths.set(id, deepest + 1);
  return deepest + 1;
}

const idOf = (name) => name.split("/").pop();
const needs = (step) => (step.needs ?? []).map(idOf);
