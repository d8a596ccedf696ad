// The browser tests: `npm ci && node run.mjs [words of test names…]`. Needs the debug binaries of
// the example apps and the conformance servers, and Chromium (AUTH_TEST_CHROMIUM, or Debian's).
// The last line is `N passed, N failed`. Screenshots and tables go to tests/output/browser.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Chromium } from "./lib/browser.mjs";
import { makeCertificate } from "./lib/certificate.mjs";
import { Tokens } from "./lib/leaks.mjs";
import { runLane } from "./lib/runner.mjs";
import { projectFile } from "./lib/servers.mjs";
import { World } from "./lib/world.mjs";
import * as attacks from "./suites/attacks.mjs";
import * as cookies from "./suites/cookies.mjs";
import * as page from "./suites/page.mjs";
import * as rendered from "./suites/rendered.mjs";
import * as tabs from "./suites/tabs.mjs";
import * as tossing from "./suites/tossing.mjs";

const SUITES = { page, cookies, rendered, tabs, tossing, attacks };
const words = process.argv.slice(2);
const output = projectFile("tests/output/browser");
rmSync(output, { recursive: true, force: true });
const scratch = mkdtempSync(join(tmpdir(), "auth-browser."));
const certificate = makeCertificate(["*.auth.test", "*.test"]);
const chromium = await Chromium.start(scratch, certificate.spki);
const tokens = new Tokens();
const table = [];
console.log(`Chromium ${chromium.version()}`);

function tell(name, error, ms) {
  console.log(`${error ? "FAILED" : "ok    "} ${name} (${ms} ms)`);
  if (error) console.log(String(error.stack ?? error).replace(/^/gm, "         "));
}

/** All of one framework: its tests would be in each other's way, those of the other are not. */
async function lane(framework) {
  const results = [];
  for (const scheme of ["http", "https"]) {
    const world = new World({ framework, scheme, chromium, scratch, certificate, tokens, output });
    try {
      for (const suite of Object.values(SUITES)) {
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

let results;
try {
  results = (await Promise.all(["axum", "actix"].map(lane))).flat();
} finally {
  await chromium.stop();
  rmSync(scratch, { recursive: true, force: true });
}
if (table.length) writeFileSync(join(output, "attacks.md"), attacks.asTable(table));
const passed = results.reduce((sum, result) => sum + result.passed, 0);
const failed = results.flatMap((result) => result.failed);
console.log(`${tokens.count} stretches of tokens were looked for`);
for (const name of failed) console.log(`failed: ${name}`);
console.log(`${passed} passed, ${failed.length} failed`);
process.exitCode = failed.length || !passed ? 1 : 0;
