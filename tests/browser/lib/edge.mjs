// What the browser talks to: a server of ours, in front of the app. It changes nothing of a request
// and nothing of an answer, but
//
// - it ends TLS, where the run is over TLS (HTTP/2 then, so that requests are truly parallel);
// - it serves the tests' own pages, below `/-/`, in the app's origin;
// - it writes down everything that passes, which is where tests see what the browser really sent;
// - it loses or holds an answer, and drops fields of requests, when it is told to.

import http from "node:http";
import http2 from "node:http2";
import { setTimeout as after } from "node:timers/promises";
import { PATIENCE_MS, until } from "./runner.mjs";

const HOP = new Set(["connection", "keep-alive", "transfer-encoding", "upgrade", "http2-settings", "proxy-connection"]);

/** The header lines `[name, value]` of a request or a response. */
function lines(raw) {
  const pairs = [];
  for (let at = 0; at < raw.length; at += 2) pairs.push([raw[at], raw[at + 1]]);
  return pairs;
}

export class Edge {
  /**
   * `app`: the port of the app, or none. `pages`: path → answer or function that makes one. `drops`:
   * the fields that do not reach the app, as those of a browser that sends none, or of a proxy.
   */
  static async start({ address = "127.0.0.1", tls = null, app = null, pages = {}, cors = null, drops = null } = {}) {
    const edge = new Edge();
    Object.assign(edge, { app, pages, cors, drops, tls, log: [], sockets: new Set(), lost: null, heals: null, gate: null, held: null });
    const answer = (request, response) => edge.#answer(request, response);
    edge.server = tls
      ? http2.createSecureServer({ key: tls.key, cert: tls.cert, allowHTTP1: true }, answer)
      : http.createServer(answer);
    edge.server.on("upgrade", (request, socket, head) => edge.#upgrade(request, socket, head));
    edge.server.on("connection", (socket) => {
      edge.sockets.add(socket);
      socket.on("close", () => edge.sockets.delete(socket));
      socket.on("error", () => {});
    });
    edge.server.on("sessionError", () => {});
    edge.agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
    await new Promise((resolve) => { edge.server.listen(0, address, resolve); });
    edge.port = edge.server.address().port;
    return edge;
  }

  origin(host) {
    return `${this.tls ? "https" : "http"}://${host}:${this.port}`;
  }

  /**
   * Drops the answers to requests for `path` after the app has given them; null ends that. All of
   * them: on a connection that it has used before, Chromium tries again without telling anybody.
   */
  lose(path) {
    this.lost = path;
  }

  /**
   * Holds the answers that `fits` chooses, after the app has given them, until they are released or
   * the browser has hung up.
   */
  hold(fits) {
    const held = { fits };
    held.open = new Promise((resolve) => { held.release = resolve; });
    this.held = held;
    return held;
  }

  /** Holds requests for `path` back until `count` of them have come: now they are parallel. */
  gather(path, count) {
    const gate = { path, left: count };
    gate.open = new Promise((resolve) => { gate.release = resolve; });
    after(PATIENCE_MS).then(gate.release);
    this.gate = gate;
  }

  async #held(entry) {
    const { gate } = this;
    if (gate?.path !== entry.path) return;
    gate.left -= 1;
    if (gate.left <= 0) gate.release();
    await gate.open;
  }

  /** The first request that fits, once it has been answered. */
  seen(what, fits) {
    return until(what, () => this.log.find((entry) => entry.status && fits(entry)));
  }

  async stop() {
    this.agent.destroy();
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  #note(request, headers) {
    const url = request.url;
    const value = (name) => headers.filter(([own]) => own.toLowerCase() === name).map(([, text]) => text);
    const entry = {
      method: request.method,
      url,
      path: url.split("?")[0],
      headers,
      header: (name) => value(name)[0],
      /** Names and values of the cookies that came along. */
      cookies: value("cookie").join("; ").split("; ").filter(Boolean),
      sent: "",
      status: 0,
      setCookie: [],
      body: "",
    };
    entry.carries = (name) => entry.cookies.some((cookie) => cookie.startsWith(`${name}=`));
    this.log.push(entry);
    return entry;
  }

  async #answer(request, response) {
    const headers = lines(request.rawHeaders).filter(([name]) => !name.startsWith(":"));
    if (request.httpVersionMajor === 2) {
      headers.unshift(["host", request.headers[":authority"]]);
      // One line, as HTTP/1.1 has it (RFC 9113 §8.2.3).
      const crumbs = headers.filter(([name]) => name === "cookie");
      for (const crumb of crumbs) headers.splice(headers.indexOf(crumb), 1);
      if (crumbs.length) headers.push(["cookie", crumbs.map(([, crumb]) => crumb).join("; ")]);
    }
    const entry = this.#note(request, headers);
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    entry.sent = body.toString("latin1");
    const page = this.pages[entry.path];
    await this.#held(entry);
    try {
      if (page) await this.#own(typeof page === "function" ? page(entry) : page, entry, response);
      else if (this.#isPreflight(entry)) this.#preflight(entry, response);
      else if (this.app) await this.#forward(entry, headers, body, response);
      else await this.#own({ status: 404, body: "" }, entry, response);
    } catch {
      response.destroy?.();
      response.stream?.close();
    }
  }

  async #own(page, entry, response) {
    if (page.wait) await after(page.wait);
    const { status = 200, type = "text/html; charset=utf-8", body = "", cookies = [], headers = {} } = page;
    response.writeHead(status, { "content-type": type, ...headers, ...(cookies.length && { "set-cookie": cookies }) });
    response.end(body);
    Object.assign(entry, { status, setCookie: cookies, own: true });
  }

  #isPreflight(entry) {
    return this.cors && entry.method === "OPTIONS" && entry.header("access-control-request-method");
  }

  /** Where the tests play the CORS layer that stands outside of the guard. */
  #corsLines(entry) {
    if (!this.cors || entry.header("origin") !== this.cors) return [];
    return [["access-control-allow-origin", this.cors], ["access-control-allow-credentials", "true"], ["vary", "origin"]];
  }

  /** Where the tests play an app that gets its users out of two cookies of one name. */
  #healing(entry, status) {
    const twice = entry.cookies.filter((cookie) => cookie.startsWith(`${this.heals}=`)).length > 1;
    return status === 400 && twice ? [["clear-site-data", '"cookies"']] : [];
  }

  #preflight(entry, response) {
    const allowed = this.#corsLines(entry);
    if (allowed.length) allowed.push(["access-control-allow-headers", "x-requested-with, content-type"], ["access-control-allow-methods", "GET, POST, DELETE"]);
    response.writeHead(204, Object.fromEntries(allowed));
    response.end();
    entry.status = 204;
  }

  #forward(entry, headers, body, response) {
    const kept = headers.filter(([name]) => !HOP.has(name.toLowerCase()) && !this.drops?.test(name));
    const options = { host: "127.0.0.1", port: this.app, method: entry.method, path: entry.url, agent: this.agent, headers: kept.flat() };
    return new Promise((resolve, reject) => {
      const upstream = http.request(options, (answer) => {
        const got = lines(answer.rawHeaders).filter(([name]) => !HOP.has(name.toLowerCase()));
        entry.setCookie = got.filter(([name]) => name.toLowerCase() === "set-cookie").map(([, value]) => value);
        entry.answered = got;
        const chunks = [];
        answer.on("data", (chunk) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", async () => {
          const whole = Buffer.concat(chunks);
          entry.body = whole.toString("latin1");
          if (this.held?.fits(entry)) {
            const hungUp = new Promise((done) => { response.once("close", done); });
            entry.status = answer.statusCode;
            await Promise.race([this.held.open, hungUp]);
            if (response.stream?.destroyed || response.destroyed) return reject(new Error("hung up"));
          }
          if (this.lost === entry.path) {
            entry.status = answer.statusCode;
            reject(new Error("lost on purpose"));
            return;
          }
          const fields = {};
          for (const [name, value] of [...got, ...this.#corsLines(entry), ...this.#healing(entry, answer.statusCode)]) (fields[name.toLowerCase()] ??= []).push(value);
          for (const [name, values] of Object.entries(fields)) response.setHeader(name, values.length > 1 ? values : values[0]);
          response.writeHead(answer.statusCode);
          response.end(whole);
          entry.status = answer.statusCode;
          resolve();
        });
      });
      upstream.on("error", reject);
      upstream.end(body);
    });
  }

  /**
   * A WebSocket's handshake, as it is; what comes after it passes both ways. A refusal ends the
   * connection: WebKit would send its next requests over it, and nobody would write them down.
   */
  #upgrade(request, socket, head) {
    const headers = lines(request.rawHeaders);
    const entry = this.#note(request, headers);
    socket.on("error", () => {});
    if (!this.app) return socket.destroy();
    const kept = headers.filter(([name]) => !this.drops?.test(name));
    const start = (answer, more) => {
      const fields = lines(answer.rawHeaders).filter(([name]) => more || !HOP.has(name.toLowerCase()));
      const text = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
      socket.write(`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}\r\n${text}${more ? "" : "connection: close\r\n"}\r\n`);
      entry.status = answer.statusCode;
    };
    const upstream = http.request({ host: "127.0.0.1", port: this.app, path: request.url, headers: kept.flat() });
    upstream.on("response", (answer) => {
      start(answer, false);
      answer.pipe(socket);
    });
    upstream.on("upgrade", (answer, stream, first) => {
      start(answer, true);
      socket.write(first);
      stream.write(head);
      stream.on("error", () => socket.destroy());
      stream.pipe(socket).pipe(stream);
    });
    upstream.on("error", () => socket.destroy());
    upstream.end();
  }
}
