// Turns the plain upload form into one that takes several pictures, chosen, dropped or pasted, and shows the progress of each.

import { Card } from "./card.js";
import { takeDropped } from "./drop.js";
import { allowAsking } from "./key.js";
import { chosenModel } from "./models.js";
import { listenForReport } from "./report.js";
import { remember, remembered } from "./visit.js";
import { duration } from "./words.js";
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
let cards = []; // as they stand on the page: what was dropped last comes first, and of one drop the first

const limits = { maxUploadMb: Number(form.dataset.maxUploadMb), deadlineMs: form.dataset.requestTimeoutS * 1e3 };
const work = new Work(limits, {
  done(card, answer) {
    say(card.done(answer));
    keep();
  },
  failed(card, message) {
    say(`${card.name}: ${message}`);
    keep();
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
  put(taken.map(({ card }) => card));
  const model = chosenModel();
  taken.forEach(({ card, file }) => work.add(card, file, model));
  if (taken.length > 0) {
    say(taken.length === 1 ? `Looking at ${taken[0].card.name}` : `Looking at ${taken.length} pictures`);
    section.scrollIntoView({ block: "nearest" });
  }
}

/** Put cards before all others. */
function put(added) {
  if (added.length === 0) {
    return;
  }
  list.prepend(...added.map((card) => card.item));
  cards = [...added, ...cards];
  section.hidden = clear.hidden = false;
}

function remove(removed) {
  removed.forEach((card) => card.leave());
  cards = cards.filter((card) => !removed.includes(card));
  keep();
  if (cards.length === 0) {
    list.replaceChildren(); // including one from the server
    section.hidden = clear.hidden = true;
    input.focus();
  }
}

/** Have a reload show what there is now; what is still under way is lost with the page. */
function keep() {
  remember(cards.filter((card) => card.ended).map((card) => card.ended));
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
  const parts = [done && `${done} answered`, failed && `${failed} failed`];
  return `${parts.filter(Boolean).join(", ")} in ${duration(elapsedS)}`;
}

input.multiple = true;
input.required = false;
input.addEventListener("change", () => {
  take(input.files);
  input.value = ""; // so that the same file can be chosen again
});
form.addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("paste", (event) => take(event.clipboardData.files));
takeDropped(form, take);
clear.addEventListener("click", () => {
  if (work.busy) {
    remove(work.cancel());
    say("Cancelled");
  } else {
    tally.textContent = "";
    remove(cards);
  }
});

document.querySelectorAll(".report-form").forEach(listenForReport);
put(
  remembered().map(({ name, answer, error }) => {
    const card = new Card(name);
    if (answer) {
      card.done(answer);
    } else {
      card.fail(error, null); // the file itself is gone with the page that had it
    }
    if (answer?.display) {
      card.show(answer.display);
    }
    return card;
  }),
);
