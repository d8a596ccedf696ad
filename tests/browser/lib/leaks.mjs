// Tokens belong into Set-Cookie, Cookie, and nowhere else. This knows every token that a run has
// seen, and looks for any stretch of one.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Long enough to be no accident, short enough to find a token that was cut or wrapped. */
const STRETCH = 24;

export class Tokens {
  constructor() {
    this.stretches = new Map();
  }

  /** Learns the tokens of these Set-Cookie lines. */
  learn(lines) {
    for (const line of lines) {
      const [, name, value] = /^([^=;]+)=([^;]*)/.exec(line) ?? [];
      if (!value || !/(^|-)(at|rt)$/.test(name)) continue;
      // The header of a token is the same for all, and says nothing.
      const secret = value.slice(value.search(/[._]/) + 1);
      for (let at = 0; at + STRETCH <= secret.length; at += STRETCH) {
        this.stretches.set(secret.slice(at, at + STRETCH), name);
      }
    }
  }

  get count() {
    return this.stretches.size;
  }

  /** The name of a token that `text` has a stretch of. */
  in(text) {
    for (const [run] of text.matchAll(/[\w.-]{24,}/g)) {
      for (let at = 0; at + STRETCH <= run.length; at += 1) {
        const name = this.stretches.get(run.slice(at, at + STRETCH));
        if (name) return name;
      }
    }
    return null;
  }
}

/** What of a token is where it does not belong, among what an edge has seen. */
export function* leaksOfTraffic(tokens, edge, from) {
  for (const entry of edge.log.slice(from)) {
    const what = `${entry.method} ${entry.path}`;
    if (tokens.in(entry.url)) yield `the URL of ${what}`;
    if (tokens.in(entry.sent)) yield `the body that was sent with ${what}`;
    if (tokens.in(entry.body)) yield `the body of the answer to ${what}`;
    for (const [name, value] of entry.headers) {
      if (name.toLowerCase() !== "cookie" && tokens.in(value)) yield `the field ${name} of ${what}`;
    }
    for (const [name, value] of entry.answered ?? []) {
      if (name.toLowerCase() !== "set-cookie" && tokens.in(value)) yield `the field ${name} of the answer to ${what}`;
    }
  }
}

/** The files below `folder` that have a stretch of a token. Chromium encrypts its cookies. */
export function leaksOnDisk(tokens, folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((path) => tokens.in(readFileSync(path).toString("latin1")));
}
