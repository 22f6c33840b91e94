// Turns the plain upload form into one that takes several pictures, chosen, dropped or pasted, and shows the progress of each.

import { Card } from "./card.js";
import { allowAsking } from "./key.js";
import { listenForReport } from "./report.js";
import { forget, remember, remembered } from "./visit.js";
import { Work } from "./work.js";

const LOG_LINES = 20;

const form = document.getElementById("upload");
const input = document.getElementById("file");
const log = document.getElementById("log");
const list = document.getElementById("results");
const section = document.getElementById("results-section");
const tally = document.getElementById("tally");
const total = document.getElementById("total");
const clear = document.getElementById("clear");
const cards = new Set();

const limits = { maxUploadMb: Number(form.dataset.maxUploadMb), deadlineMs: form.dataset.requestTimeoutS * 1e3 };
const work = new Work(limits, {
  done(card, answer) {
    say(card.done(answer));
    remember(card.name, answer);
  },
  failed(card, message) {
    say(`${card.name}: ${message}`);
  },
  moved: count,
});

/** For screen readers: a line each, so that none is lost when several results arrive at once. */
function say(text) {
  log.append(Object.assign(document.createElement("p"), { textContent: text }));
  while (log.childElementCount > LOG_LINES) {
    log.firstElementChild.remove();
  }
}

function take(files) {
  allowAsking();
  const taken = Array.from(files, (file) => {
    const card = new Card(file.name);
    card.show(URL.createObjectURL(file));
    return { card, file };
  });
  put(taken.map(({ card }) => card), "prepend");
  taken.forEach(({ card, file }) => work.add(card, file));
  if (taken.length > 0) {
    say(taken.length === 1 ? `Classifying ${taken[0].card.name}` : `Classifying ${taken.length} pictures`);
    section.scrollIntoView({ block: "nearest" });
  }
}

function put(added, where) {
  if (added.length === 0) {
    return;
  }
  list[where](...added.map((card) => card.item));
  added.forEach((card) => cards.add(card));
  section.hidden = clear.hidden = false;
}

function remove(removed) {
  for (const card of removed) {
    card.leave();
    cards.delete(card);
  }
  if (cards.size === 0) {
    list.replaceChildren(); // including one from the server
    section.hidden = clear.hidden = true;
    input.focus();
  }
}

/** The progress of all pictures; a single one shows it on its card. */
function count({ total: all, done, failed, over, share, elapsedS }) {
  const several = all > 1;
  clear.textContent = over ? "Clear" : "Cancel";
  total.hidden = over || !several;
  total.value = share || 0;
  tally.textContent = !several ? "" : over ? summary(done, failed, elapsedS) : `${done + failed} of ${all} done`;
  if (over && several) {
    say(tally.textContent);
  }
}

function summary(done, failed, elapsedS) {
  const parts = [done && `${done} classified`, failed && `${failed} failed`];
  return `${parts.filter(Boolean).join(", ")} in ${elapsedS.toFixed(1)} s`;
}

const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");

input.multiple = true;
input.required = false;
input.addEventListener("change", () => {
  take(input.files);
  input.value = ""; // so that the same file can be chosen again
});
form.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("paste", (event) => take(event.clipboardData.files));
document.addEventListener("dragover", (event) => {
  if (carriesFiles(event)) {
    event.preventDefault();
    form.classList.add("dragging");
  }
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) {
    form.classList.remove("dragging");
  }
});
document.addEventListener("drop", (event) => {
  form.classList.remove("dragging");
  if (carriesFiles(event)) {
    event.preventDefault();
    take(event.dataTransfer.files);
  }
});
clear.addEventListener("click", () => {
  if (work.busy) {
    remove(work.cancel());
    say("Cancelled");
  } else {
    forget();
    tally.textContent = "";
    remove(cards);
  }
});

document.querySelectorAll(".report-form").forEach(listenForReport);
put(
  remembered().map(({ name, answer }) => {
    const card = new Card(name);
    card.done(answer);
    if (answer.display) {
      card.show(answer.display);
    }
    return card;
  }),
  "append",
);
