// Firefox, driven by WebDriver BiDi, which it speaks by itself. Each person is a user context, which
// has a jar of its own.

import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import WebSocket from "ws";
import { begin, end } from "./children.mjs";
import { Person, Tab } from "./person.mjs";

const PROGRAM = process.env.AUTH_TEST_FIREFOX || "/usr/bin/firefox-esr";

const PREFERENCES = (hosts) => ({
  // These names lead to this machine, and no other resolver is asked.
  "network.dns.localDomains": hosts.join(","),
  "network.trr.mode": 5,
  "datareporting.policy.dataSubmissionEnabled": false,
  // The viewer for JSON is a page of the browser's own.
  "devtools.jsonview.enabled": false,
});

/** A connection by which commands are sent and events received. */
class Bidi {
  #waiting = new Map();
  #count = 0;
  /** Event → what to do with its parameters. */
  on = new Map();

  static async connect(address) {
    const bidi = new Bidi();
    bidi.socket = new WebSocket(address);
    bidi.socket.on("message", (data) => bidi.#receive(JSON.parse(data)));
    await new Promise((resolve, reject) => {
      bidi.socket.once("open", resolve);
      bidi.socket.once("error", reject);
    });
    return bidi;
  }

  send(method, params) {
    const id = this.#count += 1;
    this.socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve, reject) => { this.#waiting.set(id, { method, resolve, reject }); });
  }

  #receive({ id, type, method, params, result, error, message }) {
    if (type === "event") return this.on.get(method)?.(params);
    const { method: asked, resolve, reject } = this.#waiting.get(id) ?? {};
    this.#waiting.delete(id);
    if (type === "error") reject?.(new Error(`${asked}: ${error}: ${message}`));
    else resolve?.(result);
  }
}

export class Firefox {
  /** The tab's id → whose it is. */
  owners = new Map();

  static async start(scratch, _certificate, hosts) {
    const firefox = new Firefox();
    const home = mkdtempSync(join(scratch, "firefox-"));
    const profile = join(home, "profile");
    mkdirSync(profile);
    const line = ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`;
    writeFileSync(join(profile, "user.js"), Object.entries(PREFERENCES(hosts)).map(line).join(""));
    const child = begin(PROGRAM, ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "about:blank"], {
      env: { ...process.env, HOME: home, MOZ_CRASHREPORTER_DISABLE: "1" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const address = await new Promise((resolve, reject) => {
      let text = "";
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`${PROGRAM} ended with ${code}: ${text}`)));
      child.stderr.on("data", (data) => {
        text += data;
        const ready = /WebDriver BiDi listening on (ws:\S+)/.exec(text);
        if (ready) resolve(ready[1]);
      });
    });
    const bidi = await Bidi.connect(`${address}/session`);
    Object.assign(firefox, { child, bidi });
    const { capabilities } = await bidi.send("session.new", { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } });
    firefox.version = capabilities.browserVersion;
    bidi.on.set("log.entryAdded", ({ level, text, source, stackTrace }) => {
      const url = stackTrace?.callFrames[0]?.url ?? "";
      firefox.owners.get(source.context)?.console.push({ type: level, text: text ?? "", url });
    });
    await bidi.send("session.subscribe", { events: ["log.entryAdded"] });
    return firefox;
  }

  async sitDown(world) {
    const { userContext } = await this.bidi.send("browser.createUserContext", {});
    return new FirefoxPerson(world, this, userContext);
  }

  stop() {
    return end(this.child, () => { this.bidi.send("browser.close", {}).catch(() => {}); });
  }
}

const SAME_SITE = { none: "None", lax: "Lax", strict: "Strict" };

class FirefoxPerson extends Person {
  constructor(world, firefox, userContext) {
    super(world);
    Object.assign(this, { firefox, userContext });
  }

  async newTab() {
    const create = () => this.firefox.bidi.send("browsingContext.create", { type: "tab", userContext: this.userContext });
    // Firefox opens it beside the tab in front, which the other framework's tests may be closing.
    const discarded = (error) => String(error).includes("DiscardedBrowsingContextError");
    let created;
    while (!created) created = await create().catch((error) => { if (!discarded(error)) throw error; });
    const { context } = created;
    this.firefox.owners.set(context, this);
    return new FirefoxTab(this, this.firefox.bidi, context);
  }

  async jar() {
    const partition = { type: "storageKey", userContext: this.userContext };
    const { cookies } = await this.firefox.bidi.send("storage.getCookies", { partition });
    return cookies.map(({ value, expiry = -1, sameSite, ...cookie }) => ({
      ...cookie, value: value.value, expires: expiry, sameSite: SAME_SITE[sameSite],
    }));
  }

  async depart() {
    await this.firefox.bidi.send("browser.removeUserContext", { userContext: this.userContext });
  }
}

class FirefoxTab extends Tab {
  constructor(person, bidi, context) {
    super(person);
    Object.assign(this, { bidi, context });
  }

  async goto(url) {
    await this.bidi.send("browsingContext.navigate", { context: this.context, url, wait: "complete" });
  }

  async reload() {
    await this.bidi.send("browsingContext.reload", { context: this.context, wait: "complete" });
  }

  async start(text, json) {
    await this.call(text, json);
  }

  async call(text, json) {
    const answer = await this.bidi.send("script.callFunction", {
      functionDeclaration: text,
      arguments: [{ type: "string", value: json }],
      target: { context: this.context },
      awaitPromise: true,
      userActivation: true,
    });
    if (answer.type === "exception") throw new Error(answer.exceptionDetails.text);
    return answer.result.value;
  }

  async picture() {
    const { data } = await this.bidi.send("browsingContext.captureScreenshot", { context: this.context, origin: "document" });
    return data;
  }

  async shut() {
    await this.bidi.send("browsingContext.close", { context: this.context });
  }
}
