// The programs under test: the two example apps, and the two conformance servers where a test needs
// a clock that it can turn or another cookie preset.

import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const binaries = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug");

export const PASSWORD = "correct horse battery staple";
/** Where the manual clock of a conformance server starts. */
export const NOW = 1_800_000_000;

export const projectFile = (path) => join(root, path);

class Server {
  constructor(child, port, output) {
    Object.assign(this, { child, port, output });
  }

  /** Everything that it has printed. */
  get printed() {
    return this.output.join("");
  }

  async stop() {
    if (this.child.exitCode !== null) return;
    const ended = new Promise((resolve) => { this.child.once("exit", resolve); });
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 6000);
    await ended;
    clearTimeout(timer);
  }
}

function start(binary, args, env) {
  const child = spawn(join(binaries, binary), args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = [];
  child.stderr.on("data", (data) => output.push(data.toString()));
  return new Promise((resolve, reject) => {
    let text = "";
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${binary} ended with ${code}: ${output.join("")}`)));
    child.stdout.on("data", (data) => {
      text += data;
      output.push(data.toString());
      const ready = /listening http:\/\/[^\s:]+:(\d+)/.exec(text);
      if (ready) resolve(new Server(child, Number(ready[1]), output));
    });
  });
}

/** An example app with its sessions in a directory of its own. */
export function startExample(framework, scratch, numbers = {}) {
  const data = mkdtempSync(join(scratch, `${framework}-`));
  return start(`example-${framework}`, [], {
    PORT: "0",
    DATA_DIR: data,
    DEMO_PASSWORD: PASSWORD,
    ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, String(value)])),
  });
}

/** A conformance server with sessions in memory. */
export async function startShim(framework, scratch, { session = {}, ...config }) {
  const file = join(mkdtempSync(join(scratch, "shim-")), "config.json");
  writeFileSync(file, JSON.stringify({
    issuer: "https://issuer.example",
    audience: "https://api.example",
    keys: [{ kty: "oct", kid: "k1", alg: "HS256", k: Buffer.alloc(32, 7).toString("base64url") }],
    sign_with: "k1",
    leeway_s: 0,
    now: NOW,
    store: "memory:",
    session: { access_s: 600, access_jitter: 0, ...session },
    revocation: { stale: "fail_closed", after_s: 30 },
    ...config,
  }));
  const server = await start(`shim-${framework}`, [file], { SHIM_LOG: "1" });
  const control = async (op, body) => {
    const response = await fetch(`http://127.0.0.1:${server.port}/shim/${op}`, body && {
      method: "POST",
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`/shim/${op}: ${response.status}`);
    return response.status === 204 ? null : response.json();
  };
  server.advance = (seconds) => control("clock", { advance_s: seconds });
  server.stats = () => control("stats");
  server.fault = (op, count) => control("fault", { op, mode: "down", count });
  /** The refreshes that wrote to the store: "rotated", "recovered", "resumed". */
  server.writes = async () => {
    const { events } = await control("stats");
    const causes = events.filter(({ kind }) => kind === "refreshed").map(({ cause }) => cause);
    return causes.filter((cause) => ["rotated", "recovered", "resumed"].includes(cause));
  };
  return server;
}
