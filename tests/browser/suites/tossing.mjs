// Cookie tossing: a sibling host sets cookies of our names, to get users out, or into another
// account.

import assert from "node:assert/strict";
import { until } from "../lib/runner.mjs";
import { setting, shimLogin, whoIsHere } from "../lib/world.mjs";

const names = (jar) => jar.map(({ name, path, domain }) => `${name} ${domain}${path}`).sort();

export function tests(world) {
  const hosts = world.tls
    ? { own: "app.auth.test", sibling: "evil.auth.test", parent: "auth.test" }
    : { own: "localhost", sibling: "evil.localhost", parent: "localhost" };

  const visit = async (cookies) => {
    const app = await world.shim({ cookies });
    const stranger = await world.stranger();
    const person = await world.sitDown();
    const page = await person.open(`${app.origin}/-/app`);
    await page.waitForFunction(() => window.auth);
    return { app, stranger: stranger.origin(hosts.sibling), person, page };
  };
  const get = (page) => page.evaluate(async () => (await window.auth.fetch("/me")).status);

  const hostOnly = ["same_origin_spa", "server_rendered", "cross_site"].map((preset) =>
    world.test(`${preset}: a sibling host can plant nothing; its user notices nothing`, async () => {
      const { app, stranger, person, page } = await visit(preset);
      const planted = ["__Host-Http-at", "__Host-Http-rt", "__host-http-at", "__HOST-HTTP-RT"].flatMap((name) =>
        ["/", "/me", "/auth"].map((path) => `${name}=planted; Domain=${hosts.parent}; Path=${path}; Secure; HttpOnly; SameSite=None`));
      planted.push(`=__Host-Http-at=planted; Domain=${hosts.parent}; Path=/; Secure`);
      for (const moment of ["before", "after"]) {
        await person.open(setting(stranger, ...planted));
        if (moment === "before") {
          assert.deepEqual(await person.jar(), []);
          await shimLogin(page);
        }
      }
      assert.deepEqual(names(await person.jar()), [`__Host-Http-at ${hosts.own}/`, `__Host-Http-rt ${hosts.own}/`]);
      assert.ok(await whoIsHere(page));
      assert.equal(app.edge.log.at(-1).cookies.length, 2);
      await world.end(app);
    }));
  if (!world.tls) return hostOnly;

  const toss = (value, path) => `__Secure-at=${value}; Domain=auth.test; Path=${path}; Secure; HttpOnly`;
  const status = (page, path) => page.evaluate(async (target) => (await fetch(target)).status, path);

  return [
    ...hostOnly,

    world.test("subdomains: an access cookie that was overwritten is refreshed away", async () => {
      const { app, stranger, person, page } = await visit({ subdomains: "auth.test" });
      await shimLogin(page);
      const sid = await whoIsHere(page);
      await person.open(setting(stranger, toss("planted", "/")));
      assert.equal(await status(page, "/me"), 401);
      assert.equal(await get(page), 200);
      assert.equal(await whoIsHere(page), sid);
      assert.equal(await page.evaluate(() => window.ended), 0);
      await world.end(app);
    }),

    world.test("subdomains: a second access cookie is refused, and the app's answer gets its user out of it", async () => {
      const { app, stranger, person, page } = await visit({ subdomains: "auth.test" });
      await shimLogin(page);
      await person.open(setting(stranger, toss("planted", "/me")));
      // What its user sees: 400 wherever the two arrive, and never somebody else's data.
      assert.equal(await get(page), 400);
      assert.equal(await page.evaluate(() => window.ended), 0);
      assert.equal((await person.jar()).length, 3);
      // A new login cannot help: the planted cookie has a path of its own, which nobody knows.
      await shimLogin(page);
      assert.equal(await get(page), 400);
      // How they get out: the app answers such a 400 with `Clear-Site-Data`, as SECURITY.md says.
      app.edge.heals = "__Secure-at";
      assert.equal(await get(page), 400);
      await until("an empty jar", async () => (await person.jar()).length === 0);
      await shimLogin(page);
      assert.equal(await get(page), 200);
      await world.end(app);
    }),

    world.test("subdomains: somebody else's own token, planted, is theirs until the next refresh", async () => {
      // The limit that the preset's documentation states: every host below the domain is trusted.
      const { app, stranger, person, page } = await visit({ subdomains: "auth.test" });
      const mallory = await world.sitDown();
      const desk = await mallory.open(`${app.origin}/-/app`);
      await shimLogin(desk, { sub: "mallory" });
      const { value } = await mallory.cookie("__Secure-at");
      await shimLogin(page);
      const sid = await whoIsHere(page);
      const response = await fetch(`http://127.0.0.1:${app.server.port}/me`, { headers: { cookie: `__Secure-at=${value}` } });
      assert.equal((await response.json()).sub, "mallory");
      const edge = await world.stranger();
      edge.pages["/-/plant"] = { cookies: [toss(value, "/")] };
      await person.open(`${stranger}/-/plant`);
      assert.notEqual(await whoIsHere(page), sid);
      assert.equal(await page.evaluate(async () => (await window.auth.refresh()) === null), true);
      assert.equal(await whoIsHere(page), sid, "the refresh token cannot be planted");
      await world.end(app);
    }),
  ];
}
