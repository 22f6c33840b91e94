// The objects that a detector has found: boxes over the picture and a list beside it. Pointing at one of a pair, or
// reaching it with the keyboard, lights up both; pressing it keeps them lit.

import { percent, words } from "./words.js";

const HUES = 8; // as the style sheet has them
const ABOVE = 0.1; // of the height: with less room above it a box has its name inside

const share = (part, whole) => `${((100 * part) / whole).toFixed(3)}%`;
const area = ({ box }) => box.width * box.height;

export class Objects {
  #boxes;
  #list;
  #slider;
  #shown;
  #answer;
  #kept = null; // the index of the object that stays lit
  #moved;

  /**
   * @param {HTMLElement} card
   * @param {(title: string) => void} moved is told what is in sight, now and after each move of the slider
   */
  constructor(card, moved) {
    this.#boxes = card.querySelector(".boxes");
    this.#list = card.querySelector(".object-list");
    this.#slider = card.querySelector(".least-score");
    this.#shown = card.querySelector(".objects-shown");
    this.#moved = moved;
    this.#slider.addEventListener("input", () => this.#filter());
    for (const part of [this.#boxes, this.#list]) {
      part.addEventListener("pointerover", (event) => this.#light(indexOf(event.target) ?? this.#resting));
      part.addEventListener("pointerleave", () => this.#light(this.#resting));
      part.addEventListener("focusin", (event) => this.#light(indexOf(event.target)));
      part.addEventListener("focusout", () => this.#light(this.#kept));
      part.addEventListener("click", (event) => this.#keep(indexOf(event.target)));
    }
  }

  /** Show an answer of a detector, as the service's page answers. */
  show(answer) {
    this.#answer = answer;
    const { detections, size } = answer;
    const least = Math.ceil(answer.min_score * 100 - 1e-9); // 0.07 * 100 is a little more than 7
    this.#slider.min = least;
    this.#slider.value = Math.max(least, this.#slider.defaultValue);
    this.#slider.closest(".least").hidden = detections.length === 0;
    const indexed = detections.map((found, index) => ({ found, index }));
    const largestFirst = indexed.toSorted((one, other) => area(other.found) - area(one.found)); // none lies under a larger one
    this.#boxes.replaceChildren(...largestFirst.map(({ found, index }) => box(found, size, index)));
    this.#list.replaceChildren(...indexed.map(({ found, index }) => entry(found, index)));
    this.#filter();
  }

  /** What is in sight, best first. */
  get #inSight() {
    return this.#answer.detections.filter(({ confidence }) => confidence * 100 >= this.#slider.valueAsNumber);
  }

  #filter() {
    const { detections } = this.#answer;
    const least = this.#slider.valueAsNumber;
    const inSight = this.#inSight;
    this.#slider.setAttribute("aria-valuetext", `${least}%`);
    for (const part of this.#parts(".box, .object")) {
      const hidden = !inSight.includes(detections[part.dataset.index]);
      (part.matches(".object") ? part.parentElement : part).toggleAttribute("hidden", hidden);
    }
    if (this.#kept !== null && !inSight.includes(detections[this.#kept])) {
      this.#keep(this.#kept);
    }
    const count = `Showing ${inSight.length} of ${detections.length}, from a score of ${least}% up`;
    this.#shown.textContent = detections.length > 0 ? count : "";
    this.#moved(title(inSight, detections.length, least));
  }

  /** What is lit while nothing is pointed at. */
  get #resting() {
    const reached = this.#list.querySelector(":focus-visible");
    return reached ? indexOf(reached) : this.#kept;
  }

  #light(index) {
    for (const part of this.#parts(".box, .object")) {
      part.classList.toggle("lit", part.dataset.index === String(index));
    }
  }

  /** Keep an object lit, or no longer if it was. */
  #keep(index) {
    if (index === null) {
      return;
    }
    this.#kept = this.#kept === index ? null : index;
    this.#light(this.#resting);
    for (const button of this.#parts(".object")) {
      button.setAttribute("aria-pressed", button.dataset.index === String(this.#kept));
    }
  }

  #parts(selector) {
    return [this.#boxes, this.#list].flatMap((part) => Array.from(part.querySelectorAll(selector)));
  }
}

function indexOf(target) {
  const index = target.closest("[data-index]")?.dataset.index;
  return index === undefined ? null : Number(index);
}

/** What there is how often. */
function title(inSight, all, least) {
  if (inSight.length === 0) {
    return all > 0 ? `Nothing at ${least}% or above` : "No objects found";
  }
  const counted = new Map();
  inSight.forEach(({ label }) => counted.set(label, (counted.get(label) ?? 0) + 1));
  return Array.from(counted, ([label, count]) => (count > 1 ? `${words(label)} × ${count}` : words(label))).join(", ");
}

/** Put a box where it belongs, and its name beside it: a `g` with rectangles and a text. */
export function place(drawn, { x, y, width, height }, size) {
  const sides = [["x", x, size.width], ["y", y, size.height], ["width", width, size.width], ["height", height, size.height]];
  for (const rectangle of drawn.querySelectorAll("rect")) {
    sides.forEach(([name, part, whole]) => rectangle.setAttribute(name, share(part, whole)));
  }
  const right = 2 * x + width > size.width;
  const placed = { x: share(right ? x + width : x, size.width), y: share(y, size.height), dx: right ? -4 : 4 };
  const above = y > ABOVE * size.height;
  const attributes = { ...placed, dy: above ? -7 : 20, "text-anchor": right ? "end" : "start" };
  const name = drawn.querySelector("text");
  Object.entries(attributes).forEach(([attribute, value]) => name.setAttribute(attribute, value));
}

function box(found, size, index) {
  const drawn = document.getElementById("box").content.querySelector(".box").cloneNode(true);
  drawn.dataset.index = index;
  drawn.dataset.hue = found.class_id % HUES;
  place(drawn, found.box, size);
  drawn.querySelector(".box-name").textContent = `${words(found.label)} ${percent(found.confidence)}`;
  return drawn;
}

function entry(found, index) {
  const row = document.getElementById("object").content.cloneNode(true);
  row.querySelector(".object").dataset.index = index;
  row.querySelector(".swatch").dataset.hue = found.class_id % HUES;
  row.querySelector(".object-label").textContent = words(found.label);
  row.querySelector(".object-percent").textContent = percent(found.confidence);
  return row;
}
