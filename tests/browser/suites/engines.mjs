// What every engine must show of the example apps (L01, L03).

import assert from "node:assert/strict";
import { until } from "../lib/runner.mjs";
import { HOUR, PASSWORD, SETTLE } from "../lib/servers.mjs";
import { signIn } from "../lib/world.mjs";

const NAMES = ["__Host-Http-at", "__Host-Http-rt"];
const DAY = 86_400;

const text = (page, selector) => page.innerText(selector);
const says = (page, selector, words) => until(`${words} in ${selector}`, async () => words.test(await text(page, selector)));

/** That the jar holds what README promises, and nothing else; `days`: until when. */
async function asPromised(world, person, days = null) {
  const jar = (await person.jar()).filter(({ domain }) => domain === world.hosts.own);
  assert.deepEqual(jar.map(({ name }) => name).sort(), NAMES);
  for (const { httpOnly, secure, sameSite, path, expires } of jar) {
    assert.deepEqual({ httpOnly, secure, sameSite, path }, { httpOnly: true, secure: true, sameSite: "Lax", path: "/" });
    if (!days) assert.equal(expires, -1, "it ends with the browser");
    else assert.ok(Math.abs(expires - Date.now() / 1000 - days * DAY) < 0.1 * DAY, `it ends at ${expires}`);
  }
  return jar;
}

const tokenIn = (jar, name) => jar.find((cookie) => cookie.name === name).value;

export function tests(world) {
  const visit = async () => {
    const app = await world.sharedExample();
    const person = await world.sitDown();
    return { ...app, app, person, page: await person.open(`${app.origin}/`) };
  };
  const signedIn = async (options) => {
    const seat = await visit();
    await signIn(seat.page, options);
    return seat;
  };

  const overTls = [
    world.test("L01 a login's cookies are kept as promised, and a sign-out takes them away", async () => {
      for (const remember of [false, true]) {
        const { person, page } = await signedIn({ remember });
        await asPromised(world, person, remember ? 14 : null);
        assert.equal(await page.evaluate(() => document.cookie), "");
        assert.match(await text(page, "#who-title"), /Alice Example/);
        await page.click("#logout button");
        await page.waitForSelector("#signed-out:not([hidden])");
        assert.deepEqual(await person.jar(), []);
        await page.reload();
        assert.ok(await page.isVisible("#signed-out"));
      }
    }),

    world.test("L01 a page finds its user signed in, though the token had expired", async () => {
      const { server, person, page, origin } = await signedIn();
      const before = await asPromised(world, person);
      await server.advance(HOUR);
      await page.goto(`${origin}/?kept=1`);
      await says(page, "#who-title", /Alice Example/);
      assert.equal(await page.url(), `${origin}/?kept=1`);
      const after = await asPromised(world, person);
      for (const name of NAMES) assert.notEqual(tokenIn(after, name), tokenIn(before, name));
    }),

    world.test("L01 two tabs go on with one session, and a sign-out in one is one in both", async () => {
      const { edge, server, person, page, origin } = await signedIn();
      const other = await person.open(`${origin}/`);
      await other.waitForSelector("#signed-in:not([hidden])");
      const from = edge.log.length;
      await server.advance(HOUR);
      // By the page's own client: each is told 401, and one of them refreshes.
      await Promise.all([page, other].map((tab) => tab.click("[data-get='/me']")));
      for (const tab of [page, other]) await says(tab, "#generation", /^1$/);
      const refreshed = () => edge.log.slice(from).filter(({ path }) => path === "/auth/refresh");
      assert.deepEqual(refreshed().map(({ body }) => JSON.parse(body).outcome).filter((outcome) => outcome === "rotated"), ["rotated"]);
      await other.click("#logout button");
      for (const tab of [page, other]) await tab.waitForSelector("#signed-out:not([hidden])");
      assert.deepEqual(await person.jar(), []);
    }),

    world.test("L01 devices: one's own list, and the end of all others", async () => {
      const one = await signedIn();
      const other = await signedIn();
      const { page } = other;
      const count = () => page.evaluate(() => document.querySelectorAll("#devices .device").length);
      await until("both devices", async () => (await count()) >= 2);
      await page.click("button[value=others]");
      await until("this one alone", async () => (await count()) === 1);
      await says(page, "#devices", /\(this one\)/);
      await one.page.reload();
      assert.ok(await one.page.isVisible("#signed-out"));
      await page.click("button[value=all]");
      await page.waitForSelector("#signed-out:not([hidden])");
      assert.deepEqual(await other.person.jar(), []);
    }),

    world.test("L01 a thief is noticed, and both are signed out", async () => {
      const { server, person, page } = await signedIn();
      await page.click("[data-theft='/demo/steal']");
      await says(page, "#theft", /copy of your refresh token/);
      for (const generation of [/^1$/, /^2$/]) {
        await server.advance(SETTLE + 1);
        await page.click("#refresh");
        await says(page, "#generation", generation);
      }
      await page.click("[data-theft='/demo/replay']");
      await page.waitForSelector("#signed-out:not([hidden])");
      await says(page, "#notice", /used a second time/);
      assert.deepEqual(await person.jar(), []);
    }),
  ];

  const byItself = world.test("L03 an example that serves TLS by itself: a login on https://localhost is kept", async () => {
    const { origin } = await world.tlsExample();
    const person = await world.sitDown({ ignoreHTTPSErrors: true });
    const page = await person.open(`${origin}/`);
    await signIn(page);
    assert.equal((await person.jar()).length, 2);
    await page.reload();
    await says(page, "#who-title", /Alice Example/);
    await page.click("#logout button");
    await page.waitForSelector("#signed-out:not([hidden])");
  });

  const plain = world.test("L03 a login on http://localhost is kept, or the page says why not and what to do", async () => {
    const { person, page } = await visit();
    if (world.engine.name !== "webkit") {
      await signIn(page);
      await asPromised(world, person);
      return;
    }
    await page.fill("#username", "alice");
    await page.fill("#password", PASSWORD);
    await page.click("#login button");
    await says(page, "#notice", /TLS=on/);
    assert.match(await text(page, "#notice"), /https:\/\/localhost/);
    assert.ok(await page.isVisible("#login"));
    assert.deepEqual(await person.jar(), []);
  });

  return world.tls ? overTls : [plain, byItself];
}
