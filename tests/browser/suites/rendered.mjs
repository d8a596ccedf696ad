// Pages that the server renders: it refreshes by itself, and no script has to run.

import assert from "node:assert/strict";
import { until } from "../lib/runner.mjs";
import { HOUR } from "../lib/servers.mjs";
import { shimLogin, signIn, whoIsHere } from "../lib/world.mjs";

const REFRESH = "__Host-Http-rt";

const refreshTokens = (entries) => [...new Set(entries.flatMap(({ setCookie }) => setCookie).filter((line) => line.startsWith(`${REFRESH}=`)).map((line) => line.split(";")[0]))];

export function tests(world) {
  const silentShim = () => world.shim({ cookies: "server_rendered", session: { silent_refresh: true } });

  return [
    world.test("a link from another site finds its user signed in, though the token had expired", async () => {
      const { origin, edge, server } = await world.sharedExample();
      const stranger = await world.stranger();
      // Once with script and once without: it is the server that refreshes.
      const visit = async (javaScriptEnabled) => {
        const person = await world.sitDown();
        const page = await person.open(`${origin}/`);
        await signIn(page, { remember: true });
        await page.close();
        await server.advance(HOUR);
        const before = await person.cookie("__Host-Http-at");
        const elsewhere = await person.open(`${stranger.origin(world.hosts.other)}/-/blank`);
        if (!javaScriptEnabled) {
          const session = await person.context.newCDPSession(elsewhere);
          await session.send("Emulation.setScriptExecutionDisabled", { value: true });
        }
        const target = `${origin}/?script=${javaScriptEnabled}`;
        await elsewhere.evaluate((url) => {
          const link = document.createElement("a");
          link.href = url;
          document.body.append(link);
          link.click();
        }, target);
        await elsewhere.waitForURL(target);
        assert.equal(await elsewhere.locator("#who-title").innerText(), "Hello, Alice Example");
        const [between, redirect, shown] = edge.log.filter(({ url }) => target.endsWith(url));
        assert.ok(between.cookies.includes(`${before.name}=${before.value}`), "the expired token came along");
        assert.deepEqual([between, redirect, shown].map((entry) => [entry.status, entry.header("sec-fetch-site")]), [
          [200, "cross-site"], [303, "same-origin"], [200, "same-origin"],
        ]);
        assert.deepEqual([between, redirect, shown].map((entry) => refreshTokens([entry]).length), [0, 1, 0]);
        assert.equal(redirect.setCookie.length, 2, "both cookies were renewed");
        assert.match(redirect.answered.find(([name]) => name.toLowerCase() === "cache-control")[1], /no-store/);
        assert.notEqual((await person.cookie("__Host-Http-at")).value, before.value);
        assert.deepEqual(person.complaints([401]), []);
        await world.shot(elsewhere, `silent-${javaScriptEnabled ? "script" : "noscript"}`);
      };
      await Promise.all([visit(true), visit(false)]);
    }),

    world.test("twenty parallel subresources with an expired token: one write, all served", async () => {
      const app = await silentShim();
      const person = await world.sitDown();
      const page = await person.open(`${app.origin}/-/blank`);
      await shimLogin(page);
      const old = await person.cookie("__Host-Http-at");
      await app.server.advance(HOUR);
      const from = app.edge.log.length;
      // Over HTTP/1.1 a browser opens six connections to a host.
      const atOnce = world.tls ? 20 : 6;
      app.edge.gather("/me", atOnce);
      await page.evaluate(() => {
        for (let count = 0; count < 20; count += 1) {
          const kind = ["img", "script", "link", "iframe"][count % 4];
          const element = document.createElement(kind);
          if (kind === "link") element.rel = "stylesheet";
          element[kind === "link" ? "href" : "src"] = `/me?${count}`;
          document.body.append(element);
        }
      });
      const seen = () => app.edge.log.slice(from).filter(({ path, status }) => path === "/me" && status);
      // Whoever made the write is sent to the same address again.
      const served = () => new Set(seen().filter(({ status }) => status === 200).map(({ url }) => url));
      await until("all twenty", () => served().size === 20);
      assert.deepEqual([...new Set(seen().map(({ status }) => status))].sort(), [200, 303]);
      const expired = seen().filter(({ cookies }) => cookies.includes(`${old.name}=${old.value}`));
      assert.ok(expired.length >= atOnce, `only ${expired.length} came with the expired token`);
      assert.deepEqual(await app.server.writes(), ["rotated"]);
      assert.equal(refreshTokens(seen()).length, 1, "all were given the same successor");
      assert.ok(await whoIsHere(page));
      await world.end(app);
    }),

    world.test("twenty parallel visits to the example page with an expired token: one write, all served", async () => {
      const { origin, edge, server } = await world.sharedExample();
      const person = await world.sitDown();
      const page = await person.open(`${origin}/`);
      await signIn(page);
      await page.uncheck("#renew");
      await server.advance(HOUR);
      const from = edge.log.length;
      const served = await page.evaluate(() => Promise.all(Array.from({ length: 20 }, async (_, count) => {
        const response = await fetch(`/?${count}`);
        return response.ok && (await response.text()).includes("Alice Example");
      })));
      assert.deepEqual(served, Array(20).fill(true));
      assert.equal(refreshTokens(edge.log.slice(from)).length, 1);
      assert.deepEqual(person.complaints(), []);
    }),

    world.test("other sites' images and frames cause no silent refresh", async () => {
      const app = await silentShim();
      const stranger = await world.stranger();
      const person = await world.sitDown();
      const page = await person.open(`${app.origin}/-/blank`);
      await shimLogin(page);
      await app.server.advance(HOUR);
      for (const who of ["other", "sibling"]) {
        const from = app.edge.log.length;
        const foreign = await person.open(`${stranger.origin(world.hosts[who])}/-/blank`);
        await foreign.evaluate((url) => {
          for (const kind of ["img", "iframe"]) {
            const element = document.createElement(kind);
            element.src = `${url}?${kind}`;
            document.body.append(element);
          }
          fetch(url, { credentials: "include", mode: "no-cors" }).catch(() => {});
        }, `${app.origin}/me`);
        const seen = () => app.edge.log.slice(from).filter(({ path, status }) => path === "/me" && status);
        await until("all three", () => seen().length === 3);
        assert.deepEqual(seen().map(({ status, setCookie }) => [status, setCookie.length]), Array(3).fill([401, 0]), who);
        assert.equal(seen().every((entry) => entry.carries(REFRESH)), who === "sibling");
      }
      assert.deepEqual(await app.server.writes(), []);
      assert.ok(await whoIsHere(page), "its own page still can");
      await world.end(app);
    }),
  ];
}
