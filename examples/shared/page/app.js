// What the page adds when script runs. Signing in and out works without it, by plain forms.
// No token passes through here: the browser keeps them in cookies that script cannot read.
import { authClient } from "/auth.js";

const byId = (id) => document.getElementById(id);
document.documentElement.classList.add("scripted");

let user = null; // what /me said
let ends = 0; // when the access token expires, in milliseconds
let whole = 1; // how long it lived when it was new

const auth = authClient({
  onRefreshed: (answer) => {
    record("POST", "/auth/refresh", 200, answer);
    showAnswer(answer);
    startLife(answer.expires_in);
  },
  onSignedOut: () => show(null, "You are signed out."),
});

/** Sends a request, shows it in the list, and gives back status and body. */
async function call(method, path, body, send = auth.fetch) {
  const options = { method, headers: { accept: "application/json" } };
  if (body) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let status = 0;
  let answer = null;
  try {
    const response = await send(path, options);
    status = response.status;
    const text = await response.text();
    answer = text ? JSON.parse(text) : null;
  } catch {
    answer = status ? null : { title: "The server cannot be reached." };
  }
  record(method, path, status, answer);
  return { ok: status >= 200 && status < 300, status, answer };
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function record(method, path, status, answer) {
  const line = element("li", "", "");
  line.append(
    element("time", "", new Date().toLocaleTimeString()),
    element("span", "", `${method} ${path}`),
    element("span", status >= 200 && status < 400 ? "good" : "bad", status || "failed"),
  );
  const text = answer ? JSON.stringify(answer) : "";
  if (text) line.append(element("span", "detail", text.length > 240 ? `${text.slice(0, 240)} …` : text));
  byId("log").prepend(line);
  while (byId("log").children.length > 50) byId("log").lastChild.remove();
}

// Who is signed in -----------------------------------------------------------------------------

function show(next, notice = "") {
  user = next;
  byId("signed-in").hidden = !user;
  byId("signed-out").hidden = Boolean(user);
  byId("notice").textContent = notice;
  byId("notice").hidden = !notice;
  for (const target of document.querySelectorAll("[data-show]")) {
    const value = user ? user[target.dataset.show] : "";
    target.textContent = Array.isArray(value) ? value.join(", ") : value;
  }
  if (!user) {
    // The next one to look at this screen may be somebody else.
    for (const id of ["log", "devices"]) byId(id).replaceChildren();
    for (const id of ["generation", "outcome", "theft"]) byId(id).textContent = "–";
    byId("outcome").className = "";
  }
  showLife();
  showSpoils();
}

async function whoAmI(unknown = "") {
  const { ok, status, answer } = await call("GET", "/me");
  if (!ok) {
    if (status === 401) show(null, unknown);
    return;
  }
  startLife(answer.expires_at - Date.now() / 1000, answer.expires_at - answer.issued_at);
  show(answer);
}

/** What to tell somebody whose login was accepted, and who is nobody all the same. */
const COOKIES_NOT_KEPT = location.protocol === "http:"
  ? "The password is right, but this browser keeps no cookies of this page: Safari and other WebKit browsers "
    + "keep Secure cookies over HTTPS only, even on localhost. Start the app with TLS=on and open "
    + `https://${location.host} instead.`
  : "The password is right, but this browser keeps no cookies of this page. Allow them in its settings, and sign in again.";

// The access token's life ----------------------------------------------------------------------

function startLife(seconds, of = seconds) {
  ends = Date.now() + seconds * 1000;
  whole = Math.max(of, 1) * 1000;
  showLife();
}

function showLife() {
  const left = Math.max(0, ends - Date.now());
  const seconds = Math.ceil(left / 1000);
  byId("life").value = left / whole;
  byId("life-text").textContent = left
    ? `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`
    : "expired";
}

/** What the last login or refresh came to, in this tab or another. */
function showAnswer({ outcome, generation }) {
  byId("generation").textContent = generation;
  byId("outcome").textContent = outcome;
  byId("outcome").className = outcome === "recovered" ? "bad" : "good";
}

async function refresh() {
  try {
    const failed = await auth.refresh();
    if (!failed) return;
    record("POST", "/auth/refresh", failed.status, null);
    await whoAmI();
  } catch {
    record("POST", "/auth/refresh", 0, { title: "The server cannot be reached." });
  }
}

/** Renews the token when it has expired, while somebody is looking. */
let renewing = false;
async function tick() {
  showLife();
  if (!user || renewing || Date.now() < ends || document.hidden || !byId("renew").checked) return;
  renewing = true;
  await refresh();
  // Whatever came of it, not again at once.
  setTimeout(() => { renewing = false; }, 1000);
}

/** What a script in this page could send to an intruder. */
function showSpoils() {
  const spoils = {
    "seen-cookie": document.cookie,
    "seen-local": Object.keys(localStorage).join(", "),
    "seen-session": Object.keys(sessionStorage).join(", "),
  };
  for (const [id, text] of Object.entries(spoils)) {
    byId(id).textContent = text || "nothing";
    byId(id).classList.toggle("nothing", !text);
  }
}

// Devices --------------------------------------------------------------------------------------

function roughly(seconds) {
  if (seconds >= 0.5 && seconds < 1.5) return "1 second";
  if (seconds < 120) return `${Math.max(0, Math.round(seconds))} seconds`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} minutes`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} hours`;
  return `${Math.floor(seconds / 86400)} days`;
}

async function listDevices() {
  if (!user) return;
  const { ok, answer } = await call("GET", "/auth/sessions");
  if (!ok) return;
  const now = Date.now() / 1000;
  byId("devices").replaceChildren(...answer.sessions.map((session) => {
    const line = element("li", "device", "");
    const about = element("div", "", "");
    const times = `signed in ${roughly(now - session.created_at)} ago, ends in ${roughly(session.expires_at - now)} without use`;
    about.append(
      element("strong", "", session.device ?? "unknown device"),
      session.current ? " (this one)" : "",
      element("br", "", ""),
      element("span", "muted", times),
    );
    const end = element("button", "", "End");
    end.ariaLabel = `End ${session.current ? "this session" : session.device ?? "that session"}`;
    end.addEventListener("click", () => endSession(session));
    line.append(about, end);
    return line;
  }));
}

async function endSession(session) {
  if (session.current) return signOut("/logout");
  await call("DELETE", `/auth/sessions/${session.sid}`);
  await listDevices();
}

async function signOut(path) {
  const response = await auth.signOut(path).catch(() => null);
  if (!response?.ok) record("POST", `/auth${path}`, response?.status, { title: "You are still signed in." });
}

// What the buttons do --------------------------------------------------------------------------

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  const error = byId("login-error");
  button.disabled = true;
  error.hidden = true;
  const { ok, answer } = await call("POST", "/login", {
    username: form.username.value,
    password: form.password.value,
    remember: form.remember.checked,
  }, fetch);
  button.disabled = false;
  form.password.value = "";
  if (ok) {
    form.reset();
    auth.signedIn();
    showAnswer(answer);
    await whoAmI(COOKIES_NOT_KEPT);
    await listDevices();
    byId("who-title").focus();
  } else {
    error.textContent = answer?.title ?? "That did not work.";
    error.hidden = false;
    form.password.focus();
  }
});

byId("logout").addEventListener("submit", async (event) => {
  event.preventDefault();
  await signOut("/logout");
});

byId("end-devices").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (event.submitter.value === "all") return signOut("/logout-all");
  await call("POST", "/auth/logout-others");
  await whoAmI();
  await listDevices();
});

byId("refresh").addEventListener("click", refresh);

for (const button of document.querySelectorAll("[data-theft]")) {
  button.addEventListener("click", async () => {
    const { answer } = await call("POST", button.dataset.theft, {});
    byId("theft").textContent = answer?.meaning ?? answer?.title ?? answer?.detail ?? "That did not work.";
    if (answer?.outcome === "ended") {
      const { status } = await call("GET", "/me");
      if (status === 401) show(null, answer.meaning);
    }
  });
}

for (const link of document.querySelectorAll("[data-get]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    call("GET", link.dataset.get);
  });
}

setInterval(tick, 500);
// The back button may bring a page back as it was, from before a sign-out: nobody sees it until the
// server has said again what there is to see.
window.addEventListener("pagehide", (event) => { document.body.hidden = event.persisted; });
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
if (!byId("signed-in").hidden) whoAmI().then(listDevices);
