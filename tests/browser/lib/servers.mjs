// The programs under test: the two example apps, and the two conformance servers where a test needs
// a clock that it can turn or another cookie preset.

import { existsSync, mkdtempSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { begin, end } from "./children.mjs";
import { until } from "./runner.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const binaries = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug");

export const PASSWORD = "correct horse battery staple";
/** The settle time of an example app, in seconds; its access tokens live for longer. */
export const SETTLE = 300;
/** Longer than an access token of any server here lives, in seconds. */
export const HOUR = 3600;
/** Where the manual clock of a conformance server starts. */
export const NOW = 1_800_000_000;

/** libfaketime: the example apps go by the machine's clock, and this turns it for them alone. */
const FAKETIME = process.env.AUTH_TEST_FAKETIME
  || readdirSync("/usr/lib").map((folder) => `/usr/lib/${folder}/faketime/libfaketimeMT.so.1`).find(existsSync);

export const projectFile = (path) => join(root, path);

class Server {
  constructor(child, port, output) {
    Object.assign(this, { child, port, output });
  }

  /** Everything that it has printed. */
  get printed() {
    return this.output.join("");
  }

  stop() {
    return end(this.child, () => this.child.kill());
  }
}

function start(binary, args, env) {
  const child = begin(join(binaries, binary), args, {
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
      const ready = /listening https?:\/\/[^\s:]+:(\d+)/.exec(text);
      if (ready) resolve(new Server(child, Number(ready[1]), output));
    });
  });
}

/**
 * An example app with its sessions in a directory of its own, and a clock that tests can turn. Its
 * numbers are so large that nothing ends and nothing settles by itself while a test runs, however
 * slow the machine is.
 */
export async function startExample(framework, scratch, settings = {}) {
  const data = mkdtempSync(join(scratch, `${framework}-`));
  const clock = join(data, "clock");
  const turn = (ahead) => {
    writeFileSync(`${clock}.new`, `+${ahead}`);
    renameSync(`${clock}.new`, clock);
  };
  turn(0);
  const server = await start(`example-${framework}`, [], {
    PORT: "0",
    DATA_DIR: data,
    DEMO_PASSWORD: PASSWORD,
    ACCESS_SECONDS: "600",
    RETRY_WINDOW_SECONDS: "30",
    SETTLE_SECONDS: String(SETTLE),
    LD_PRELOAD: FAKETIME ?? "",
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
    ...settings,
  });
  server.ahead = 0;
  server.advance = async (seconds) => {
    if (!FAKETIME) throw new Error("libfaketime is not installed");
    server.ahead += seconds;
    turn(server.ahead);
    await until("the app knows all revocations again", async () => (await fetch(`http://127.0.0.1:${server.port}/ready`)).ok);
  };
  return server;
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
