// Chromium as people have it: started by us with few arguments, since Playwright's own would switch
// off what is under test (storage partitioning, the back/forward cache). Playwright then drives it.

import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { begin, end } from "./children.mjs";
import { PATIENCE_MS } from "./runner.mjs";
import { readable, withoutHanging } from "./readable.mjs";

const PROGRAM = process.env.AUTH_TEST_CHROMIUM || "/usr/bin/chromium";

export class Chromium {
  /** `certificate`: the one to accept. `profile`: where it keeps what outlives it. */
  static async start(scratch, { spki }, _hosts, profile = mkdtempSync(join(scratch, "profile-"))) {
    const child = begin(PROGRAM, [
      "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      // A page in the background goes on as one in the foreground: tests would wait for minutes.
      "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
      `--user-data-dir=${profile}`,
      "--remote-debugging-port=0",
      `--ignore-certificate-errors-spki-list=${spki}`,
      "--host-resolver-rules=MAP *.test 127.0.0.1",
      "about:blank",
    ], { stdio: ["ignore", "ignore", "pipe"] });
    const address = await new Promise((resolve, reject) => {
      let text = "";
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`${PROGRAM} ended with ${code}: ${text}`)));
      child.stderr.on("data", (data) => {
        text += data;
        const ready = /DevTools listening on (ws:\S+)/.exec(text);
        if (ready) resolve(ready[1]);
      });
    });
    const browser = await chromium.connectOverCDP(address);
    return Object.assign(new Chromium(), { child, browser, profile });
  }

  get version() {
    return this.browser.version();
  }

  /** `clockOf`: the app whose clock their tabs go by; it can be turned there as well. */
  async sitDown(world, { clockOf = null, ...options } = {}) {
    const context = await this.browser.newContext({ locale: "en-GB", ...options });
    if (clockOf) await context.clock.install({ time: Date.now() + clockOf.server.ahead * 1000 });
    return new Person(world, context);
  }

  /** Closes it as its user would, so that it saves what it keeps. */
  async stop() {
    const session = await this.browser.newBrowserCDPSession();
    await end(this.child, () => session.send("Browser.close").catch(() => {}));
  }
}

/** One person at one browser: a cookie jar, its tabs, and all that their consoles said. */
export class Person {
  /** At a browser of their own, whose jar outlives it. */
  static ofProfile(world, chromium) {
    return new Person(world, chromium.browser.contexts()[0]);
  }

  constructor(world, context) {
    Object.assign(this, { world, context, console: [] });
    context.setDefaultTimeout(PATIENCE_MS);
    context.on("console", (message) => {
      const { url } = message.location();
      this.console.push({ type: message.type(), text: message.text(), url });
    });
    context.on("weberror", (error) => {
      this.console.push({ type: "error", text: String(error.error()), url: "" });
    });
  }

  pages() {
    return this.context.pages();
  }

  newPage() {
    return this.context.newPage();
  }

  async open(url) {
    const page = await this.newPage();
    await page.goto(url);
    return page;
  }

  /** The jar, as Chromium's own tools show it. */
  async jar() {
    const page = this.context.pages()[0] ?? (await this.context.newPage());
    const session = await this.context.newCDPSession(page);
    const { cookies } = await session.send("Network.getAllCookies");
    await session.detach();
    return cookies;
  }

  async cookie(name) {
    return (await this.jar()).find((cookie) => cookie.name === name);
  }

  /**
   * What consoles should not have said: errors, exceptions, violations of the policy. The browser
   * itself notes each answer from 400 up; those that a test provokes are `expected`.
   */
  complaints(expected = []) {
    return this.console
      .filter(({ type, text }) => type === "error" || type === "warning" || /Content Security Policy/.test(text))
      .filter(({ text }) => {
        const noted = /Failed to load resource: the server responded with a status of (\d+)/.exec(text);
        return !noted || !expected.includes(Number(noted[1]));
      })
      .map(({ text, url }) => `${text} (${url})`);
  }

  /** Everything that script or a passer-by could read in this person's tabs. */
  async traces() {
    const found = [["console", this.console.map(({ text, url }) => `${text} ${url}`).join("\n")]];
    for (const page of this.context.pages()) {
      for (const frame of page.frames()) {
        const text = await withoutHanging(frame.evaluate(readable));
        found.push([`${frame.url()} as a page`, text ?? ""], ["a URL", frame.url()]);
      }
    }
    return found;
  }

  async leave() {
    this.world.people.delete(this);
    await this.context.close();
  }
}
