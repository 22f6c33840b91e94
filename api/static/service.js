// The page's calls to the service. All fail with a Refused whose message tells a person what to do.

const UPLOAD_TIME_MS = 90_000; // before the service's own deadline begins; only a dead connection lasts longer

export class Refused extends Error {
  /**
   * @param {string} message
   * @param {boolean} lasting whether the same file would be refused again
   * @param {number} retryAfterS when the service says that trying again will help; NaN when it does not
   * @param {boolean} ownShare whether the sender has had his share, rather than that the service is busy
   */
  constructor(message, lasting = false, retryAfterS = NaN, ownShare = false) {
    super(message);
    this.lasting = lasting;
    this.retryAfterS = retryAfterS;
    this.ownShare = ownShare;
  }
}

/**
 * Upload one file. XMLHttpRequest, since fetch can't report the progress.
 *
 * @param {File} file
 * @param {number} deadlineMs how long the service itself takes at most, once it has the file
 * @param {AbortSignal} signal gives it up
 * @param {(share: number) => void} onProgress gets the share sent, 0 to 1
 */
export async function classify(file, deadlineMs, signal, onProgress) {
  const response = await sent(file, deadlineMs, signal, onProgress);
  if (response.status !== 200) {
    throw refusal(response.status, response.responseText, response.getResponseHeader("Retry-After"));
  }
  return JSON.parse(response.responseText);
}

function sent(file, deadlineMs, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "./");
    request.setRequestHeader("Accept", "application/json");
    request.timeout = UPLOAD_TIME_MS + deadlineMs;
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.upload.onload = () => onProgress(1);
    request.ontimeout = () => reject(new Refused("The service did not answer in time. Please try again."));
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(signal.reason);
    request.onload = () => resolve(request);
    const giveUp = () => request.abort();
    signal.addEventListener("abort", giveUp);
    request.onloadend = () => signal.removeEventListener("abort", giveUp);
    const form = new FormData();
    form.append("file", file);
    request.send(form);
  });
}

/** Send one report; resolves when it is stored. */
export async function report(fields) {
  const response = await fetch("feedback", {
    method: "POST",
    headers: { Accept: "application/json" },
    body: new URLSearchParams({ report: JSON.stringify(fields) }),
  }).catch(() => {
    throw unreachable();
  });
  if (!response.ok) {
    throw refusal(response.status, await response.text(), response.headers.get("Retry-After"));
  }
}

let asked = null; // the promise of the labels: one request a page, however many forms

/** All labels of the model, by class index. */
export function labels() {
  asked ??= gotLabels().catch((error) => {
    asked = null;
    throw error;
  });
  return asked;
}

async function gotLabels() {
  const response = await fetch("labels", { headers: { Accept: "application/json" } }).catch(() => {
    throw unreachable();
  });
  if (!response.ok) {
    throw refusal(response.status, await response.text(), response.headers.get("Retry-After"));
  }
  return (await response.json()).labels;
}

const unreachable = () => new Refused("The service can't be reached. Check the connection and try again.");

function refusal(status, body, retryAfter) {
  let problem = {};
  try {
    problem = JSON.parse(body);
  } catch {
    // a proxy's own error page: only the status is known
  }
  return new Refused(
    problem.detail || problem.title || `The service answered with error ${status}.`,
    status < 500 && status !== 429,
    Number.parseInt(retryAfter, 10),
    status === 429,
  );
}
