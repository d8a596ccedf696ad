// Pages that the server renders, and what pages of other sites can do to the sessions of those who
// visit them (PROTOCOL.md, rule 16).

import assert from "node:assert/strict";
import { pause, until } from "../lib/runner.mjs";
import { HOUR } from "../lib/servers.mjs";
import { shimLogin, whoIsHere } from "../lib/world.mjs";

const DAY = 24 * HOUR;
const REFRESH = "__Host-Http-rt";

// What a page of another site does. They run in it.
const follow = (url) => {
  const link = document.createElement("a");
  link.href = url;
  document.body.append(link);
  link.click();
};
/** Goes there, in this tab or from a button in a popup, and stops when it is told to. */
const goAndStop = ({ url, popup }) => {
  const channel = new BroadcastChannel("attack");
  channel.onmessage = () => {
    channel.close();
    if (popup) window.popup.close();
    else window.stop();
    window.stopped = !popup || Boolean(window.popup);
  };
  window.stopped = null;
  if (!popup) setTimeout(() => { location.href = url; });
  document.body.innerHTML = "<button>go</button>";
  document.querySelector("button").onclick = () => { window.popup = window.open(url); };
};
/** Playwright's evaluation counts as its user's deed, as a click does. */
const openPopup = (page) => (page.activate ? page.activate("button") : page.evaluate(() => document.querySelector("button").click()));
const tellToStop = () => { new BroadcastChannel("attack").postMessage("stop"); };

export function tests(world) {
  if (!world.tls) return [];

  /** Somebody signed in at an app that refreshes silently, and a page of another site. */
  const visit = async (options) => {
    const app = await world.shim({ cookies: "server_rendered", session: { silent_refresh: true } }, options);
    const stranger = await world.stranger();
    const person = await world.sitDown();
    const home = await person.open(`${app.origin}/-/blank`);
    await shimLogin(home);
    const elsewhere = `${stranger.origin(world.hosts.other)}/-/blank`;
    return { app, person, home, elsewhere, sid: await whoIsHere(home) };
  };
  const loadsOf = (app, mark) => app.edge.log.filter(({ url }) => url.includes(mark));

  /** A page of another site that loads pages of ours, and stops as soon as `look` finds something. */
  const attacker = async (person, elsewhere) => {
    const [page, accomplice] = [await person.open(elsewhere), await person.open(elsewhere)];
    return async (url, popup, look) => {
      await (page.begin ?? page.evaluate).call(page, goAndStop, { url, popup });
      if (popup) await openPopup(page);
      await until(`the moment to stop ${url}`, look);
      await accomplice.evaluate(tellToStop);
      await page.waitForFunction(() => window.stopped);
    };
  };

  return [
    world.test("H03 fifty loads that another site causes and stops half-way: nothing is written, nobody is signed out", async () => {
      const { app, person, home, elsewhere, sid } = await visit();
      const attack = await attacker(person, elsewhere);
      // The app has answered, and its answer waits until the browser has hung up.
      app.edge.hold(({ url, header }) => url.includes("load=") && header("sec-fetch-site") !== "same-origin");
      for (let load = 0; load < 50; load += 1) {
        await app.server.advance(HOUR);
        const answered = () => loadsOf(app, `load=${load}.`).some(({ status }) => status);
        await attack(`${app.origin}/me?load=${load}.`, load % 2 === 1, answered);
      }
      const stopped = loadsOf(app, "load=");
      assert.equal(new Set(stopped.map(({ url }) => url)).size, 50);
      assert.deepEqual([...new Set(stopped.map((entry) => entry.header("sec-fetch-site")))], ["cross-site"]);
      assert.ok(stopped.every((entry) => entry.carries(REFRESH)));
      assert.equal(stopped.flatMap(({ setCookie }) => setCookie).filter((line) => line.startsWith(REFRESH)).length, 0);
      assert.deepEqual(await app.server.writes(), []);
      assert.equal(await whoIsHere(home), sid);
      await world.end(app);
    }),

    world.test("H03 what follows the page in between is out of the other site's reach", async () => {
      const { app, person, home, elsewhere, sid } = await visit();
      const attack = await attacker(person, elsewhere);
      const second = (load) => loadsOf(app, `load=${load}.`).filter((entry) => entry.status && entry.header("sec-fetch-site") === "same-origin");
      for (let load = 0; load < 6; load += 1) {
        await app.server.advance(HOUR);
        const held = app.edge.hold((entry) => second(load).length === 0 && entry.header("sec-fetch-site") === "same-origin");
        await attack(`${app.origin}/me?load=${load}.`, true, () => second(load).length);
        held.release();
        await app.edge.seen("the page itself", ({ url, status, body }) => url.includes(`load=${load}.`) && status === 200 && body.includes(sid));
      }
      assert.deepEqual(await app.server.writes(), Array(6).fill("rotated"));
      assert.equal(await whoIsHere(home), sid);
      await world.end(app);
    }),

    world.test("H04 a form that was filled in for longer than a token lives arrives once, with its body", async () => {
      const { app, home, sid } = await visit();
      await app.server.advance(HOUR);
      await home.evaluate(() => {
        const form = document.createElement("form");
        Object.assign(form, { action: "/me?form", method: "post" });
        const field = document.createElement("textarea");
        Object.assign(field, { name: "text", value: "eleven minutes of work & more" });
        form.append(field);
        document.body.append(form);
        form.submit();
      }).catch(() => {}); // it takes the page away
      await app.edge.seen("the form's answer", ({ url, status }) => url === "/me?form" && status === 200);
      const arrived = loadsOf(app, "/me?form");
      assert.deepEqual(arrived.map(({ method, status }) => [method, status]), [["POST", 307], ["POST", 200]]);
      for (const { sent } of arrived) assert.equal(sent, "text=eleven+minutes+of+work+%26+more");
      assert.deepEqual(arrived.map(({ setCookie }) => setCookie.length), [2, 0]);
      assert.ok(arrived[1].body.includes(sid));
      assert.deepEqual(await app.server.writes(), ["rotated"]);
      await world.end(app);
    }),

    world.test("H05 sixty days of nothing but links from other sites: signed in on each, with the query", async () => {
      const { app, home: tab, elsewhere, sid } = await visit();
      for (let day = 1; day <= 60; day += 1) {
        await app.server.advance(DAY);
        const target = `/me?day=${day}&q=%26%22%3C`;
        await tab.goto(elsewhere);
        await tab.evaluate(follow, app.origin + target).catch(() => {}); // it takes the page away
        await app.edge.seen(`the page of day ${day}`, ({ url, status, body }) => url === target && status === 200 && body.includes(sid));
        await tab.waitForURL(app.origin + target);
        // The page in between has the same URL: only its text tells that the last one has arrived.
        const text = () => tab.evaluate(() => document.body?.textContent ?? "").catch(() => "");
        await until("the page is there", async () => (await text()).includes(sid));
        const loads = loadsOf(app, `day=${day}&`);
        assert.deepEqual(loads.map((entry) => [entry.status, entry.url, entry.header("sec-fetch-site")]), [
          [200, target, "cross-site"], [303, target, "same-origin"], [200, target, "same-origin"],
        ]);
      }
      assert.deepEqual(await app.server.writes(), Array(60).fill("rotated"));
      await world.end(app);
    }),

    world.test("H05 a proxy that drops Sec-Fetch-Site: signed out until the next login, and no loop", async () => {
      const { app, person, elsewhere } = await visit({ drops: /^sec-fetch-/i });
      await app.server.advance(HOUR);
      for (const from of [elsewhere, `${app.origin}/-/blank`]) {
        const mark = `from=${new URL(from).hostname}`;
        const tab = await person.open(from);
        await tab.evaluate(follow, `${app.origin}/me?${mark}`).catch(() => {}); // it takes the page away
        await app.edge.seen("the answer", ({ url }) => url.includes(mark));
        await pause(500); // a loop would go on
        assert.deepEqual(loadsOf(app, mark).map(({ status }) => status), [401]);
      }
      assert.deepEqual(await app.server.writes(), []);
      const tab = await person.open(`${app.origin}/-/blank`);
      await shimLogin(tab);
      assert.ok(await whoIsHere(tab));
      await world.end(app);
    }),
  ];
}
