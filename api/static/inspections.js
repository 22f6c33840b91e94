// What the page of inspections asks the service. All fail with a Refused whose message tells a person what to do.

import { answered } from "./service.js";

const READING_MS = 5_000; // longer than this, what is shown is not what is
const UPLOAD_MS = 90_000; // before the service's own deadline begins; only a dead connection lasts longer
const JSON_WANTED = { Accept: "application/json" };

/**
 * Inspect a part.
 *
 * @param {File | null} file its picture; null to have the camera take one
 * @param {Record<string, string>} parameters
 * @param {number} deadlineMs how long the service itself takes at most, once it has the file
 */
export async function inspect(file, parameters, deadlineMs) {
  const body = file ? new FormData() : new URLSearchParams();
  Object.entries(parameters).forEach(([name, value]) => body.append(name, value));
  if (file) {
    body.append("file", file);
  }
  const request = { method: "POST", headers: JSON_WANTED, body, deadlineMs: deadlineMs + (file ? UPLOAD_MS : READING_MS) };
  return (await answered("v1/inspections", request)).json();
}

/**
 * The latest inspection.
 *
 * @param {string} tag of what is known already; empty if nothing is
 * @param {AbortSignal} signal gives it up
 * @returns what there is, null if nothing is kept; and whether it is what is known already
 */
export async function latest(tag, signal) {
  const headers = tag ? { ...JSON_WANTED, "If-None-Match": tag } : JSON_WANTED;
  const response = await answered("v1/inspections/latest", { headers, signal, deadlineMs: READING_MS }, [304, 404]);
  const now = Date.parse(response.headers.get("Date") ?? "") || Date.now(); // the service's clock counts, not this one's
  if (response.status === 304) {
    return { same: true, inspection: null, tag, now };
  }
  const inspection = response.status === 404 ? null : await response.json();
  return { same: false, inspection, tag: inspection ? (response.headers.get("ETag") ?? "") : "", now };
}

/** A page of inspections, newest first; `decision` is "" for all or "false" for bad ones. */
export async function page(number, decision) {
  const query = new URLSearchParams({ page: number, decision });
  return (await answered(`v1/inspections?${query}`, { headers: JSON_WANTED, deadlineMs: UPLOAD_MS })).json();
}

/** The keys of all sets of patterns. */
export async function patternKeys() {
  const answer = await answered("v1/patterns", { headers: JSON_WANTED, deadlineMs: UPLOAD_MS });
  return (await answer.json()).pattern_sets.map(({ key }) => key);
}

/** What lies at an address of the service, which an answer or a link of the page has. */
export async function fileAt(address) {
  return (await answered(address, { deadlineMs: UPLOAD_MS })).blob();
}
