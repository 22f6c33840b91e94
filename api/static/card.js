// One picture's card, cloned from the page's own templates, which the server fills the same way without a script.

import { Objects } from "./objects.js";
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
    this.objects = new Objects(this.item, (title) => this.#name(title));
  }

  find(selector) {
    return this.item.querySelector(selector);
  }

  show(source) {
    const image = this.find(".thumb img");
    image.onerror = () => image.removeAttribute("src"); // a format that only the service can read
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

  /** Show an answer; returns it in words. */
  done(answer) {
    const frame = answer.first_frame_only && "first frame of an animation";
    const about = [this.name, duration(answer.elapsed_ms / 1000), CACHE_WORDS[answer.cache], modelOf(answer), frame];
    this.ended = { name: this.name, answer };
    this.#become("done", about.filter(Boolean).join(" · "));
    if (answer.display) {
      this.find(".thumb").href = answer.display; // a link that expires; none if the service keeps no pictures
      if (answer.first_frame_only) {
        this.#showCopy(); // what was looked at, and not the animation that was dropped
      }
    }
    this.find(".thumb img").alt = `${this.name}, full size`;
    return answer.detections ? this.#doneWithObjects(answer) : this.#doneWithLabels(answer);
  }

  #doneWithLabels(answer) {
    const best = answer.predictions[0];
    this.#name(words(best.label));
    this.find(".bars").replaceChildren(...answer.predictions.map(bar));
    this.find(".bars").hidden = this.find(".report").hidden = false;
    const fields = this.find(".report-form").elements;
    fields.filename.value = answer.image;
    fields.prediction.value = best.label;
    fields.score.value = best.score;
    fields.model.value = answer.model;
    fields.digest.value = answer.digest;
    this.find(".report-form").dataset.model = modelOf(answer);
    return `${this.name}: ${words(best.label)}, ${percent(best.score)}`;
  }

  #doneWithObjects(answer) {
    const image = this.find(".thumb img");
    this.find(".card").dataset.shows = "objects";
    this.find(".boxes").toggleAttribute("hidden", false);
    this.find(".objects").hidden = false;
    image.width = answer.size.width;
    image.height = answer.size.height;
    this.objects.show(answer);
    const { width, height } = answer.size;
    const asSeen = () => image.naturalWidth === width && image.naturalHeight === height;
    if (answer.display && image.src.startsWith("blob:")) {
      // A browser that can't read the file, or does not turn it, would show something else than the boxes belong to.
      image.decode().then(asSeen, () => false).then((same) => same || this.#showCopy());
    }
    return `${this.name}: ${this.find(".card-title").textContent}`;
  }

  #name(title) {
    this.find(".card-title").textContent = title;
  }

  /** The service's clean copy of the picture in place of the file. */
  #showCopy() {
    URL.revokeObjectURL(this.find(".thumb img").src);
    this.show(this.ended.answer.display);
  }

  #become(state, text) {
    this.find(".card").dataset.state = state;
    this.find(".card-about").textContent = text;
    this.find(".card-progress").hidden = state === "failed" || state === "done";
    this.find(".card-error").hidden = state !== "failed";
    this.find(".card-retry").hidden = true;
    this.find(".bars").hidden = this.find(".report").hidden = this.find(".objects").hidden = true;
    this.find(".boxes").toggleAttribute("hidden", true);
    delete this.find(".card").dataset.shows;
  }
}

function bar({ label, score }) {
  const row = document.getElementById("bar").content.cloneNode(true);
  row.querySelector(".bar-label").textContent = words(label);
  row.querySelector(".bar-percent").textContent = percent(score);
  row.querySelector(".bar-fill").setAttribute("width", `${(score * 100).toFixed(2)}%`);
  return row;
}
