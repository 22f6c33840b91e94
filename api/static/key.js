// The key of a service that needs one. It is in this page's memory only and gone with the page: never in the browser's
// storage, in a cookie or in an address.

const POSSIBLE = /^[!-~]+$/; // what a header takes without a change

const dialog = document.getElementById("key-dialog");
const field = document.getElementById("key");
const said = document.getElementById("key-said");
const shown = document.getElementById("key-shown");
const change = document.getElementById("key-change");

let key = "";
let asking = null; // the promise of the dialog's end: one dialog, however many requests wait for a key
let mayAsk = true; // not after a person has sent the dialog away, until the same person asks for something again

let given = () => {};

export const hasKey = () => key !== "";

/** Call this each time that a person has given a key. */
export function whenKeyIsGiven(callback) {
  given = callback;
}

/** A person asks for something new, so the dialog may come, though it was sent away before. */
export function allowAsking() {
  mayAsk = true;
}

/**
 * Send a request with the key; when the service answers that it needs one, or another, ask for it and send it again.
 *
 * @param {(headers: Record<string, string>) => Promise<{status: number}>} send sends it with these headers
 * @returns the answer; its status is 401 only if no key was given
 */
export async function withKey(send) {
  for (;;) {
    const used = key;
    const response = await send(used ? { Authorization: `Bearer ${used}` } : {});
    if (response.status !== 401 || (used === key && !(await askedFor(used)))) {
      return response;
    }
  }
}

async function askedFor(refused) {
  if (asking === null && !mayAsk) {
    return false;
  }
  return ask(refused ? "The service does not know this key. It is mistyped, or no longer valid." : "");
}

/** Whether a key was given in the end. */
function ask(reason) {
  asking ??= new Promise((resolve) => {
    tell(reason);
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "given"), { once: true });
    dialog.showModal();
  }).finally(() => {
    asking = null;
  });
  return asking;
}

function tell(reason) {
  said.textContent = reason;
  field.setAttribute("aria-invalid", String(reason !== ""));
}

function show(visible) {
  shown.checked = visible;
  field.type = visible ? "text" : "password";
}

dialog.querySelector("form").addEventListener("submit", (event) => {
  const typed = field.value.trim();
  if (!POSSIBLE.test(typed)) {
    event.preventDefault();
    tell("This can't be a key: there is a space in it, or a character that keys do not have.");
    field.select();
    return;
  }
  key = typed;
  mayAsk = true;
  change.hidden = false;
  given();
});
dialog.addEventListener("close", () => {
  mayAsk = dialog.returnValue === "given";
  field.value = "";
  show(false);
});
dialog.querySelector("[data-leave]").addEventListener("click", () => dialog.close());
shown.addEventListener("change", () => show(shown.checked));
change.addEventListener("click", () => ask(""));
