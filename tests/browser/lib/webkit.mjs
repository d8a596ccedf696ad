// WebKit as Debian has it: the MiniBrowser of WebKitGTK, driven by WebDriver. A driver has one
// session, so each person is a browser and a driver of their own; each keeps its jar in memory. It
// has no headless mode, so there is an Xvfb.

import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { begin, end } from "./children.mjs";
import { Person, Tab } from "./person.mjs";
import { PATIENCE_MS, until } from "./runner.mjs";

const DRIVER = process.env.AUTH_TEST_WEBKIT || "/usr/bin/WebKitWebDriver";

/** Debian keeps it where no path leads. */
function miniBrowser() {
  if (process.env.AUTH_TEST_MINIBROWSER) return process.env.AUTH_TEST_MINIBROWSER;
  const places = readdirSync("/usr/lib").flatMap((machine) => ["4.1", "4.0"].map((api) => `/usr/lib/${machine}/webkit2gtk-${api}/MiniBrowser`));
  const found = places.find(existsSync);
  if (!found) throw new Error("there is no MiniBrowser: please install webkit2gtk-driver");
  return found;
}

/**
 * A SOCKS proxy (RFC 1928) which knows where the tests' hosts are: all of them, here. WebKit has no
 * setting for names.
 */
async function leadHere(hosts) {
  const proxy = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(Buffer.from([5, 0]));
      socket.once("data", (request) => {
        const end = 5 + request[4];
        const [kind, host] = [request[3], request.toString("latin1", 5, end)];
        if (kind !== 3 || !hosts.includes(host)) return socket.destroy();
        const upstream = net.connect(request.readUInt16BE(end), "127.0.0.1", () => {
          socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
          socket.pipe(upstream).pipe(socket);
        });
        upstream.on("error", () => socket.destroy());
        socket.on("close", () => upstream.destroy());
      });
    });
  });
  await new Promise((resolve) => { proxy.listen(0, "127.0.0.1", resolve); });
  return proxy;
}

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

export class WebKit {
  version = "of WebKitGTK"; // each person's browser says which

  static async start(scratch, _certificate, hosts) {
    const webkit = Object.assign(new WebKit(), { scratch });
    webkit.proxy = await leadHere(hosts);
    webkit.screen = begin("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
    const display = await new Promise((resolve, reject) => {
      webkit.screen.on("error", reject);
      webkit.screen.once("exit", (code) => reject(new Error(`Xvfb ended with ${code}`)));
      webkit.screen.stdio[3].once("data", (data) => resolve(`:${String(data).trim()}`));
    });
    webkit.display = display;
    webkit.binary = miniBrowser();
    const first = await webkit.sitDown(null);
    webkit.version = first.version;
    await first.depart();
    return webkit;
  }

  sitDown(world) {
    return WebKitPerson.arrive(world, this);
  }

  async stop() {
    this.proxy.close();
    await end(this.screen, () => this.screen.kill());
  }
}

class WebKitPerson extends Person {
  #turn = Promise.resolve();
  #chosen;

  /** Now and then a MiniBrowser that starts says nothing to its driver, ever: another one does. */
  static async arrive(world, webkit) {
    for (let attempt = 1; ; attempt += 1) {
      const person = new WebKitPerson(world);
      try {
        await person.#begin(webkit);
        return person;
      } catch (error) {
        await end(person.driver, () => person.driver.kill());
        if (attempt === 3) throw error;
      }
    }
  }

  async #begin(webkit) {
    const port = await freePort();
    const home = mkdtempSync(join(webkit.scratch, "webkit-"));
    this.driver = begin(DRIVER, ["-p", String(port)], {
      env: { PATH: process.env.PATH, DISPLAY: webkit.display, HOME: home, XDG_RUNTIME_DIR: home, GDK_BACKEND: "x11", NO_AT_BRIDGE: "1", LIBGL_ALWAYS_SOFTWARE: "1" },
      stdio: "ignore",
    });
    this.base = `http://127.0.0.1:${port}`;
    await until("the driver", () => fetch(`${this.base}/status`).catch(() => null));
    const proxy = [`--proxy=socks5://127.0.0.1:${webkit.proxy.address().port}`, "--ignore-host=localhost", "--ignore-host=127.0.0.1", "--ignore-host=127.0.0.2"];
    const { sessionId, capabilities } = await this.send("POST", "/session", {
      capabilities: { alwaysMatch: {
        acceptInsecureCerts: true,
        "webkitgtk:browserOptions": { binary: webkit.binary, args: ["--automation", ...proxy] },
      } },
    }, PATIENCE_MS);
    this.version = capabilities.browserVersion;
    this.base += `/session/${sessionId}`;
    this.home = await this.send("GET", "/window");
  }

  async send(method, path, body, limit) {
    const signal = limit && AbortSignal.timeout(limit);
    const response = await fetch(this.base + path, { method, signal, body: body && JSON.stringify(body) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${path}: ${value.error}: ${value.message}`);
    return value;
  }

  /** One after the other: commands are for the tab that was chosen last. */
  inTab(handle, ...command) {
    const done = this.#turn.then(async () => {
      if (this.#chosen !== handle) await this.send("POST", "/window", { handle });
      this.#chosen = handle;
      return this.send(...command);
    });
    this.#turn = done.catch(() => {});
    return done;
  }

  async newTab() {
    // From a window that stays: there is no way from one that was closed. Not a tab: those in the
    // background are slowed down.
    const { handle } = await this.inTab(this.home, "POST", "/window/new", { type: "window" });
    return new WebKitTab(this, handle);
  }

  /** The cookies of the hosts that are open: the driver shows no others. */
  async jar() {
    const jar = new Map();
    for (const tab of this.tabs) {
      for (const { expiry = -1, ...cookie } of await tab.command("GET", "/cookie")) {
        jar.set(`${cookie.domain} ${cookie.path} ${cookie.name}`, { ...cookie, expires: expiry });
      }
    }
    return [...jar.values()];
  }

  async depart() {
    await this.send("DELETE", "").catch(() => {});
    await end(this.driver, () => this.driver.kill());
  }
}

class WebKitTab extends Tab {
  #calls = 0;

  constructor(person, handle) {
    super(person);
    this.handle = handle;
  }

  command(...command) {
    return this.person.inTab(this.handle, ...command);
  }

  goto(url) {
    return this.command("POST", "/url", { url });
  }

  reload() {
    return this.command("POST", "/refresh", {});
  }

  /** Starts it and gives back under which key the page will have what it gave. */
  async start(text, json) {
    const key = `call ${this.#calls += 1}`;
    await this.command("POST", "/execute/sync", {
      script: `const [key, json] = arguments;
        const call = window[key] = {};
        (${text})(json).then((value) => { call.value = value; }, (error) => { call.error = String(error); });`,
      args: [key, json],
    });
    return key;
  }

  /** Starts it and comes back for what it gave, so that tabs can be busy at the same time. */
  async call(text, json) {
    const key = await this.start(text, json);
    const { value, error } = await until("a call's end", () => this.command("POST", "/execute/sync", {
      script: `const call = window[arguments[0]] ?? { error: "the page went away" };
        return "value" in call || call.error ? call : null;`,
      args: [key],
    }));
    if (error) throw new Error(error);
    return value;
  }

  /** A click that counts as its user's: only such a one opens a popup. */
  async activate(selector) {
    const element = await this.command("POST", "/element", { using: "css selector", value: selector });
    await this.command("POST", `/element/${Object.values(element)[0]}/click`, {});
  }

  picture() {
    return this.command("GET", "/screenshot");
  }

  async shut() {
    await this.command("DELETE", "/window");
  }
}
