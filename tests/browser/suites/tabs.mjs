// One jar, many tabs. The app here is `/-/app`: a page with nothing but auth.js.

import assert from "node:assert/strict";
import { pause, until } from "../lib/runner.mjs";
import { HOUR, PASSWORD } from "../lib/servers.mjs";
import { ask, pass, shimLogin, signIn, whoIsHere } from "../lib/world.mjs";

export function tests(world) {
  const sit = async (config = {}, tabs = 1) => {
    const app = await world.shim({ cookies: "same_origin_spa", ...config });
    const person = await world.sitDown();
    const pages = [];
    for (let count = 0; count < tabs; count += 1) pages.push(await person.open(`${app.origin}/-/app`));
    for (const page of pages) await page.waitForFunction(() => window.auth);
    await shimLogin(pages[0]);
    return { app, person, pages, page: pages[0] };
  };
  const get = (page, path = "/me") => page.evaluate(async (target) => (await window.auth.fetch(target)).status, path);
  const ended = (page) => page.evaluate(() => window.ended);

  return [
    world.test("five tabs wake up with an expired token: one write, nobody is signed out", async () => {
      const { app, pages } = await sit({}, 5);
      await app.server.advance(HOUR);
      assert.deepEqual(await Promise.all(pages.map((page) => get(page))), [200, 200, 200, 200, 200]);
      assert.deepEqual(await app.server.writes(), ["rotated"]);
      assert.deepEqual(await Promise.all(pages.map(ended)), [0, 0, 0, 0, 0]);
      await app.server.advance(HOUR);
      assert.deepEqual(await Promise.all(pages.map((page) => get(page))), [200, 200, 200, 200, 200]);
      assert.deepEqual(await app.server.writes(), ["rotated", "rotated"]);
      await world.end(app);
    }),

    world.test("five tabs whose script knows nothing of the others: one write all the same", async () => {
      const { app, pages } = await sit({}, 5);
      await app.server.advance(HOUR);
      app.edge.gather("/auth/refresh", 5);
      const refresh = (page) => ask(page, "/auth/refresh", { method: "POST" });
      assert.deepEqual(await Promise.all(pages.map(refresh)), [200, 200, 200, 200, 200]);
      assert.deepEqual(await app.server.writes(), ["rotated"]);
      for (const page of pages) assert.ok(await whoIsHere(page));
      await world.end(app);
    }),

    world.test("a sign-out in one tab is one in all", async () => {
      const { app, person, pages } = await sit({}, 3);
      const status = await pages[1].evaluate(async () => (await window.auth.signOut()).status);
      assert.equal(status, 204);
      for (const page of pages) await until("every tab is told", async () => (await ended(page)) === 1);
      assert.deepEqual(await person.jar(), []);
      assert.deepEqual(await Promise.all(pages.map((page) => get(page))), [401, 401, 401]);
      assert.deepEqual(await Promise.all(pages.map(ended)), [1, 1, 1], "once each");
      await world.end(app);
    }),

    world.test("a tab that slept through the answer to its refresh recovers", async () => {
      const { app, pages: [asleep, awake] } = await sit({}, 2);
      await app.server.advance(HOUR);
      assert.equal(await get(asleep), 200);
      await app.server.advance(HOUR);
      // The lid is closed between request and answer: the new token never arrives.
      app.edge.lose("/auth/refresh");
      await assert.rejects(get(asleep));
      app.edge.lose(null);
      await app.server.advance(9 * HOUR);
      assert.equal(await get(asleep), 200);
      assert.deepEqual(await app.server.writes(), ["rotated", "rotated", "recovered"]);
      assert.equal(await get(awake), 200);
      assert.deepEqual([await ended(asleep), await ended(awake)], [0, 0]);
      await world.end(app);
    }),

    world.test("a tab that slept while another refreshed goes on with the other's cookies", async () => {
      const { app, pages: [asleep, awake] } = await sit({}, 2);
      for (let hours = 0; hours < 5; hours += 1) {
        await app.server.advance(HOUR);
        assert.equal(await get(awake), 200);
      }
      assert.equal(await get(asleep), 200);
      assert.equal((await app.server.writes()).length, 5);
      await app.server.advance(15 * 24 * HOUR);
      assert.equal(await get(asleep), 401, "two weeks without use are the end");
      await until("it is told", async () => (await ended(asleep)) === 1);
      await world.end(app);
    }),

    world.test("trouble is not a sign-out", async () => {
      const { app, person, page } = await sit();
      await app.server.advance(HOUR);
      await app.server.fault("load", 1);
      assert.equal(await get(page), 503);
      assert.equal(await ended(page), 0);
      assert.equal((await person.jar()).length, 2);
      await app.server.fault("any", 1);
      const out = await page.evaluate(async () => (await window.auth.signOut()).status);
      assert.equal(out, 503, "a sign-out that did not happen is not shown as one");
      assert.equal(await ended(page), 0);
      assert.equal(await get(page), 401, "the node that was asked refuses the session, and finishes its end");
      await world.end(app);
    }),

    world.test("a request for a newer login is no sign-out either", async () => {
      const { app, page } = await sit();
      await app.server.advance(400);
      assert.equal(await get(page, "/recent"), 401);
      assert.equal(await ended(page), 0);
      assert.equal(await get(page), 200);
      await world.end(app);
    }),

    world.test("five tabs of the example page renew at once, and all go on", async () => {
      const app = await world.sharedExample();
      const { origin, edge } = app;
      const person = await world.sitDown({ clockOf: app });
      const from = edge.log.length;
      const first = await person.open(`${origin}/`);
      await signIn(first);
      const pages = [first];
      while (pages.length < 5) pages.push(await person.open(`${origin}/`));
      const text = (page, id) => page.locator(id).innerText();
      const listed = () => edge.log.slice(from).filter(({ path, status }) => path === "/auth/sessions" && status);
      await until("every tab is ready", () => listed().length === 5);
      for (const generation of ["1", "2"]) {
        await pass(app, person, HOUR);
        for (const page of pages) {
          await until(`rotation ${generation}, seen in every tab`, async () => (await text(page, "#generation")) === generation);
          assert.ok(await page.isVisible("#signed-in"));
        }
      }
      const outcomes = edge.log.slice(from).filter(({ path }) => path === "/auth/refresh").map(({ body }) => JSON.parse(body));
      const rotated = outcomes.filter(({ outcome }) => outcome === "rotated").map(({ generation }) => generation);
      assert.deepEqual(rotated, [...new Set(rotated)], "one write for each generation");
      assert.ok(outcomes.every(({ outcome }) => ["rotated", "fresh", "replayed"].includes(outcome)), JSON.stringify(outcomes));
      await pages[3].click("#logout button");
      for (const page of pages) await page.waitForSelector("#signed-out:not([hidden])");
      assert.deepEqual(person.complaints([401]), []);
    }),

    world.test("the back button after a sign-out shows nothing private", async () => {
      const { origin } = await world.sharedExample();
      const person = await world.sitDown();
      const page = await person.open(`${origin}/`);
      await signIn(page);
      await page.goto(`${origin}/`);
      await page.waitForSelector("#signed-in:not([hidden])");
      await page.goto(`${origin}/health`);
      // From another tab, so that the first one's history still ends in a private page.
      const other = await person.open(`${origin}/`);
      await other.click("#logout button");
      await other.waitForSelector("#signed-out:not([hidden])");
      await page.evaluate(() => history.back()).catch(() => {}); // it takes the page away
      await until("the page of before", async () => (await page.evaluate(() => location.pathname).catch(() => "")) === "/");
      for (let look = 0; look < 20; look += 1) {
        const shown = await page.evaluate(() => document.body.innerText).catch(() => "");
        assert.ok(!/Alice Example/.test(shown), "a private page came back");
        await pause(20);
      }
      await page.waitForSelector("#signed-out:not([hidden])");

      // Without script there is nothing but the browser's own rules, and `no-store`.
      const plain = await world.sitDown({ javaScriptEnabled: false });
      const still = await plain.open(`${origin}/`);
      await still.fill("#username", "alice");
      await still.fill("#password", PASSWORD);
      await still.click("#login button");
      await still.waitForSelector("#signed-in:not([hidden])");
      await still.click("#logout button");
      await still.waitForSelector("#signed-out:not([hidden])");
      await still.goBack();
      assert.ok(!/Alice Example/.test(await still.content()));
      assert.ok(await still.isVisible("#signed-out"));
    }),
  ];
}
