// The feedback page: it offers this visit's pictures, or takes another one, so that nobody has to know a picture's name;
// its form searches the labels, and is sent in the background, with the key if one is needed.

import { allowAsking } from "./key.js";
import { listenForReport } from "./report.js";
import { classify, Refused } from "./service.js";
import { remember, remembered, rememberedModel } from "./visit.js";
import { modelOf, percent, words } from "./words.js";

const form = document.getElementById("report");
const offered = document.getElementById("which-pictures");
const another = document.getElementById("another");
const said = document.getElementById("which-said");
const limits = { maxUploadMb: Number(form.dataset.maxUploadMb), deadlineMs: form.dataset.requestTimeoutS * 1e3 };

let upload = new AbortController();

/** A picture to choose, which fills in what the report says of it. */
function choice({ name, answer }, source) {
  const row = document.getElementById("which-picture").content.cloneNode(true);
  const best = answer.predictions[0];
  const image = row.querySelector("img");
  row.querySelector(".which-name").textContent = `${name}: ${words(best.label)}, ${percent(best.score)}`;
  if (source) {
    image.addEventListener("error", () => image.removeAttribute("src"), { once: true }); // gone, or not for this browser
    image.src = source;
  }
  const radio = row.querySelector("input");
  radio.addEventListener("change", () => fill(answer));
  return { row, radio };
}

function fill(answer) {
  const { elements } = form;
  const { image, model, digest } = answer;
  const best = answer.predictions[0];
  const values = { filename: image, prediction: best.label, score: best.score, model, digest };
  Object.entries(values).forEach(([name, value]) => {
    elements[name].value = value;
  });
  form.dataset.model = modelOf(answer);
}

async function take(file) {
  upload.abort();
  const { signal } = (upload = new AbortController());
  allowAsking();
  tell(`Looking at ${file.name}`);
  try {
    if (file.size > limits.maxUploadMb * 1e6) {
      throw new Refused(`This file is too large: at most ${limits.maxUploadMb} MB are taken.`);
    }
    const answer = await classify(file, rememberedModel(), limits.deadlineMs, signal, () => {});
    if (!answer.predictions) {
      throw new Refused("This model finds objects, and a report is about a label. Choose another model on the first page.");
    }
    const entry = { name: file.name, answer };
    const { row, radio } = choice(entry, URL.createObjectURL(file));
    offered.prepend(row);
    radio.checked = true;
    fill(entry.answer);
    remember([entry, ...remembered()]);
    tell(`The report is about ${file.name}.`);
  } catch (error) {
    if (!signal.aborted) {
      tell(error instanceof Refused ? error.message : "Something went wrong on this page. Please try again.", true);
    }
  }
}

function tell(text, failed = false) {
  said.textContent = text;
  said.classList.toggle("failed", failed);
}

listenForReport(form);
offered.append(...remembered().filter(({ answer }) => answer?.predictions).map((entry) => choice(entry, entry.answer.display).row));
another.addEventListener("change", () => {
  if (another.files.length > 0) {
    take(another.files[0]);
  }
});
document.getElementById("which").hidden = false;
