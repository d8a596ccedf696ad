// Processes that end with the run, however it ends.

import { spawn } from "node:child_process";

const children = new Set();
process.once("exit", () => {
  for (const child of children) child.kill();
});

/** As `spawn` of node:child_process. */
export function begin(program, args, options) {
  const child = spawn(program, args, options);
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

/** Ends it: by `ask`, and if that does not help by force. */
export async function end(child, ask) {
  if (!children.has(child)) return;
  const ended = new Promise((resolve) => { child.once("exit", resolve); });
  const timer = setTimeout(() => child.kill("SIGKILL"), 8000);
  await ask();
  await ended;
  clearTimeout(timer);
}
