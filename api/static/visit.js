// What this browser tab has classified, and by which model it wants to be answered, so that a reload keeps it. It is gone
// when the tab is closed.

const KEY = "visit";
const MODEL_KEY = "model";
const KEPT = 50;

/**
 * What was kept, in its order: `{name, answer}` of a picture that has one, else `{name, error}`.
 * An answer's `display` is null once that link has expired.
 */
export function remembered() {
  try {
    return (JSON.parse(sessionStorage.getItem(KEY)) ?? []).map(withoutExpiredLink);
  } catch {
    return []; // storage is off, or written by another version
  }
}

/** Keep these instead of all that was kept before. */
export function remember(entries) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(entries.slice(0, KEPT)));
  } catch {
    // storage is full or off: the page works without it
  }
}

/** The name of the model that was chosen; empty for the service's default. */
export function rememberedModel() {
  try {
    return sessionStorage.getItem(MODEL_KEY) ?? "";
  } catch {
    return ""; // storage is off
  }
}

/** @param {string} name of a model; empty to forget the choice */
export function rememberModel(name) {
  try {
    sessionStorage.setItem(MODEL_KEY, name);
  } catch {
    // storage is off: the choice holds for this page
  }
}

function withoutExpiredLink(entry) {
  const display = entry.answer?.display;
  const expires = display && new URL(display, document.baseURI).searchParams.get("expires"); // in Unix seconds
  return expires && expires * 1000 <= Date.now() ? { ...entry, answer: { ...entry.answer, display: null } } : entry;
}
