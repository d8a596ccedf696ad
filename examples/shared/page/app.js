"use strict";
// What the page adds when script runs. Signing in and out works without it, by plain forms.
// No token passes through here: the browser keeps them in cookies that script cannot read.

const byId = (id) => document.getElementById(id);
document.documentElement.classList.add("scripted");

/** Sends a request, shows it in the list, and gives back status and body. */
async function call(method, path, body) {
  const options = { method, headers: { accept: "application/json" } };
  if (body) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let status = 0;
  let answer = null;
  try {
    const response = await fetch(path, options);
    status = response.status;
    const text = await response.text();
    answer = text ? JSON.parse(text) : null;
  } catch {
    answer = status ? null : { title: "the server cannot be reached" };
  }
  record(method, path, status, answer);
  return { ok: status >= 200 && status < 300, status, answer };
}

function record(method, path, status, answer) {
  const line = document.createElement("li");
  const part = (tag, className, text) => {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    line.append(element);
  };
  part("time", "", new Date().toLocaleTimeString());
  part("span", "", `${method} ${path}`);
  part("span", status >= 200 && status < 400 ? "good" : "bad", status || "failed");
  if (answer) part("span", "detail", JSON.stringify(answer));
  byId("log").prepend(line);
  while (byId("log").children.length > 50) byId("log").lastChild.remove();
}

// Who is signed in -----------------------------------------------------------------------------

let user = null;

function show(next) {
  user = next;
  byId("signed-in").hidden = !user;
  byId("signed-out").hidden = Boolean(user);
  for (const element of document.querySelectorAll("[data-show]")) {
    const value = user ? user[element.dataset.show] : "";
    element.textContent = Array.isArray(value) ? value.join(", ") : value;
  }
  showLife();
  showSpoils();
}

async function whoAmI() {
  const { ok, answer } = await call("GET", "/me");
  show(ok ? answer : null);
}

/** How long the access token still lives. */
function showLife() {
  if (!user) return;
  const whole = user.expires_at - user.issued_at;
  const left = Math.max(0, Math.round(user.expires_at - Date.now() / 1000));
  byId("life").value = left / whole;
  const seconds = String(left % 60).padStart(2, "0");
  byId("life-text").textContent = left ? `${Math.floor(left / 60)}:${seconds} left` : "expired";
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
  });
  button.disabled = false;
  form.password.value = "";
  if (ok) {
    form.reset();
    await whoAmI();
    byId("who-title").tabIndex = -1;
    byId("who-title").focus();
  } else {
    error.textContent = answer?.title ?? "that did not work";
    error.hidden = false;
    form.password.focus();
  }
});

byId("logout").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { ok } = await call("POST", "/logout");
  if (ok) {
    show(null);
    byId("log").replaceChildren();
    byId("username").focus();
  }
});

for (const link of document.querySelectorAll("[data-get]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    call("GET", link.dataset.get);
  });
}

setInterval(showLife, 1000);
// The back button may bring back a page from before a sign-out, as it was.
window.addEventListener("pageshow", (event) => { if (event.persisted) whoAmI(); });
if (!byId("signed-in").hidden) whoAmI();
