// What this browser tab has classified, so that a reload keeps it. It leaves with the tab.

const KEY = "visit";
const KEPT = 50;

export function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? [];
  } catch {
    return []; // storage switched off, or another version's
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
    // full or switched off: the page works without
  }
}
