// One picture's card, cloned from the page's own templates, which the server fills the same way without a script.

import { listenForReport } from "./report.js";
import { duration, modelOf, percent, words } from "./words.js";

const CACHE_WORDS = { hit: "seen before", joined: "shared with another request", miss: "" };

export class Card {
  /** What a later page of this visit needs to show it again; null until it has an answer or has failed. */
  ended = null;

  constructor(name) {
    this.name = name;
    this.item = document.createElement("li");
    this.item.append(document.getElementById("card").content.cloneNode(true));
    this.find(".card-title").textContent = name;
    listenForReport(this.find(".report-form"));
  }

  find(selector) {
    return this.item.querySelector(selector);
  }

  show(source) {
    const image = this.find(".thumb img");
    image.addEventListener("error", () => image.removeAttribute("src"), { once: true }); // a format that only the service can read
    image.src = source;
  }

  /** @param {"queued"|"uploading"|"classifying"|"waiting"} state  @param {string} text for the person */
  wait(state, text, share = 0) {
    this.ended = null;
    this.#become(state, text);
    this.find(".card-progress").value = share * 100;
  }

  fail(message, retry) {
    this.ended = { name: this.name, error: message };
    this.#become("failed", "");
    this.find(".card-error").textContent = message;
    const button = this.find(".card-retry");
    button.hidden = !retry;
    button.onclick = () => {
      this.find(".card-title").focus(); // the button disappears
      retry();
    };
  }

  leave() {
    this.item.remove();
    URL.revokeObjectURL(this.find(".thumb img").src);
  }

  done(answer) {
    const best = answer.predictions[0];
    const frame = answer.first_frame_only && "first frame of an animation";
    const about = [this.name, duration(answer.elapsed_ms / 1000), CACHE_WORDS[answer.cache], modelOf(answer), frame];
    this.ended = { name: this.name, answer };
    this.#become("done", about.filter(Boolean).join(" · "));
    this.find(".card-title").textContent = words(best.label);
    this.find(".bars").replaceChildren(...answer.predictions.map(bar));
    if (answer.display) {
      this.find(".thumb").href = answer.display; // a link that expires; none if the service keeps no pictures
      if (answer.first_frame_only) {
        URL.revokeObjectURL(this.find(".thumb img").src);
        this.show(answer.display); // what was classified, and not the animation that was dropped
      }
    }
    this.find(".thumb img").alt = `${this.name}, full size`;
    const fields = this.find(".report-form").elements;
    fields.filename.value = answer.image;
    fields.prediction.value = best.label;
    fields.score.value = best.score;
    fields.model.value = answer.model;
    fields.digest.value = answer.digest;
    this.find(".report-form").dataset.model = modelOf(answer);
    return `${this.name}: ${words(best.label)}, ${percent(best.score)}`;
  }

  #become(state, text) {
    this.find(".card").dataset.state = state;
    this.find(".card-about").textContent = text;
    this.find(".card-progress").hidden = state === "failed" || state === "done";
    this.find(".card-error").hidden = state !== "failed";
    this.find(".card-retry").hidden = true;
    this.find(".bars").hidden = this.find(".report").hidden = state !== "done";
  }
}

function bar({ label, score }) {
  const row = document.getElementById("bar").content.cloneNode(true);
  row.querySelector(".bar-label").textContent = words(label);
  row.querySelector(".bar-percent").textContent = percent(score);
  row.querySelector(".bar-fill").setAttribute("width", `${(score * 100).toFixed(2)}%`);
  return row;
}
