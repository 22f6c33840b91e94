// The pictures in progress: a few at a time, a busy service is asked again, and all can be cancelled.

import { allowAsking } from "./key.js";
import { classify, Refused } from "./service.js";
import { when } from "./words.js";

const AT_ONCE = 3; // enough to keep the workers busy, few enough to leave room for other visitors
const TRIES_WHEN_BUSY = 3;
const LONGEST_PAUSE_S = 20;
const UPLOADED = 0.5; // share of a picture's progress; the rest is the service's

const isUnderWay = (way) => typeof way === "number";
const pause = (seconds) => new Promise((wake) => setTimeout(wake, seconds * 1000));

export class Work {
  #limits;
  #listener;
  #queue = [];
  #running = 0;
  #ways = new Map(); // progress of the cards since the last work ended: a share of 1, "done" or "failed"
  #startedAt = 0;
  #stop = new AbortController();

  /**
   * @param {{maxUploadMb: number, deadlineMs: number}} limits
   * @param {{done(card, answer): void, failed(card, message): void, moved(tally): void}} listener
   */
  constructor(limits, listener) {
    this.#limits = limits;
    this.#listener = listener;
  }

  add(card, file, model) {
    if (!this.busy) {
      this.#ways.clear();
      this.#startedAt = performance.now();
    }
    card.wait("queued", "Waiting for its turn");
    this.#move(card, 0);
    this.#queue.push({ card, file, model });
    this.#next();
  }

  /** Cancel what is in progress and return its cards. */
  cancel() {
    const given = [...this.#ways].filter(([, way]) => isUnderWay(way)).map(([card]) => card);
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#queue = [];
    given.forEach((card) => this.#ways.delete(card));
    this.#listener.moved(this.#tally());
    return given;
  }

  get busy() {
    return [...this.#ways.values()].some(isUnderWay);
  }

  #tally() {
    const ways = [...this.#ways.values()];
    const done = ways.filter((way) => way === "done").length;
    const failed = ways.filter((way) => way === "failed").length;
    const underWay = ways.filter(isUnderWay).reduce((sum, share) => sum + share, 0);
    return {
      total: ways.length,
      done,
      failed,
      over: !this.busy,
      share: (done + failed + underWay) / ways.length,
      elapsedS: (performance.now() - this.#startedAt) / 1000,
    };
  }

  #move(card, way) {
    this.#ways.set(card, way);
    this.#listener.moved(this.#tally());
  }

  #next() {
    while (this.#running < AT_ONCE && this.#queue.length > 0) {
      const { card, file, model } = this.#queue.shift();
      this.#running += 1;
      this.#run(card, file, model, this.#stop.signal).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  async #run(card, file, model, signal) {
    try {
      const answer = await this.#answered(card, file, model, signal);
      signal.throwIfAborted();
      this.#listener.done(card, answer);
      this.#move(card, "done");
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      const message = error instanceof Refused ? error.message : "Something went wrong on this page. Please try again.";
      card.fail(message, error.lasting ? null : () => this.#retry(card, file, model));
      this.#listener.failed(card, message);
      this.#move(card, "failed");
    }
  }

  #retry(card, file, model) {
    allowAsking();
    this.add(card, file, model);
  }

  /** The service's answer; a busy service is asked again after its Retry-After. */
  async #answered(card, file, model, signal) {
    await this.#check(file);
    for (let tries = 1; ; tries += 1) {
      signal.throwIfAborted();
      try {
        return await classify(file, model, this.#limits.deadlineMs, signal, (share) => this.#sent(card, share));
      } catch (error) {
        if (!(error.retryAfterS <= LONGEST_PAUSE_S) || tries === TRIES_WHEN_BUSY) {
          throw error;
        }
        const pauseS = Math.max(error.retryAfterS, 1);
        const why = error.status === 429 ? "That was much at once" : "The service is busy";
        card.wait("waiting", `${why}; trying again ${when(pauseS)}`);
        this.#move(card, 0);
        await pause(pauseS);
      }
    }
  }

  #sent(card, share) {
    this.#move(card, share * UPLOADED);
    if (share < 1) {
      card.wait("uploading", `Uploading, ${Math.round(share * 100)}%`, share);
    } else {
      card.wait("classifying", "Looking at it", 1);
    }
  }

  async #check(file) {
    if (file.size > this.#limits.maxUploadMb * 1e6) {
      throw new Refused(`This file is too large: at most ${this.#limits.maxUploadMb} MB are taken.`, true);
    }
    await file.slice(0, 1).arrayBuffer().catch(() => {
      throw new Refused("This can't be read: it is a folder, or was moved or changed since you chose it.", true);
    });
  }
}
