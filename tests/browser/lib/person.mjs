// People and tabs in browsers that Playwright does not drive: as much of its interface as the tests
// use there, on top of three things that every driver can do: open, close, and call a function.

import { writeFileSync } from "node:fs";
import { readable, withoutHanging } from "./readable.mjs";
import { until } from "./runner.mjs";

/**
 * One person at one browser: a cookie jar, its tabs, and all that their consoles said (not in WebKit,
 * whose driver does not tell). A driver adds `newTab`, `jar` and `depart`.
 */
export class Person {
  constructor(world) {
    Object.assign(this, { world, console: [], tabs: [] });
  }

  pages() {
    return [...this.tabs];
  }

  async newPage() {
    const tab = await this.newTab();
    this.tabs.push(tab);
    return tab;
  }

  async open(url) {
    const tab = await this.newPage();
    await tab.goto(url);
    return tab;
  }

  async cookie(name) {
    return (await this.jar()).find((cookie) => cookie.name === name);
  }

  /** Everything that script or a passer-by could read in this person's tabs. */
  async traces() {
    const found = [["console", this.console.map(({ text, url }) => `${text} ${url}`).join("\n")]];
    for (const tab of this.tabs) {
      const text = await withoutHanging(tab.evaluate(readable));
      found.push(["a page", text ?? ""], ["a URL", (await withoutHanging(tab.url())) ?? ""]);
    }
    return found;
  }

  async leave() {
    this.world.people.delete(this);
    await this.depart();
  }
}

/** One tab. A driver adds `goto`, `reload`, `call`, `start`, `picture` and `shut`. */
export class Tab {
  constructor(person) {
    this.person = person;
  }

  /** What `work` gives back for `argument`, both as JSON has them. */
  async evaluate(work, argument) {
    const text = await this.call(`async (json) => JSON.stringify((await (${work})(JSON.parse(json))) ?? null)`, JSON.stringify(argument ?? null));
    return JSON.parse(text);
  }

  /** The same, without waiting for it: what `work` does may keep the driver from coming back. */
  async begin(work, argument) {
    await this.start(`async (json) => { (${work})(JSON.parse(json)); }`, JSON.stringify(argument ?? null));
  }

  url() {
    return this.evaluate(() => location.href);
  }

  waitForFunction(look, argument) {
    return until(String(look), () => this.evaluate(look, argument).catch(() => null));
  }

  /** Until that page is there, all of it. */
  waitForURL(url) {
    return this.waitForFunction((wanted) => location.href === wanted && document.readyState === "complete", url);
  }

  /** Until an element is there and can be seen. */
  waitForSelector(selector) {
    return until(selector, () => this.isVisible(selector).catch(() => false));
  }

  isVisible(selector) {
    return this.evaluate((wanted) => Boolean(document.querySelector(wanted)?.getClientRects().length), selector);
  }

  innerText(selector) {
    return this.evaluate((wanted) => document.querySelector(wanted).innerText, selector);
  }

  count(selector) {
    return this.evaluate((wanted) => document.querySelectorAll(wanted).length, selector);
  }

  async fill(selector, value) {
    await this.waitForSelector(selector);
    await this.evaluate(([wanted, text]) => {
      const field = document.querySelector(wanted);
      field.value = text;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }, [selector, value]);
  }

  async click(selector) {
    await this.waitForSelector(selector);
    // After the answer to this: a click that leaves the page would take it along.
    await this.evaluate((wanted) => { setTimeout(() => document.querySelector(wanted).click()); }, selector);
  }

  /** A click that counts as its user's. */
  activate(selector) {
    return this.click(selector);
  }

  check(selector) {
    return this.#set(selector, true);
  }

  uncheck(selector) {
    return this.#set(selector, false);
  }

  async #set(selector, wanted) {
    if ((await this.evaluate((which) => document.querySelector(which).checked, selector)) !== wanted) await this.click(selector);
  }

  async screenshot({ path }) {
    writeFileSync(path, await this.picture(), "base64");
  }

  async close() {
    this.person.tabs.splice(this.person.tabs.indexOf(this), 1);
    await this.shut();
  }
}
