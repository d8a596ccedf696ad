// Tests in lanes: those of one lane one after the other, lanes side by side.
//
// Not node:test: it runs every file in a process of its own, and each would start a browser and two
// servers; here all share them. What is needed of a runner fits on this page.

/**
 * How long a test waits for what must come, at most. Nothing is judged by these two: they only end
 * what hangs, and a machine ten times as slow must not reach them.
 */
export const PATIENCE_MS = 60_000;
const LIMIT_MS = 600_000;

/** Runs `tests` of `[{ name, run }]` and counts. `pass` and `fail` are told about each. */
export async function runLane(tests, tell) {
  const failed = [];
  for (const { name, run } of tests) {
    const began = performance.now();
    let error = null;
    try {
      await withLimit(run());
    } catch (caught) {
      error = caught;
      failed.push(name);
    }
    tell(name, error, Math.round(performance.now() - began));
  }
  return { passed: tests.length - failed.length, failed };
}

function withLimit(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${LIMIT_MS / 1000} s`)), LIMIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Repeats `look` until what it gives back is true, and gives that back. */
export async function until(what, look, limit = PATIENCE_MS) {
  const end = performance.now() + limit;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`);
    await pause(25);
  }
}

export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
