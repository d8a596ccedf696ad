// The browser tests: `npm ci && node run.mjs [chromium | firefox | webkit]… [words of test names…]`.
// Needs the debug binaries of the example apps and the conformance servers, libfaketime, and the
// browsers: those of Debian's packages, or what the variables in lib/engines.mjs name.
// The last line is `N passed, N failed`. Screenshots and tables go to tests/output/browser.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "./lib/certificate.mjs";
import { ENGINES } from "./lib/engines.mjs";
import { Tokens } from "./lib/leaks.mjs";
import { runLane } from "./lib/runner.mjs";
import { projectFile } from "./lib/servers.mjs";
import { HOSTS, World } from "./lib/world.mjs";
import * as attacks from "./suites/attacks.mjs";
import * as cookies from "./suites/cookies.mjs";
import * as engines from "./suites/engines.mjs";
import * as foreign from "./suites/foreign.mjs";
import * as page from "./suites/page.mjs";
import * as rendered from "./suites/rendered.mjs";
import * as tabs from "./suites/tabs.mjs";
import * as tossing from "./suites/tossing.mjs";

/** What every engine must show; Chromium shows the rest too, with what only Playwright can do. */
const EVERYWHERE = { engines, foreign, attacks };
const SUITES = { chromium: { page, cookies, rendered, tabs, tossing, ...EVERYWHERE }, firefox: EVERYWHERE, webkit: EVERYWHERE };

// An `exit` follows, which ends every child.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

const names = Object.keys(ENGINES);
const asked = process.argv.slice(2).filter((word) => names.includes(word));
const words = process.argv.slice(2).filter((word) => !names.includes(word));
const output = projectFile("tests/output/browser");
rmSync(output, { recursive: true, force: true });
const scratch = mkdtempSync(join(tmpdir(), "auth-browser."));
const certificate = makeCertificate(["*.auth.test", "*.test"]);
const tokens = new Tokens();
const table = [];

function tell(name, error, ms) {
  console.log(`${error ? "FAILED" : "ok    "} ${name} (${ms} ms)`);
  if (error) console.log(String(error.stack ?? error).replace(/^/gm, "         "));
}

/** All of one framework: its tests would be in each other's way, those of the other are not. */
async function lane(engine, framework) {
  const results = [];
  for (const scheme of ["http", "https"]) {
    const world = new World({ framework, scheme, engine, scratch, certificate, tokens, output });
    try {
      for (const suite of Object.values(SUITES[engine.name])) {
        const tests = suite.tests(world, table);
        const wanted = tests.filter(({ name }) => words.every((word) => name.includes(word)));
        results.push(await runLane(wanted, tell));
      }
    } finally {
      await world.stop();
    }
  }
  return results;
}

const results = [];
try {
  for (const name of asked.length ? asked : names) {
    const began = performance.now();
    const engine = await ENGINES[name].start(scratch, certificate, Object.values(HOSTS.https));
    engine.name = name;
    console.log(`${name} ${engine.version}`);
    try {
      results.push(...(await Promise.all(["axum", "actix"].map((framework) => lane(engine, framework)))).flat());
    } finally {
      await engine.stop();
    }
    console.log(`${name}: ${Math.round((performance.now() - began) / 1000)} s`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
}
if (table.length) writeFileSync(join(output, "attacks.md"), attacks.asTable(table));
const passed = results.reduce((sum, result) => sum + result.passed, 0);
const failed = results.flatMap((result) => result.failed);
console.log(`${tokens.count} stretches of tokens were looked for`);
for (const name of failed) console.log(`failed: ${name}`);
console.log(`${passed} passed, ${failed.length} failed`);
process.exitCode = failed.length || !passed ? 1 : 0;
