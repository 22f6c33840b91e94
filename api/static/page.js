// Turns the plain upload form into one that takes several pictures by choice, drop or paste and shows each one's way.

import { Card, listenForReport } from "./card.js";
import { classify, Refused } from "./service.js";
import { forget, remember, remembered } from "./visit.js";

const AT_ONCE = 3; // enough to keep the workers busy, few enough to leave room for other visitors
const TRIES_WHEN_BUSY = 3;
const LONGEST_PAUSE_S = 20;

const form = document.getElementById("upload");
const input = document.getElementById("file");
const list = document.getElementById("results");
const section = document.querySelector(".results");
const clear = document.getElementById("clear");
const maxBytes = form.dataset.maxUploadMb * 1e6;
const deadlineMs = form.dataset.requestTimeoutS * 1e3;
const say = (text) => (document.getElementById("status").textContent = text);
const pause = (seconds) => new Promise((wake) => setTimeout(wake, seconds * 1000));

const queue = [];
let running = 0;

function take(files) {
  const cards = Array.from(files, (file) => {
    const card = new Card(file.name);
    card.show(URL.createObjectURL(file));
    enqueue(card, file);
    return card;
  });
  if (cards.length > 0) {
    list.prepend(...cards.map((card) => card.item));
    section.hidden = clear.hidden = false;
    say(cards.length === 1 ? `Classifying ${cards[0].name}` : `Classifying ${cards.length} pictures`);
    section.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
}

function enqueue(card, file) {
  card.wait("queued", "Waiting for its turn");
  queue.push({ card, file });
  next();
}

function next() {
  while (running < AT_ONCE && queue.length > 0) {
    const { card, file } = queue.shift();
    running += 1;
    run(card, file).finally(() => {
      running -= 1;
      next();
    });
  }
}

async function run(card, file) {
  try {
    const answer = await answered(card, file);
    say(card.done(answer));
    remember(file.name, answer);
  } catch (error) {
    const message = error instanceof Refused ? error.message : "Something went wrong on this page. Please try again.";
    card.fail(message, error.lasting ? null : () => enqueue(card, file));
    say(`${file.name}: ${message}`);
  }
}

/** The service's answer; a busy service is asked again when it said to. */
async function answered(card, file) {
  if (file.size > maxBytes) {
    throw new Refused(`This file is too large: at most ${form.dataset.maxUploadMb} MB are taken.`, true);
  }
  for (let tries = 1; ; tries += 1) {
    try {
      return await classify(file, deadlineMs, (share) =>
        share < 1
          ? card.wait("uploading", `Uploading, ${Math.round(share * 100)}%`, share)
          : card.wait("classifying", "Classifying", 1),
      );
    } catch (error) {
      if (!(error.retryAfterS <= LONGEST_PAUSE_S) || tries === TRIES_WHEN_BUSY) {
        throw error;
      }
      card.wait("waiting", "The service is busy; trying again shortly");
      await pause(Math.max(error.retryAfterS, 1));
    }
  }
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
  forget();
  list.replaceChildren();
  section.hidden = clear.hidden = true;
  input.focus();
});

for (const served of document.querySelectorAll(".report-form")) {
  listenForReport(served);
}
for (const { name, answer } of remembered()) {
  const card = new Card(name);
  card.done(answer);
  card.show(`display/${answer.image}`);
  list.append(card.item);
  section.hidden = clear.hidden = false;
}
