// The page's calls to the service. All fail with a Refused whose message tells a person what to do.

import { allowAsking, hasKey, withKey } from "./key.js";
import { when } from "./words.js";

const SERVICE = new URL("../", import.meta.url); // not the page's own address, which may have no slash at its end
const UPLOAD_TIME_MS = 90_000; // before the service's own deadline begins; only a dead connection lasts longer

export class Refused extends Error {
  /**
   * @param {string} message
   * @param {boolean} lasting whether the same file would be refused again
   * @param {number} retryAfterS when the service says that trying again will help; NaN when it does not
   * @param {number} status of the answer, if there was one; 429 is for what this visitor has sent, not others
   */
  constructor(message, lasting = false, retryAfterS = NaN, status = 0) {
    super(message);
    this.lasting = lasting;
    this.retryAfterS = retryAfterS;
    this.status = status;
  }
}

/**
 * Upload one file. XMLHttpRequest, since fetch can't report the progress.
 *
 * @param {File} file
 * @param {string} model which is to answer; empty for the service's default
 * @param {number} deadlineMs how long the service itself takes at most, once it has the file
 * @param {AbortSignal} signal gives it up
 * @param {(share: number) => void} onProgress gets the share sent, 0 to 1
 */
export async function classify(file, model, deadlineMs, signal, onProgress) {
  const response = await withKey((headers) => {
    signal.throwIfAborted();
    return sent(file, model, headers, deadlineMs, signal, onProgress);
  });
  if (response.status !== 200) {
    throw refusal(response.status, response.responseText, response.getResponseHeader("Retry-After"));
  }
  return JSON.parse(response.responseText);
}

function sent(file, model, headers, deadlineMs, signal, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", SERVICE);
    for (const [name, value] of Object.entries({ Accept: "application/json", ...headers })) {
      request.setRequestHeader(name, value);
    }
    request.timeout = UPLOAD_TIME_MS + deadlineMs;
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.upload.onload = () => onProgress(1);
    request.ontimeout = () => reject(late());
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(signal.reason);
    request.onload = () => resolve(request);
    const giveUp = () => request.abort();
    signal.addEventListener("abort", giveUp);
    request.onloadend = () => signal.removeEventListener("abort", giveUp);
    const form = new FormData();
    form.append("file", file);
    if (model) {
      form.append("model", model);
    }
    request.send(form);
  });
}

/** Send one report; resolves to whether it is stored, which an empty one is not. */
export async function report(fields) {
  allowAsking();
  const answer = await json("feedback", { method: "POST", body: new URLSearchParams({ report: JSON.stringify(fields) }) });
  return answer.stored;
}

const asked = new Map(); // by model, the promise of its labels: one request a page, however many forms

/**
 * All labels of a model, by class index.
 *
 * @param {string} model as name or name@version; empty for the service's default
 */
export function labels(model) {
  if (!asked.has(model)) {
    const answer = gotLabels(model);
    asked.set(model, answer);
    answer.catch(() => asked.delete(model));
  }
  return asked.get(model);
}

async function gotLabels(model) {
  return (await json(model ? `labels?${new URLSearchParams({ model })}` : "labels")).labels;
}

/** All models that the service has now. */
export async function models() {
  return (await json("v1/models")).models;
}

async function json(route, request = {}) {
  const headers = { Accept: "application/json", ...request.headers };
  return (await answered(route, { ...request, headers })).json();
}

/**
 * Send a request, with the key if there is one.
 *
 * @param {string} route below the service's address, or a path that an answer has given
 * @param {RequestInit & {deadlineMs?: number}} request as of `fetch`
 * @param {number[]} expected statuses that are no failure, beside those of 200 to 299
 * @returns {Promise<Response>}
 */
export async function answered(route, { deadlineMs = 0, signal = null, ...request } = {}, expected = []) {
  const response = await withKey((headers) => {
    const ends = [signal, deadlineMs > 0 ? AbortSignal.timeout(deadlineMs) : null].filter(Boolean);
    const asked = { ...request, headers: { ...request.headers, ...headers }, signal: AbortSignal.any(ends) };
    return fetch(new URL(route, SERVICE), asked).catch((error) => {
      throw error.name === "TimeoutError" ? late() : unreachable();
    });
  });
  if (!response.ok && !expected.includes(response.status)) {
    throw refusal(response.status, await response.text(), response.headers.get("Retry-After"));
  }
  return response;
}

const late = () => new Refused("The service did not answer in time. Please try again.");
const unreachable = () => new Refused("The service can't be reached. Check the connection and try again.");

function refusal(status, body, retryAfter) {
  let problem = {};
  try {
    problem = JSON.parse(body);
  } catch {
    // a proxy's own error page: only the status is known
  }
  const retryAfterS = Number.parseInt(retryAfter, 10);
  const said = problem.detail || problem.title || `The service answered with error ${status}.`;
  return new Refused(forPeople(status, said, retryAfterS), isLasting(status), retryAfterS, status);
}

/** What the service said; in other words where that is for programs, with more where it leaves out the time. */
function forPeople(status, said, retryAfterS) {
  if (status === 401) {
    return hasKey() ? "The service does not know your key." : "This service needs a key.";
  }
  const leavesOutTime = status === 429 && retryAfterS > 0 && !said.includes("try again in");
  return leavesOutTime ? `${said}. Try again ${when(retryAfterS)}.` : said;
}

/** Whether the same file would be refused again; with another key, or later, it may not be. */
function isLasting(status) {
  return status < 500 && status !== 401 && status !== 429 && !(status === 403 && hasKey());
}
