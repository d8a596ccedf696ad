// What Chromium makes of our cookies.

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { Chromium, Person } from "../lib/chromium.mjs";
import { leaksOnDisk } from "../lib/leaks.mjs";
import { ask, PRESETS, setting, shimLogin, signIn, whoIsHere } from "../lib/world.mjs";

/** The presets as README has them: name → [access cookie, SameSite, Partitioned, Domain]. */
const PROMISED = {
  same_origin_spa: { access: "__Host-Http-at", sameSite: "Strict" },
  server_rendered: { access: "__Host-Http-at", sameSite: "Lax" },
  cross_site: { access: "__Host-Http-at", sameSite: "None", partitioned: true },
  subdomains: { access: "__Secure-at", sameSite: "Lax", domain: ".auth.test" },
};
const REFRESH = "__Host-Http-rt";
const DAY = 86_400;

/** Over plain HTTP there is no domain to share a cookie with. */
export const presetsOf = (world) => PRESETS.filter((preset) => world.tls || preset !== "subdomains");

export const configOf = (preset) => (preset === "subdomains" ? { subdomains: "auth.test" } : preset);

/** Whether requests of each kind carried the cookies, by who made the request. */
async function sent(world, app, names, from) {
  const stranger = await world.stranger();
  const attacker = stranger.origin(world.hosts[from]);
  const carried = {};
  for (const [kind, make] of Object.entries(KINDS)) {
    const page = await world.person.open(`${attacker}/-/blank`);
    const mark = `kind=${kind}-${from}-${Math.random()}`;
    await page.evaluate(make, `${app.origin}/-/blank?${mark}`).catch(() => {}); // it may navigate away
    const entry = await app.edge.seen(`${kind} from ${from}`, ({ url }) => url.includes(mark));
    carried[kind] = names.map((name) => entry.carries(name)).every(Boolean);
    await page.close();
  }
  return carried;
}

const KINDS = {
  link: (url) => {
    const link = document.createElement("a");
    link.href = url;
    document.body.append(link);
    link.click();
  },
  form: (url) => {
    const form = document.createElement("form");
    Object.assign(form, { action: url, method: "post" });
    document.body.append(form);
    form.submit();
  },
  frame: (url) => {
    const frame = document.createElement("iframe");
    frame.src = url;
    document.body.append(frame);
  },
  image: (url) => { new Image().src = url; },
  fetch: (url) => { fetch(url, { mode: "no-cors", credentials: "include" }).catch(() => {}); },
  socket: (url) => { new WebSocket(url.replace(/^http/, "ws")); },
  post: (url) => { fetch(url, { method: "POST", mode: "no-cors", credentials: "include" }).catch(() => {}); },
};

const all = (value) => Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, value]));
const only = (...kinds) => Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, kinds.includes(kind)]));

/** Which requests of another site carry the cookies. Those of a sibling origin carry all. */
const FROM_ANOTHER_SITE = {
  same_origin_spa: all(false),
  server_rendered: only("link"),
  // Other sites' pages have a jar of their own; their navigations end in ours.
  cross_site: only("link", "form"),
  subdomains: only("link"),
};

export function tests(world) {
  const shimOf = (preset) => world.shared(`cookies ${preset}`, () => world.shim({ cookies: configOf(preset) }));
  const visit = async (preset) => {
    const app = await shimOf(preset);
    const person = await world.sitDown();
    world.person = person;
    const page = await person.open(`${app.origin}/-/blank`);
    return { app, person, page };
  };

  const perPreset = presetsOf(world).flatMap((preset) => {
    const { access, sameSite, partitioned = false, domain } = PROMISED[preset];
    return [
      world.test(`${preset}: the jar holds what was promised, and nothing of it after the logout`, async () => {
        const { app, person, page } = await visit(preset);
        await shimLogin(page);
        const jar = await person.jar();
        assert.deepEqual(jar.map(({ name }) => name).sort(), [REFRESH, access].sort());
        for (const cookie of jar) {
          assert.equal(cookie.httpOnly, true);
          assert.equal(cookie.secure, true);
          assert.equal(cookie.sameSite, sameSite);
          assert.equal(cookie.path, "/");
          assert.equal(Boolean(cookie.partitionKey), partitioned);
          const wanted = cookie.name === access && domain ? domain : world.hosts.own;
          assert.equal(cookie.domain, wanted);
          const days = (cookie.expires - Date.now() / 1000) / DAY;
          assert.ok(days > 13.9 && days <= 14, `${cookie.name} ends in ${days} days`);
        }
        assert.equal(await page.evaluate(() => document.cookie), "");
        assert.ok(await whoIsHere(page));
        const headers = { "x-requested-with": "test" };
        assert.equal(await ask(page, "/auth/logout", { method: "POST", headers }), 204);
        assert.deepEqual(await person.jar(), []);
        assert.equal(await whoIsHere(page), null);
        assert.ok(app.edge.log.at(-1).cookies.length === 0, "and nothing is sent any more");
      }),

      world.test(`${preset}: which requests of others carry the cookies`, async () => {
        const { app, person, page } = await visit(preset);
        await shimLogin(page);
        const names = [access, REFRESH];
        assert.deepEqual(await sent(world, app, names, "other"), FROM_ANOTHER_SITE[preset], "from another site");
        assert.deepEqual(await sent(world, app, names, "sibling"), all(true), "from a sibling");
        // What a sibling is sent itself: over HTTP cookies know no ports, so the host's own.
        const stranger = await world.stranger();
        await person.open(`${stranger.origin(world.hosts.sibling)}/-/blank?host=${preset}`);
        const seen = await stranger.seen("the sibling's visit", ({ url }) => url.includes(`host=${preset}`));
        const shares = world.scheme === "http";
        assert.deepEqual(names.map((name) => seen.carries(name)), [shares || Boolean(domain), shares]);
      }),

      world.test(`${preset}: cookies at the limit of 4096 bytes are kept, longer ones are an error`, async () => {
        const { app, person, page } = await visit(preset);
        const login = (length) => ask(page, "/login", {
          method: "POST",
          headers: { "x-requested-with": "test" },
          body: JSON.stringify({ sub: "alice", claims: { long: "x".repeat(length) } }),
        });
        let [fits, fails] = [1, 4096];
        while (fails - fits > 1) {
          const middle = (fits + fails) >> 1;
          if ((await login(middle)) === 200) fits = middle;
          else fails = middle;
        }
        assert.equal(await login(fails), 500);
        assert.deepEqual(app.edge.log.at(-1).setCookie, [], "an error sets no half of a login");
        assert.equal(await login(fits), 200);
        const { name, value } = await person.cookie(access);
        const lines = app.edge.log.at(-1).setCookie;
        const size = lines.map((line) => `set-cookie: ${line}\r\n`).join("").length;
        assert.ok(size > 4090 && size <= 4096, `${size} bytes in both lines`);
        assert.ok(name.length + value.length <= 4096);
        assert.ok(lines.some((line) => line.startsWith(`${name}=${value};`)), "Chromium kept all of it");
        assert.ok(await whoIsHere(page), "and sends all of it");
      }),
    ];
  });

  const general = [
    world.test("Chromium refuses prefixed cookies on any other terms", async () => {
      const edge = await world.stranger();
      const person = await world.sitDown();
      const own = edge.origin(world.hosts.own);
      const good = "Secure; HttpOnly; Path=/";
      const refused = [
        `__Host-Http-at=1; HttpOnly; Path=/`,
        `__Host-Http-at=1; Secure; Path=/`,
        `__Host-Http-at=1; Secure; HttpOnly`,
        `__Host-Http-at=1; Secure; HttpOnly; Path=/-`,
        `__Host-Http-at=1; ${good}; Domain=${world.tls ? "auth.test" : "localhost"}`,
        `__host-http-at=1; HttpOnly; Path=/`,
        `__HOST-at=1; ${good}; Domain=${world.tls ? "auth.test" : "localhost"}`,
        `=__Host-Http-at=1; ${good}`,
        `__Secure-at=1; HttpOnly; Path=/`,
        `__Host-Http-at=${"x".repeat(4083)}; ${good}`,
        `__Host-Http-at=1; HttpOnly; Path=/; SameSite=None; Partitioned`,
      ];
      for (const line of refused) {
        const page = await person.open(setting(own, line));
        assert.deepEqual(await person.jar(), [], line.slice(0, 80));
        await page.close();
      }
      const accepted = [
        [`__Host-Http-at=1; ${good}`, "__Host-Http-at"],
        [`__Host-Http-rt=${"x".repeat(4082)}; ${good}`, "__Host-Http-rt"],
        [`__Secure-at=1; ${good}; Path=/-`, "__Secure-at"],
      ];
      for (const [line, name] of accepted) {
        await person.open(setting(own, line));
        assert.ok(await person.cookie(name), line.slice(0, 80));
      }
    }),

    world.test("script can neither plant nor change nor delete our cookies", async () => {
      const { app, person, page } = await visit("server_rendered");
      const plant = () => page.evaluate(async () => {
        for (const name of ["__Host-Http-at", "__Host-Http-rt", "__HOST-HTTP-AT"]) {
          document.cookie = `${name}=planted; Secure; Path=/`;
          document.cookie = `${name}=planted; Secure; Path=/; Partitioned; SameSite=None`;
          document.cookie = `${name}=planted; Secure; HttpOnly; Path=/`;
          document.cookie = `${name}=; Secure; Path=/; Max-Age=0`;
          document.cookie = `=${name}=planted; Secure; Path=/`;
          await window.cookieStore?.set({ name, value: "planted", path: "/" }).catch(() => {});
          await window.cookieStore?.delete(name).catch(() => {});
        }
      });
      await plant();
      assert.deepEqual(await person.jar(), []);
      await shimLogin(page);
      const before = await person.jar();
      await plant();
      const order = (jar) => jar.map(({ name, value }) => `${name}=${value}`).sort();
      assert.deepEqual(order(await person.jar()), order(before));
      assert.ok(await whoIsHere(page));
      assert.equal(app.edge.log.at(-1).cookies.length, 2);
    }),

    world.test("nothing of ours is kept by, or sent over, plain HTTP", async () => {
      const { app, person, page } = await visit("server_rendered");
      await shimLogin(page);
      const plain = await world.edge({ tls: null, app: app.server.port });
      const name = world.tls ? world.hosts.own : "app.auth.test";
      const insecure = await person.open(`${plain.origin(name)}/-/blank`);
      await insecure.evaluate(() => fetch("/me"));
      const seen = await plain.seen("/me over HTTP", ({ path }) => path === "/me");
      assert.deepEqual(seen.cookies, []);
      // A login there is refused before anything is looked at: that page may be anybody's.
      const login = await ask(insecure, "/login", { method: "POST", body: JSON.stringify({ sub: "alice" }) });
      assert.equal(login, 403);
      await person.open(setting(plain.origin(name), "__Host-Http-at=planted; Secure; HttpOnly; Path=/", "__Secure-at=planted; Secure; Path=/; Domain=auth.test", "__Host-Http-rt=planted; HttpOnly; Path=/"));
      assert.equal((await person.jar()).length, 2);
      assert.ok(await whoIsHere(page), "the real ones are untouched");
    }),

    world.test("Partitioned: a login in one site's frame is not one in another's", async () => {
      const app = await shimOf("cross_site");
      const stranger = await world.stranger();
      const third = await world.shared("third", () => world.edge({ address: world.tls ? "127.0.0.1" : "127.0.0.2" }));
      const person = await world.sitDown();
      const embed = async (origin) => {
        const page = await person.open(`${origin}/-/blank`);
        await page.evaluate((url) => {
          const frame = document.createElement("iframe");
          frame.src = url;
          document.body.append(frame);
          return new Promise((resolve) => { frame.onload = resolve; });
        }, `${app.origin}/-/blank`);
        return page.frames().find((frame) => frame.url().startsWith(app.origin));
      };
      const one = await embed(stranger.origin(world.hosts.other));
      await shimLogin(one);
      assert.ok(await whoIsHere(one), "signed in inside the frame");
      assert.equal(await one.evaluate(() => document.cookie), "");
      const [cookie] = await person.jar();
      assert.ok(cookie.partitionKey.topLevelSite.includes(world.hosts.other), JSON.stringify(cookie.partitionKey));
      assert.equal(await whoIsHere(await embed(third.origin(world.hosts.third))), null, "in another site's frame");
      const alone = await person.open(`${app.origin}/-/blank`);
      assert.equal(await whoIsHere(alone), null, "in a tab of its own");
      const headers = { "x-requested-with": "test" };
      assert.equal(await ask(one, "/auth/logout", { method: "POST", headers }), 204);
      assert.deepEqual(await person.jar(), [], "the deletion reaches the partition");
    }),

    world.test("a token that did get out would be found", async () => {
      const { person, page } = await visit("server_rendered");
      await shimLogin(page);
      const { value } = await person.cookie(REFRESH);
      world.learn();
      const found = async () => (await person.traces()).filter(([, text]) => world.tokens.in(text)).map(([where]) => where);
      assert.deepEqual(await found(), []);
      const where = page.url();
      await page.evaluate((token) => {
        console.log(`my token is ${token}`);
        localStorage.setItem("token", token.slice(10));
        history.replaceState(null, "", `?token=${token}`);
      }, value);
      assert.deepEqual(await found(), ["console", `${where}?token=${value} as a page`, "a URL"]);
      await person.leave(); // before the search of this test
    }),

    world.test("remember-me outlives the browser, nothing else does", async () => {
      const app = await world.sharedExample();
      const profile = mkdtempSync(join(world.scratch, "kept-"));
      // Two hosts are two jars: one is told to remember, the other is not.
      const hosts = world.tls ? ["app.auth.test", "evil.auth.test"] : ["localhost", "127.0.0.1"];
      const [kept, lost] = hosts.map((host) => app.edge.origin(host));
      const first = await Chromium.start(world.scratch, world.certificate, [], profile);
      const person = Person.ofProfile(world, first);
      await signIn(await person.open(`${kept}/`), { remember: true });
      await signIn(await person.open(`${lost}/`));
      const lives = Object.fromEntries((await person.jar()).map((cookie) => [`${cookie.domain} ${cookie.name}`, cookie.session]));
      assert.deepEqual(lives, {
        [`${hosts[0]} __Host-Http-at`]: false, [`${hosts[0]} __Host-Http-rt`]: false,
        [`${hosts[1]} __Host-Http-at`]: true, [`${hosts[1]} __Host-Http-rt`]: true,
      });
      await first.stop();

      const second = await Chromium.start(world.scratch, world.certificate, [], profile);
      try {
        const again = Person.ofProfile(world, second);
        const page = await again.open(`${kept}/`);
        assert.ok(await page.isVisible("#signed-in"), "remembered");
        const other = await again.open(`${lost}/`);
        assert.ok(await other.isVisible("#signed-out"), "forgotten");
        await page.click("#logout button");
        await page.waitForSelector("#signed-out:not([hidden])");
      } finally {
        await second.stop();
      }
      world.learn();
      assert.deepEqual(leaksOnDisk(world.tokens, profile), [], "files of the profile with a token in them");

      const third = await Chromium.start(world.scratch, world.certificate, [], profile);
      try {
        const page = await Person.ofProfile(world, third).open(`${kept}/`);
        assert.ok(await page.isVisible("#signed-out"), "a sign-out lasts as well");
      } finally {
        await third.stop();
      }
    }),
  ];
  return [...perPreset, ...general];
}
