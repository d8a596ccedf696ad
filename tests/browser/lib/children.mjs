// Processes that end with the run, however it ends.

import { spawn } from "node:child_process";

/** As `spawn` of node:child_process. */
export function begin(program, args, options) {
  const child = spawn(program, args, options);
  const end = () => child.kill();
  process.once("exit", end);
  child.once("exit", () => process.removeListener("exit", end));
  return child;
}

/** Ends it: by `ask`, and if that does not help by force. */
export async function end(child, ask) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => { child.once("exit", resolve); });
  const timer = setTimeout(() => child.kill("SIGKILL"), 8000);
  await ask();
  await ended;
  clearTimeout(timer);
}
