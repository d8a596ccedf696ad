// What the tests of one app over one scheme share: hosts, servers, people, and the search for
// tokens that ends every test.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Edge } from "./edge.mjs";
import { leaksOfTraffic } from "./leaks.mjs";
import { PASSWORD, projectFile, startExample, startShim } from "./servers.mjs";

/**
 * Over plain HTTP, browsers keep these cookies on loopback hosts only; there, another address is
 * another site, and another port of one host is a sibling. Over TLS the hosts have names.
 */
export const HOSTS = {
  http: { own: "localhost", sibling: "localhost", other: "127.0.0.1", third: "127.0.0.2" },
  https: { own: "app.auth.test", sibling: "evil.auth.test", other: "evil.test", third: "third.test" },
};

export const PRESETS = ["same_origin_spa", "server_rendered", "cross_site", "subdomains"];

const html = (body) => ({ body: `<!doctype html><html lang="en"><meta charset="utf-8"><title>test</title><body>${body}</body></html>` });

/** Pages that every edge has. `/-/app` is what an app of somebody's own would be. */
const PAGES = {
  "/-/blank": html("<p>blank</p>"),
  // Sets the cookies that its address asks for: what other hosts, or older versions, would.
  "/-/set": ({ url }) => ({ ...html("<p>set</p>"), cookies: JSON.parse(decodeURIComponent(url.split("?")[1])) }),
  "/-/auth.js": { type: "text/javascript", body: readFileSync(projectFile("examples/shared/page/auth.js")) },
  "/-/app.js": {
    type: "text/javascript",
    body: `import { authClient } from "/-/auth.js";
      window.ended = 0;
      window.auth = authClient({ onSignedOut: () => { window.ended += 1; } });`,
  },
  "/-/app": html(`<p>an app</p><script type="module" src="/-/app.js"></script>`),
};

export class World {
  constructor({ framework, scheme, engine, scratch, certificate, tokens, output }) {
    Object.assign(this, { framework, scheme, engine, scratch, tokens, output, hosts: HOSTS[scheme] });
    this.certificate = certificate;
    this.tls = scheme === "https" ? certificate : null;
    this.people = new Set();
    this.running = [];
    this.edges = [];
    mkdirSync(output, { recursive: true });
  }

  get label() {
    return `${this.engine.name} ${this.framework} ${this.scheme}`;
  }

  async edge(options = {}) {
    const edge = await Edge.start({ tls: this.tls, ...options, pages: { ...PAGES, ...options.pages } });
    this.edges.push({ edge, searched: 0 });
    return edge;
  }

  /** An example app behind an edge; `origin` is where people find it. */
  async example(options = {}) {
    const server = await startExample(this.framework, this.scratch);
    return this.#behind(server, options);
  }

  /** An example app that serves TLS by itself: nothing stands between it and the browser. */
  async tlsExample() {
    const server = await startExample(this.framework, this.scratch, { TLS: "on" });
    const app = { server, origin: `https://localhost:${server.port}` };
    this.running.push(app);
    return app;
  }

  /** A conformance server behind an edge. */
  async shim(config, options = {}) {
    const server = await startShim(this.framework, this.scratch, config);
    return this.#behind(server, options);
  }

  /** What several tests share: made by whichever comes first. */
  shared(name, make) {
    this.common ??= new Map();
    if (!this.common.has(name)) this.common.set(name, make());
    return this.common.get(name);
  }

  /** The example app that several tests share, one after the other. */
  sharedExample() {
    return this.shared("example", () => this.example());
  }

  /** A server that has nothing to do with the app; it answers on every host but the third. */
  stranger() {
    return this.shared("stranger", () => this.edge());
  }

  async #behind(server, options) {
    const edge = await this.edge({ app: server.port, ...options });
    const app = { server, edge, origin: edge.origin(this.hosts.own) };
    this.running.push(app);
    return app;
  }

  /** Ends what a test has started. */
  async end(app) {
    await app.server.stop();
    await app.edge?.stop();
  }

  /** Somebody with an empty jar. */
  async sitDown(options) {
    const person = await this.engine.sitDown(this, options);
    this.people.add(person);
    return person;
  }

  async shot(page, name) {
    await page.screenshot({ path: join(this.output, `${this.label.replaceAll(" ", "-")}-${name}.png`), fullPage: true });
  }

  /** Learns the tokens that have passed; the tests' own pages set none. */
  learn() {
    for (const { edge, searched } of this.edges) {
      this.tokens.learn(edge.log.slice(searched).filter(({ own }) => !own).flatMap((entry) => entry.setCookie));
    }
  }

  /** After every test: no token anywhere but in cookies. Then everybody leaves. */
  async search() {
    this.learn();
    const leaks = [];
    for (const known of this.edges) {
      leaks.push(...leaksOfTraffic(this.tokens, known.edge, known.searched));
      known.searched = known.edge.log.length;
    }
    for (const person of this.people) {
      for (const [where, text] of await person.traces()) {
        if (this.tokens.in(text)) leaks.push(where);
      }
    }
    for (const { server } of this.running) {
      if (this.tokens.in(server.printed)) leaks.push("what the server printed");
    }
    await Promise.all([...this.people].map((person) => person.leave()));
    assert.deepEqual(leaks, [], "tokens where they do not belong");
  }

  /** A test that ends with the search. */
  test(name, run) {
    return {
      name: `${this.label}: ${name}`,
      run: async () => {
        try {
          await run();
        } catch (error) {
          await this.#picture(name);
          throw error;
        } finally {
          await this.search();
        }
      },
    };
  }

  /** What a failed test looked like. */
  async #picture(name) {
    let count = 0;
    for (const person of this.people) {
      for (const page of person.pages()) {
        const path = join(this.output, `failed-${this.label.replaceAll(" ", "-")}-${name.replace(/\W+/g, "-")}-${count += 1}.png`);
        await page.screenshot({ path, timeout: 3000 }).catch(() => {});
      }
    }
  }

  async stop() {
    for (const app of this.running) await app.server.stop();
    for (const { edge } of this.edges) await edge.stop();
  }
}

/** The address of a page that sets these cookies. */
export const setting = (origin, ...lines) => `${origin}/-/set?${encodeURIComponent(JSON.stringify(lines))}`;

/** Signs somebody in at an example app, by its page. */
export async function signIn(page, { user = "alice", remember = false } = {}) {
  await page.fill("#username", user);
  await page.fill("#password", PASSWORD);
  if (remember) await page.check("[name=remember]");
  await page.click("#login button");
  await page.waitForSelector("#signed-in:not([hidden])");
}

/** Signs somebody in at a conformance server, from a page of its own origin. */
export async function shimLogin(page, body = {}) {
  const status = await page.evaluate(async (json) => {
    const headers = { "content-type": "application/json", "x-requested-with": "test" };
    const response = await fetch("/login", { method: "POST", headers, body: json });
    return response.status;
  }, JSON.stringify({ sub: "alice", scope: "read", ...body }));
  assert.equal(status, 200, "login");
}

/** Time passes, for an app and for a person who can turn the clock of their tabs. */
export async function pass({ server }, person, seconds) {
  await server.advance(seconds);
  await person.context.clock.fastForward(seconds * 1000);
}

/** The status of a request that the page itself makes. */
export function ask(page, path, options = {}) {
  return page.evaluate(async ([target, init]) => (await fetch(target, init)).status, [path, options]);
}

/** Who the page's origin says is here: the id of the session, or null. */
export function whoIsHere(page, path = "/me") {
  return page.evaluate(async (target) => {
    const response = await fetch(target);
    if (!response.ok) return null;
    const body = await response.json();
    return body.sid ?? body.session ?? null;
  }, path);
}
