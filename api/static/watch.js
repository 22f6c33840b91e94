// Looks for the latest inspection, whoever has made it, as long as somebody can see the page.

import { latest } from "./inspections.js";

const EVERY_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
const REFUSED = [401, 403]; // asking again would be refused again, and may count as guessing keys

export class Watch {
  #listener;
  #tag = "";
  #failures = 0;
  #timer = 0;
  #underWay = null;

  /** @param {{seen(found): void, lost(error: Error, refused: boolean): void}} listener is told how each look has ended */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Begin, or go on at once. */
  look() {
    this.pause();
    this.#look(new AbortController());
  }

  /** What is under way is told to nobody: it may be older than what the page knows by then. */
  pause() {
    clearTimeout(this.#timer);
    this.#underWay?.abort();
  }

  async #look(underWay) {
    this.#underWay = underWay;
    const { signal } = underWay;
    let again = true;
    try {
      const found = await latest(this.#tag, signal);
      if (!signal.aborted) {
        this.#tag = found.tag;
        this.#failures = 0;
        this.#listener.seen(found);
      }
    } catch (error) {
      if (!signal.aborted) {
        this.#failures += 1;
        again = !REFUSED.includes(error.status);
        this.#listener.lost(error, !again);
      }
    }
    if (again && !signal.aborted) {
      const pauseMs = Math.min(EVERY_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
      this.#timer = setTimeout(() => this.#look(underWay), this.#failures > 0 ? pauseMs : EVERY_MS);
    }
  }
}
