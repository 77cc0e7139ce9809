// A lease cell as a Cloudflare Worker: one Durable Object for each slot, whose storage is SQLite.
//
// Bindings
//   SLOT         Durable Object namespace of the class Slot (new_sqlite_classes)
//   TOKEN        secret; what callers show as `Authorization: Bearer`
//   INCARNATION  number, raised by the operator whenever the storage was set back; default 1
//
// Invariants
//   one step     no await stands between the comparison and the write, so that no other request comes between them;
//   durable      `storage.sync()` ends before the answer begins;
//   itself       every answer of the cell has the header Catalyst-Cell with its id; what has none, comes from somebody else.
import { DurableObject } from "cloudflare:workers";

const MOST_OCTETS = 255;
const encoder = new TextEncoder();

// One slot: the value of the cell surface, and the state of the lease surface.
export class Slot extends DurableObject {
  constructor(context, env) {
    super(context, env);
    this.sql = context.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL, tag TEXT NOT NULL)");
  }

  kept(name) {
    return this.sql.exec("SELECT value, tag FROM kept WHERE name = ?", name).toArray()[0];
  }

  keep(name, value, tag) {
    this.sql.exec("INSERT OR REPLACE INTO kept (name, value, tag) VALUES (?, ?, ?)", name, value, tag);
  }

  // The id of the whole cell: drawn once, and gone with the storage.
  async cellId() {
    if (!this.kept("id")) this.keep("id", crypto.randomUUID(), "");
    await this.ctx.storage.sync();
    return this.kept("id").value;
  }

  async read() {
    const kept = this.kept("cell");
    return kept ? { status: 200, body: kept.value, tag: kept.tag } : { status: 404 };
  }

  // Writes `value` only where the tag that stands is `old` (null: only where nothing stands).
  async swap(old, value, tag) {
    const kept = this.kept("cell");
    if ((kept ? kept.tag : null) !== old) return { status: 412, tag: kept?.tag };
    this.keep("cell", value, tag);
    await this.ctx.storage.sync();
    return { status: kept ? 200 : 201, tag };
  }

  lease() {
    const kept = this.kept("lease");
    return kept ? JSON.parse(kept.value) : undefined;
  }

  async look() {
    const state = this.lease();
    return state ? { status: 200, state } : { status: 404 };
  }

  async take(generation, wish) {
    const now = Date.now();
    const state = this.lease();
    const refused = { status: 412, state };
    if ((state ? state.generation : 0) !== generation) return refused;
    const isHeld = Boolean(state?.holder);
    if (wish.op === "renew" && !(isHeld && state.holder === wish.holder)) return refused;
    if (wish.op === "acquire" && isHeld && state.holder !== wish.holder && Date.parse(state.expiresAt) > now) return refused;
    const after = {
      holder: wish.holder,
      acquiredAt: wish.op === "renew" ? state.acquiredAt : new Date(now).toISOString(),
      expiresAt: new Date(now + wish.ttlSeconds * 1000).toISOString(),
      generation: generation + 1,
    };
    this.keep("lease", JSON.stringify(after), "");
    await this.ctx.storage.sync();
    return { status: 200, state: after };
  }

  async release(generation, holder) {
    const state = this.lease();
    if (!state || state.generation !== generation || !state.holder || state.holder !== holder) return { status: 412, state };
    const after = { ...state, holder: "", generation: generation + 1 };
    this.keep("lease", JSON.stringify(after), "");
    await this.ctx.storage.sync();
    return { status: 204 };
  }
}

export default {
  async fetch(request, env) {
    if (!(await isAllowed(request, env.TOKEN))) return new Response("a bearer token is wanted\n", { status: 401 });
    const id = await env.SLOT.get(env.SLOT.idFromName(" identity")).cellId();
    const answer = await route(request, env, id);
    answer.headers.set("Catalyst-Cell", id);
    answer.headers.set("Cache-Control", "no-store");
    return answer;
  },
};

async function route(request, env, id) {
  const [, surface, slot, ...rest] = new URL(request.url).pathname.split("/");
  if (rest.length) return said(400); // 404 says that a slot has no value, and nothing else
  if (surface === "identity" && slot === undefined && request.method === "GET") {
    const incarnation = Number(env.INCARNATION ?? 1);
    return Response.json({ cellId: id, incarnation, consistency: "linearizable", software: "durable-object" });
  }
  if (!slot || !/^[a-z0-9.-]{1,128}$/.test(slot)) return said(400);
  const object = env.SLOT.get(env.SLOT.idFromName(slot));
  if (surface === "cell") return cell(request, object);
  if (surface === "lease") return lease(request, object);
  return said(400);
}

async function cell(request, object) {
  if (request.method === "GET") return tagged(await object.read());
  if (request.method !== "PUT") return said(405);
  const value = await request.text();
  const match = request.headers.get("If-Match");
  const none = request.headers.get("If-None-Match") === "*";
  if (Boolean(match) === none || !value || encoder.encode(value).length > MOST_OCTETS) return said(400);
  return tagged(await object.swap(none ? null : match, value, `"${await sha256(value)}"`));
}

async function lease(request, object) {
  if (request.method === "GET") return stated(await object.look());
  const generation = Number(request.headers.get("If-Match") ?? NaN);
  if (!Number.isInteger(generation)) return said(428);
  if (request.method === "DELETE") return stated(await object.release(generation, request.headers.get("X-Holder") ?? ""));
  if (request.method !== "PUT") return said(405);
  const wish = await request.json().catch(() => null);
  const isWish = wish && typeof wish.holder === "string" && wish.holder && Number(wish.ttlSeconds) > 0;
  if (!isWish || !["acquire", "renew"].includes(wish.op)) return said(400);
  return stated(await object.take(generation, { ...wish, ttlSeconds: Number(wish.ttlSeconds) }));
}

function tagged({ status, body, tag }) {
  return new Response(body ?? null, { status, headers: tag ? { ETag: tag } : {} });
}

function stated({ status, state }) {
  return state ? Response.json(state, { status }) : new Response(null, { status });
}

function said(status) {
  return new Response(null, { status });
}

async function sha256(text) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
  return [...digest].map((octet) => octet.toString(16).padStart(2, "0")).join("");
}

// Hashes of equal length are compared, in a time that tells nothing.
async function isAllowed(request, token) {
  const shown = (request.headers.get("Authorization") ?? "").replace(/^Bearer /, "");
  const [one, other] = await Promise.all([sha256(shown), sha256(token ?? "")]);
  return Boolean(token) && crypto.subtle.timingSafeEqual(encoder.encode(one), encoder.encode(other));
}
