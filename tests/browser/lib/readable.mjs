/** Runs in a page: everything in it that script could read. */
export async function readable() {
  const of = (storage) => {
    try {
      return JSON.stringify({ ...storage() });
    } catch {
      return ""; // a document without an origin has no storage
    }
  };
  const databases = await (globalThis.indexedDB?.databases?.() ?? []);
  const caches = await (globalThis.caches?.keys?.().catch(() => []) ?? []);
  return [
    document.documentElement.outerHTML,
    document.cookie,
    of(() => localStorage),
    of(() => sessionStorage),
    JSON.stringify(history.state),
    document.referrer,
    name,
    JSON.stringify(databases),
    JSON.stringify(caches),
    performance.getEntries().map((entry) => entry.name).join(" "),
  ].join("\n");
}

export function withoutHanging(promise) {
  const limit = new Promise((resolve) => { setTimeout(() => resolve(null), 2000); });
  return Promise.race([promise.catch(() => null), limit]);
}
