// Keeps a page signed in. Copy it; it depends on nothing, and no token passes through it.
//
// - A request that is answered 401 is sent once more after a refresh.
// - One refresh at a time, in all tabs together: the others wait for it and use its cookies.
// - A sign-out in one tab is one in all tabs.
// - 503, a lost connection and every other trouble is not a sign-out: the caller sees it, and the
//   next request tries again. Neither is a 401 that asks for a newer login (RFC 9470).
//
//   const auth = authClient({ onSignedOut: () => location.assign("/login") });
//   const response = await auth.fetch("/api/orders");
//   await auth.signOut();

export function authClient({
  prefix = "/auth", // where the session routes are mounted
  headers = {}, // what the cross-site preset needs, e.g. { "x-requested-with": "fetch" }
  onRefreshed = () => {}, // called with { expires_in, outcome, generation }, in every tab
  onSignedOut = () => {}, // called once when the session turns out to be over, in every tab
} = {}) {
  const channel = new BroadcastChannel(`auth:${prefix}`);
  let refreshes = 0; // how many refreshes this tab knows of, its own and other tabs'
  let signedOut = false;
  function endHere() {
    if (signedOut) return;
    signedOut = true;
    onSignedOut();
  }

  function noteRefresh(answer) {
    refreshes += 1;
    onRefreshed(answer);
  }

  channel.onmessage = ({ data }) => {
    if (data === "signed-out") endHere();
    if (data === "signed-in") signedOut = false;
    if (data.refreshed) noteRefresh(data.refreshed);
  };

  const post = (path) => fetch(prefix + path, { method: "POST", headers });

  /** Refreshes, unless that has happened since `known`. Gives back the failed answer, or null. */
  async function refresh(known = refreshes) {
    return oneAtATime(async () => {
      if (refreshes !== known) return null;
      const response = await post("/refresh");
      if (!response.ok) return response;
      const answer = await response.json();
      channel.postMessage({ refreshed: answer });
      noteRefresh(answer);
      return null;
    });
  }

  let queue = Promise.resolve();
  /** Across tabs where the browser has Web Locks (secure contexts), else in this one. */
  function oneAtATime(work) {
    if (navigator.locks) return navigator.locks.request(`auth:${prefix}`, work);
    const turn = queue.then(work);
    queue = turn.catch(() => {});
    return turn;
  }

  // A fresher token would not be enough.
  const asksForLogin = ({ headers }) => /insufficient_user_auth/.test(headers.get("www-authenticate"));

  /** As `fetch`. A body must be one that can be sent twice: no stream. */
  async function authFetch(input, options) {
    const known = refreshes;
    const first = await fetch(input, options);
    if (first.status !== 401 || asksForLogin(first)) return first;
    const failed = await refresh(known);
    // 400: no session to refresh. Anything else is trouble that says nothing about the session.
    if (failed && failed.status !== 400) return failed;
    // Even then once more: another tab may have signed in anew in the meantime.
    const second = await fetch(input, options);
    if (second.status === 401 && !asksForLogin(second)) endHere();
    return second;
  }

  return {
    fetch: authFetch,
    refresh,

    /** Call it after a login. */
    signedIn() {
      signedOut = false;
      channel.postMessage("signed-in");
    },

    /** Ends the session, or with "/logout-all" all of the user's. */
    async signOut(path = "/logout") {
      const response = path === "/logout" ? await post(path) : await authFetch(prefix + path, { method: "POST", headers });
      if (!response.ok) return response; // the session lives on: say so, and let the user try again
      channel.postMessage("signed-out");
      endHere();
      return response;
    },
  };
}
