// Request forgery: what the page of an attacker can make the browser of a signed-in user do.
//
// Every attack is made for every preset, from another site and from a sibling origin, whose requests
// carry the cookies. After each round the user must be where they were: signed in, with the same
// session and no other, nothing written. The outcomes become a table.

import assert from "node:assert/strict";
import { pause, until } from "../lib/runner.mjs";
import { PASSWORD } from "../lib/servers.mjs";
import { ask, shimLogin, signIn, whoIsHere } from "../lib/world.mjs";
import { configOf, presetsOf } from "./cookies.mjs";

// How a page can make a browser send something. They run in the attacker's page.
const form = ({ url, method = "post", fields = {}, type }) => {
  const element = document.createElement("form");
  Object.assign(element, { action: url, method });
  if (type) element.enctype = type;
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name, value });
    element.append(input);
  }
  document.body.append(element);
  element.submit();
};
const link = ({ url }) => {
  const element = document.createElement("a");
  element.href = url;
  document.body.append(element);
  element.click();
};
const image = ({ url }) => new Promise((resolve) => {
  const element = new Image();
  element.onload = () => resolve("seen");
  element.onerror = () => resolve(null);
  element.src = url;
  document.body.append(element);
});
const frame = ({ url }) => new Promise((resolve) => {
  const element = document.createElement("iframe");
  element.onload = () => resolve(element.contentDocument?.body?.innerText || null);
  element.src = url;
  document.body.append(element);
});
const send = async ({ url, ...options }) => {
  try {
    const response = await fetch(url, { credentials: "include", ...options });
    return response.type === "opaque" ? null : await response.text();
  } catch {
    return null;
  }
};
const socket = ({ url }) => new Promise((resolve) => {
  const opened = new WebSocket(url.replace(/^http/, "ws"));
  opened.onopen = () => resolve("opened");
  opened.onerror = () => resolve(null);
});

/** `[name, how, what]`; `what.path` is where; `safe` ones may be answered, but not read. */
function attacksOn(paths) {
  const { read, guarded, act, logout, logoutAll, refresh, login, device } = paths;
  const simple = { mode: "no-cors", method: "POST" };
  const custom = { method: "POST", headers: { "x-requested-with": "XMLHttpRequest" } };
  return [
    ["form POST", form, { ...act }],
    ["form POST as text/plain", form, { ...act, type: "text/plain" }],
    ["fetch POST", send, { ...simple, path: act.path }],
    ["fetch POST with JSON", send, { path: act.path, method: "POST", headers: { "content-type": "application/json" }, body: "{}" }],
    ["fetch POST with the custom header", send, { ...custom, path: act.path }],
    ["fetch GET to read", send, { path: read, safe: true }],
    ["image GET", image, { path: read, safe: true }],
    ["top-level GET", link, { path: read, safe: true }],
    ["iframe", frame, { path: read, safe: true }],
    ["method override, form", form, { path: `${device}?_method=DELETE`, fields: { _method: "DELETE" } }],
    ["method override, link", link, { path: `${logoutAll}?_method=POST` }],
    ["DELETE a device", send, { path: device, method: "DELETE" }],
    ["login, form", form, { ...login }],
    ["login, fetch", send, { ...simple, path: login.path, body: login.body, headers: { "content-type": "application/x-www-form-urlencoded" } }],
    ["logout, form", form, { path: logout }],
    ["logout, image", image, { path: logout }],
    ["logout everywhere, fetch", send, { ...simple, path: logoutAll }],
    ["refresh, form", form, { path: refresh }],
    ["refresh, image", image, { path: refresh }],
    ["refresh, fetch", send, { ...simple, path: refresh }],
    ["WebSocket", socket, { path: guarded }],
  ];
}

let marks = 0;

/** Makes one attack, and says what became of it. */
async function attempt({ person, waiting }, origin, app, [name, how, { path, safe = false, ...what }]) {
  const mark = `mark${marks += 1}-`;
  const url = `${app.origin}${path}${path.includes("?") ? "&" : "?"}${mark}`;
  const leaves = how === form || how === link;
  const gated = how === send && what.mode !== "no-cors" && (what.headers || what.method === "DELETE");
  const mine = () => app.edge.log.filter((entry) => entry.url.includes(mark) && entry.status);
  const arrives = (limit) => until(`${name} to arrive`, () => mine().length, limit);
  // Who is sent elsewhere does not come back: such an attempt has a page of the attacker's own, since
  // a form that is sent from where it led to would be the app's own. So has one that is made again,
  // under a new address: WebKit now and then loads no image, and would wait for that load again.
  const opened = [];
  const attack = async (again) => {
    const page = leaves || again ? await person.open(`${origin}/-/blank`) : waiting;
    if (page !== waiting) opened.push(page);
    return page.evaluate(how, { url: again ? `${url}-${again}` : url, ...what }).catch(() => null);
  };
  let run = attack(0);
  for (let again = 1; again < 4 && !(await arrives(10_000).catch(() => 0)); again += 1) run = attack(again);
  await arrives();
  // Firefox takes JSON in a frame for a file to keep, and never says that it has loaded.
  const read = leaves ? null : await Promise.race([run, pause(1000)]);
  for (const page of opened) await page.close();
  const real = mine().filter(({ method }) => method !== "OPTIONS");
  if (gated) {
    assert.equal(real.length, 0, `${name}: sent although the preflight allowed nothing`);
    return [name, "not sent: no leave from the preflight"];
  }
  const [entry] = real;
  const carried = entry.cookies.length > 0;
  const told = `${entry.status}, ${carried ? "cookies sent" : "no cookies"}`;
  assert.ok(!read, `${name}: the attacker read ${read}`);
  assert.deepEqual(entry.setCookie, [], `${name}: ${told}, sets a cookie`);
  if (!safe) assert.ok([400, 401, 403, 404, 405].includes(entry.status), `${name}: ${told}`);
  return [name, safe && entry.status < 400 ? `harmless: ${told}, unreadable` : told];
}

async function round({ app, person, origin, attacks, table, preset, from, world, stillHere }) {
  const page = await person.open(`${origin}/-/blank`);
  for (const attack of attacks) {
    const [name, result] = await attempt({ person, waiting: page }, origin, app, attack);
    table.push({ preset, from, name, result, who: world.label });
    await stillHere(name);
  }
  await page.close();
}

/** What the conformance servers have. `/me` takes every method, and would say who is there. */
const SHIM_PATHS = (sid) => ({
  read: "/me",
  guarded: "/me",
  act: { path: "/me", fields: { act: "now" } },
  logout: "/auth/logout",
  logoutAll: "/auth/logout-all",
  refresh: "/auth/refresh",
  // JSON in the clothes of a form: the server does not look at the media type.
  login: { path: "/login", type: "text/plain", fields: { '{"sub":"mallory","device":"': '"}' }, body: '{"sub":"mallory"}' },
  device: `/auth/sessions/${sid}`,
});

const EXAMPLE_PATHS = (sid) => ({
  read: "/",
  guarded: "/me",
  act: { path: "/devices", fields: { end: "all" } },
  logout: "/logout",
  logoutAll: "/auth/logout-all",
  refresh: "/auth/refresh",
  login: { path: "/login", fields: { username: "admin", password: PASSWORD }, body: `username=admin&password=${PASSWORD}` },
  device: `/auth/sessions/${sid}`,
});

/** That the requests of these attacks work when they are the app's own. */
async function ownRequestsWork(page, sid) {
  const headers = { "x-requested-with": "test" };
  assert.equal(await ask(page, "/me", { method: "POST", headers }), 200);
  assert.equal(await ask(page, "/auth/refresh", { method: "POST", headers }), 200);
  // Upgraded or not, it was let through: the guard's part is done.
  assert.equal(await whoIsHere(page), sid);
}

export function tests(world, table) {
  // Without TLS, WebKit keeps no cookies that an attacker could use.
  if (world.engine.name === "webkit" && !world.tls) return [];
  // Over TLS, where every preset can be: what a request carries depends on sites, not on schemes. The
  // example app is attacked over both.
  const shims = (world.tls ? presetsOf(world) : []).map((preset) =>
    world.test(`L02 ${preset}: no request of an attacker does anything`, async () => {
      const app = await world.shim({ cookies: configOf(preset) });
      const stranger = await world.stranger();
      const person = await world.sitDown();
      const home = await person.open(`${app.origin}/-/blank`);
      await shimLogin(home);
      const sid = await whoIsHere(home);
      await ownRequestsWork(home, sid);
      const before = (await app.server.stats()).events.length;
      const stillHere = async (name) => assert.equal(await whoIsHere(home), sid, `after: ${name}`);
      for (const from of ["other", "sibling"]) {
        const origin = stranger.origin(world.hosts[from]);
        await round({ app, person, origin, attacks: attacksOn(SHIM_PATHS(sid)), table, preset, from, world, stillHere });
      }
      const events = (await app.server.stats()).events.slice(before);
      assert.deepEqual(events.filter(({ kind }) => kind !== "refused"), [], "nothing happened to any session");
      const own = app.edge.log.length;
      await home.evaluate((url) => new Promise((resolve) => {
        const opened = new WebSocket(url);
        opened.onerror = resolve;
        opened.onopen = resolve;
      }), `${app.origin.replace(/^http/, "ws")}/me`);
      const upgrade = app.edge.log.slice(own).find(({ path }) => path === "/me");
      assert.equal(upgrade.status, 200, "the app's own WebSocket gets past the guard");
      await world.end(app);
    }));

  const front = world.test("L02 cross_site: a front end on another site may; its sibling and strangers may not", async () => {
    const stranger = await world.stranger();
    const front = stranger.origin(world.hosts.other);
    const rival = await world.edge(); // the front end's sibling: same site, other port
    const third = await world.shared("third", () => world.edge({ address: world.tls ? "127.0.0.1" : "127.0.0.2" }));
    const app = await world.shim({ cookies: "cross_site", origins: [front] }, { cors: front });
    const person = await world.sitDown();
    const home = await person.open(`${front}/-/blank`);
    const call = (path, method, body) => home.evaluate(async ([url, init]) => {
      const response = await fetch(url, { credentials: "include", ...init });
      const text = await response.text();
      return [response.status, text ? JSON.parse(text) : null];
    }, [`${app.origin}${path}`, { method, body, headers: method === "GET" ? {} : { "x-requested-with": "fetch" } }]);
    assert.equal((await call("/me", "GET"))[0], 401, "a refusal can be read: it carries CORS lines");
    assert.equal((await call("/login", "POST", JSON.stringify({ sub: "alice" })))[0], 200);
    if (world.engine.name === "webkit") {
      // It keeps no cookies for the pages of other sites, partitioned or not.
      assert.equal((await call("/me", "POST"))[0], 401);
      return world.end(app);
    }
    const [status, { sid }] = await call("/me", "POST");
    assert.equal(status, 200);
    assert.equal((await call("/auth/refresh", "POST"))[0], 200);
    const bare = await home.evaluate(async (url) => (await fetch(url, { method: "POST", credentials: "include" })).status, `${app.origin}/me`);
    assert.equal(bare, 403, "not even the front end without the header");
    const before = (await app.server.stats()).events.length;
    const stillHere = async (name) => assert.equal((await call("/me", "GET"))[1].sid, sid, `after: ${name}`);
    for (const [from, origin] of [["sibling of the front end", rival.origin(world.hosts.other)], ["third site", third.origin(world.hosts.third)]]) {
      await round({ app, person, origin, attacks: attacksOn(SHIM_PATHS(sid)), table, preset: "cross_site", from, world, stillHere });
    }
    const events = (await app.server.stats()).events.slice(before);
    assert.deepEqual(events.filter(({ kind }) => kind !== "refused"), []);
    assert.equal((await call("/auth/logout", "POST"))[0], 204);
    assert.deepEqual(await person.jar(), []);
    await world.end(app);
  });

  return [
    ...shims,
    ...(world.tls ? [front] : []),

    // As browsers of before 2023, or behind a proxy that drops what it does not know: the Origin rule
    // has to do alone.
    ...[["", null], [" without Fetch Metadata", /^sec-fetch-/i]].map(([how, drops]) => world.test(`L02 the example app${how}: no request of an attacker does anything`, async () => {
      const app = await world.example({ drops });
      const stranger = await world.stranger();
      const person = await world.sitDown();
      const home = await person.open(`${app.origin}/`);
      await signIn(home);
      const sid = await whoIsHere(home);
      assert.equal(await ask(home, "/auth/refresh", { method: "POST" }), 200);
      const stillHere = async (name) => assert.equal(await whoIsHere(home), sid, `after: ${name}`);
      for (const from of ["other", "sibling"]) {
        const origin = stranger.origin(world.hosts[from]);
        await round({ app, person, origin, attacks: attacksOn(EXAMPLE_PATHS(sid)), table, preset: `example app${how}`, from, world, stillHere });
      }
      const sessions = await home.evaluate(async () => (await (await fetch("/auth/sessions")).json()).sessions.length);
      assert.equal(sessions, 1);
      await world.end(app);
    })),
  ];
}

/** Attack × preset × result. Where the apps and schemes differ, each says its own. */
export function asTable(rows) {
  const columns = [...new Set(rows.map(({ preset, from }) => `${preset}, from ${from}`))];
  const names = [...new Set(rows.map(({ name }) => name))];
  const cell = (name, column) => {
    const found = rows.filter((row) => row.name === name && `${row.preset}, from ${row.from}` === column);
    const results = [...new Set(found.map(({ result }) => result))];
    if (results.length === 1) return results[0];
    return results.map((result) => `${result} (${[...new Set(found.filter((row) => row.result === result).map(({ who }) => who))].join(", ")})`).join("; ");
  };
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [
    line(["attack", ...columns]),
    line(["---", ...columns.map(() => "---")]),
    ...names.map((name) => line([name, ...columns.map((column) => cell(name, column))])),
    "",
  ].join("\n");
}
