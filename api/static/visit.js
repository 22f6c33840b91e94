// What this browser tab has classified, so that a reload keeps it. It is gone when the tab is closed.

const KEY = "visit";
const KEPT = 50;

export function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? [];
  } catch {
    return []; // storage is off, or written by another version
  }
}

export function remember(name, answer) {
  store([{ name, answer }, ...remembered()].slice(0, KEPT));
}

export function forget() {
  store([]);
}

function store(entries) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(entries));
  } catch {
    // storage is full or off: the page works without it
  }
}
