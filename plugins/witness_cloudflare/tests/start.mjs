// node start.mjs MODULES PORT FOLDER TOKEN CELL: the cell in the real runtime, from `miniflare`, on loopback.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const [modules, port, folder, token, cell] = process.argv.slice(2);
const { Miniflare } = createRequire(`${modules}/`)("miniflare");
const running = new Miniflare({
  host: "127.0.0.1", port: Number(port), modules: true, script: readFileSync(cell, "utf8"), compatibilityDate: "2025-01-01", cf: false,
  durableObjects: { SLOT: { className: "Slot", useSQLite: true } }, durableObjectsPersist: folder, bindings: { TOKEN: token },
});
await running.ready;
console.log("ready");
