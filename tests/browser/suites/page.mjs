// The example page: what its user does and sees.

import assert from "node:assert/strict";
import { until } from "../lib/runner.mjs";
import { PASSWORD, SETTLE } from "../lib/servers.mjs";
import { pass, signIn } from "../lib/world.mjs";

const SETTLED = SETTLE + 1;
const ACCESS = 600;

const text = (page, selector) => page.locator(selector).innerText();
const outcome = async (page) => [await text(page, "#outcome"), await text(page, "#generation")];

/** Waits for what the page says about the last answer. */
async function says(page, kind, generation) {
  await until(`${kind} ${generation}`, async () => (await outcome(page)).join() === `${kind},${generation}`);
}

export function tests(world) {
  const start = async ({ turnsClock = false, ...options } = {}) => {
    const app = await world.sharedExample();
    const person = await world.sitDown(turnsClock ? { clockOf: app, ...options } : options);
    return { app, person, ...app, page: await person.open(`${app.origin}/`) };
  };

  return [
    world.test("sign in, look around and sign out, with the keyboard alone", async () => {
      const { person, page } = await start();
      const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.name || document.activeElement.innerText);
      await page.keyboard.press("Tab");
      assert.equal(await focused(), "Skip to content");
      await world.shot(page, "signed-out-focus");
      await page.keyboard.press("Enter");
      await page.keyboard.press("Tab");
      assert.equal(await focused(), "username");
      await page.keyboard.type("alice");
      await page.keyboard.press("Tab");
      await page.keyboard.type(PASSWORD);
      await page.keyboard.press("Tab");
      assert.equal(await focused(), "remember");
      await page.keyboard.press("Space");
      await page.keyboard.press("Tab");
      await world.shot(page, "button-focus");
      await page.keyboard.press("Enter");
      await page.waitForSelector("#signed-in:not([hidden])");
      await until("the list of devices", () => page.locator("#devices .device").count());
      // Whoever cannot see the page is told where they are now.
      assert.equal(await focused(), "who-title");
      assert.equal(await text(page, "#who-title"), "Hello, Alice Example");
      assert.match(await text(page, "[data-show=carrier]"), /cookie/);
      assert.deepEqual(await outcome(page), ["login", "0"]);
      await page.keyboard.press("Tab");
      assert.equal(await focused(), "GET /me");
      await page.keyboard.press("Enter");
      await until("the answer of /me in the list", async () => /GET \/me/.test(await text(page, "#log")));
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      assert.equal(await focused(), "Sign out");
      await world.shot(page, "signed-in-focus");
      await page.keyboard.press("Enter");
      await page.waitForSelector("#signed-out:not([hidden])");
      assert.equal(await text(page, "#notice"), "You are signed out.");
      await world.shot(page, "signed-out-notice");
      assert.deepEqual(person.complaints(), []);
    }),

    world.test("the life of the tokens is shown as it happens", async () => {
      const { app, person, page, edge } = await start({ turnsClock: true });
      await signIn(page);
      const left = async () => {
        const [, minutes, seconds] = /(\d+):(\d+) left/.exec(await text(page, "#life-text")) ?? [];
        return Number(minutes) * 60 + Number(seconds);
      };
      const lost = async (times) => {
        await until("word of the lost answer", async () => (await text(page, "#log")).split("failed").length > times);
        edge.lose(null);
      };
      const from = edge.log.length;
      const first = await until("a countdown", left);
      await pass(app, person, 60);
      assert.ok((await left()) <= first - 60, "it counts down");
      // It renews by itself, and nobody is told 401.
      await pass(app, person, ACCESS);
      await says(page, "rotated", "1");
      assert.deepEqual(person.complaints(), []);
      assert.deepEqual(edge.log.slice(from).filter(({ status }) => status === 401).map(({ path }) => path), []);

      await page.uncheck("#renew");
      await page.click("#refresh");
      await says(page, "fresh", "1");
      await pass(app, person, SETTLED);
      edge.lose("/auth/refresh");
      await page.click("#refresh");
      await lost(1);
      await page.click("#refresh");
      await says(page, "replayed", "2");
      await world.shot(page, "replayed");
      await pass(app, person, SETTLED);
      edge.lose("/auth/refresh");
      await page.click("#refresh");
      await lost(2);
      await pass(app, person, ACCESS);
      assert.equal(await text(page, "#life-text"), "expired");
      await world.shot(page, "expired");
      await page.click("#refresh");
      await says(page, "recovered", "4");
      await world.shot(page, "recovered");
      const complaints = person.complaints();
      assert.ok(complaints.every((line) => line.includes("net::ERR_")), complaints.join("\n"));
    }),

    world.test("a thief is shown the door", async () => {
      const { app, person, page } = await start({ turnsClock: true });
      await signIn(page);
      await page.uncheck("#renew");
      await page.click("[data-theft='/demo/steal']");
      await until("the theft", async () => /copy of your refresh token/.test(await text(page, "#theft")));
      await page.click("#refresh");
      await says(page, "rotated", "1");
      await page.click("[data-theft='/demo/replay']");
      await until("a second tab's answer", async () => /second tab or a retry/.test(await text(page, "#theft")));
      await world.shot(page, "theft");
      await page.click("[data-theft='/demo/steal']");
      await until("the theft", async () => /copy of your refresh token/.test(await text(page, "#theft")));
      for (const generation of ["2", "3"]) {
        await pass(app, person, SETTLED);
        await page.click("#refresh");
        await says(page, "rotated", generation);
      }
      await page.click("[data-theft='/demo/replay']");
      await page.waitForSelector("#signed-out:not([hidden])");
      await until("the reason", async () => /used a second time/.test(await text(page, "#notice")));
      await world.shot(page, "theft-over");
      assert.deepEqual(person.complaints([400, 401]), []);
    }),

    world.test("script sees no token, and the page says so", async () => {
      const { person, page } = await start();
      await signIn(page);
      for (const place of ["cookie", "local", "session"]) {
        assert.equal(await text(page, `#seen-${place}`), "nothing");
      }
      assert.equal(await page.evaluate(() => document.cookie), "");
      assert.deepEqual(await page.evaluate(async () => (await window.cookieStore?.getAll()) ?? []), []);
      assert.deepEqual((await person.jar()).map(({ name }) => name).sort(), ["__Host-Http-at", "__Host-Http-rt"]);
      assert.deepEqual(person.complaints(), []);
    }),

    world.test("devices: end one, all others, all", async () => {
      const one = await start();
      const others = [];
      for (let count = 0; count < 3; count += 1) {
        const other = await start();
        await signIn(other.page);
        others.push(other);
      }
      await signIn(one.page);
      const { page } = one;
      const count = () => page.locator("#devices .device").count();
      await until("all devices", async () => (await count()) >= 4);
      const before = await count();
      await world.shot(page, "devices");
      assert.match(await text(page, "#devices"), /Chrome on Linux \(this one\)/);
      await page.locator("#devices .device", { hasNotText: "(this one)" }).first().getByRole("button").click();
      await until("one fewer", async () => (await count()) === before - 1);
      await page.click("button[value=others]");
      await until("this one alone", async () => (await count()) === 1);
      assert.match(await text(page, "#who-title"), /Alice/);
      for (const other of others) {
        await other.page.reload();
        assert.ok(await other.page.isVisible("#signed-out"));
      }
      await signIn(others[0].page);
      await page.click("button[value=all]");
      await page.waitForSelector("#signed-out:not([hidden])");
      await others[0].page.reload();
      assert.ok(await others[0].page.isVisible("#signed-out"));
      assert.deepEqual(one.person.complaints(), []);
    }),

    world.test("a wrong password and a missing right are told plainly", async () => {
      const { person, page } = await start();
      await page.fill("#username", "alice");
      await page.fill("#password", "wrong");
      await page.click("#login button");
      await until("the error", async () => /Unknown user name or wrong password/.test(await text(page, "#login-error")));
      await world.shot(page, "wrong-password");
      assert.deepEqual(await person.jar(), []);
      await signIn(page);
      await page.click("[data-get='/admin']");
      await until("the refusal", async () => /GET \/admin\s+403/.test(await text(page, "#log")));
      await page.click("#logout button");
      await signIn(page, { user: "admin" });
      await page.click("[data-get='/admin']");
      await until("the answer", async () => /GET \/admin\s+200/.test(await text(page, "#log")));
      assert.deepEqual(person.complaints([403]), []);
    }),

    world.test("without JavaScript: sign in, devices, sign out", async () => {
      const { person, page, origin } = await start({ javaScriptEnabled: false });
      await world.shot(page, "noscript-signed-out");
      const enter = async (at, password) => {
        await at.fill("#username", "alice");
        await at.fill("#password", password);
        await Promise.all([at.waitForNavigation(), at.click("#login button")]);
      };
      await enter(page, "wrong");
      assert.match(await text(page, "#login-error"), /Unknown user name or wrong password/);
      assert.ok(await page.isVisible("#login"));
      await enter(page, PASSWORD);
      assert.equal(page.url(), `${origin}/`);
      assert.equal(await text(page, "#who-title"), "Hello, Alice Example");
      assert.ok(!(await page.isVisible("#life")), "what needs script is not shown");

      const other = await start({ javaScriptEnabled: false });
      await enter(other.page, PASSWORD);
      await page.reload();
      await world.shot(page, "noscript-devices");
      const foreign = page.locator("#devices .device", { hasNotText: "(this one)" });
      assert.ok((await foreign.count()) >= 1);
      await page.click("button[value=others]");
      await until("one device", async () => (await page.locator("#devices .device").count()) === 1);
      await other.page.reload();
      assert.ok(await other.page.isVisible("#login"), "the other one is signed out");
      await enter(other.page, PASSWORD);
      await page.reload();
      await foreign.first().getByRole("button").click();
      await until("one device", async () => (await page.locator("#devices .device").count()) === 1);
      await other.page.reload();
      assert.ok(await other.page.isVisible("#login"), "the other one is signed out again");

      await page.click("#logout button");
      await page.waitForSelector("#login");
      assert.deepEqual(await person.jar(), []);
      assert.deepEqual(person.complaints([403]), []);
    }),

    world.test("a phone, the dark, the light: nothing is cut off", async () => {
      for (const colorScheme of ["light", "dark"]) {
        for (const [size, viewport] of Object.entries({ phone: { width: 360, height: 740 }, desk: { width: 1280, height: 900 } })) {
          const { person, page } = await start({ colorScheme, viewport, isMobile: size === "phone", hasTouch: size === "phone" });
          const fits = async () => assert.deepEqual(
            await page.evaluate(() => [document.documentElement.scrollWidth <= innerWidth,
              [...document.querySelectorAll("button, input, a, h1, h2, dd")].filter((one) => one.offsetParent && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML)]),
            [true, []],
          );
          await world.shot(page, `${size}-${colorScheme}-signed-out`);
          await fits();
          await signIn(page);
          await page.click("[data-get='/me']");
          await until("the list of devices", () => page.locator("#devices .device").count());
          await world.shot(page, `${size}-${colorScheme}-signed-in`);
          await fits();
          assert.deepEqual(person.complaints(), []);
        }
      }
    }),

    world.test("no one else's page may frame it, and its policy allows nothing inline", async () => {
      const { person, page, edge } = await start();
      const policy = edge.log.find(({ path }) => path === "/").answered.find(([name]) => name.toLowerCase() === "content-security-policy")[1];
      assert.match(policy, /default-src 'none'/);
      assert.ok(!/unsafe/.test(policy));
      await page.evaluate(() => {
        const script = document.createElement("script");
        script.textContent = "window.inline = true";
        document.body.append(script);
      });
      assert.equal(await page.evaluate(() => window.inline), undefined);
      assert.equal(person.complaints().length, 1, "the attempt is noted, so violations would be too");
    }),
  ];
}
