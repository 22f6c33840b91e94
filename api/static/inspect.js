// The page at an inspection line. What its largest words say is always about the newest thing that it knows of: a decision,
// an inspection of its own that came to nothing, or that it has lost the service. An old decision never looks like one.

import { takeDropped } from "./drop.js";
import { load, refreshSoon } from "./history.js";
import { faults, inspected, timeOf } from "./inspected.js";
import { inspect, patternKeys } from "./inspections.js";
import { allowAsking, whenKeyIsGiven } from "./key.js";
import { Refused } from "./service.js";
import { Watch } from "./watch.js";

const byCamera = document.getElementById("by-camera");
const byFile = document.getElementById("by-file");
const file = document.getElementById("file");
const pattern = document.getElementById("pattern");
const minScore = document.getElementById("min-score");
const verdict = document.getElementById("verdict");
const about = document.getElementById("now-about");
const notNow = document.getElementById("not-now");
const latest = document.getElementById("latest");
const example = document.getElementById("example"); // for programs
const deadlineMs = byCamera.dataset.deadlineS * 1e3;
const mostBytes = byCamera.dataset.maxUploadMb * 1e6;

let shown = null; // the inspection that is seen
let here = false; // whether this page has made it
let failure = ""; // why this page's last inspection came to nothing; empty once there is something newer
let busy = false;
let connection = { state: "looking", message: "" }; // or live, lost or refused
let passOver = false; // what is kept by now is not newer than what this page has just done
let aheadMs = 0; // of the service's clock before this one

const watch = new Watch({
  seen({ same, inspection, now }) {
    connection = { state: "live", message: "" };
    aheadMs = now - Date.now();
    if (!same) {
      if (!passOver && inspection?.id !== shown?.id) {
        failure = "";
        show(inspection, false);
      }
      refreshSoon();
    }
    passOver = false;
    tell();
  },
  lost(error, refused) {
    connection = { state: refused ? "refused" : "lost", message: messageOf(error) };
    tell();
  },
});

function show(inspection, own, picture = null) {
  [shown, here] = [inspection, own];
  latest.replaceChildren(...(inspection ? [inspected(inspection, picture)] : []));
}

/** @param {File | null} picture null for the camera's */
async function run(picture) {
  allowAsking();
  await offerPatterns();
  if (busy || !pattern.reportValidity() || !minScore.reportValidity()) {
    return;
  }
  watch.pause();
  [busy, failure] = [true, ""];
  show(null, true);
  tell();
  try {
    if (picture && picture.size > mostBytes) {
      throw new Refused(`This file is too large: at most ${mostBytes / 1e6} MB are taken.`);
    }
    const inspection = await inspect(picture, parameters(), deadlineMs);
    show(inspection, true, picture);
    connection = { state: "live", message: "" };
    passOver = inspection.id === null; // it is not kept, so what is kept is older
  } catch (error) {
    failure = messageOf(error);
    passOver = true;
  }
  busy = false;
  tell();
  if (!document.hidden) {
    watch.look();
  }
  refreshSoon();
}

function parameters() {
  const sent = { pattern: pattern.value, min_score: minScore.value };
  return Object.fromEntries(Object.entries(sent).filter(([, value]) => value !== ""));
}

const messageOf = (error) => (error instanceof Refused ? error.message : "Something went wrong on this page. Please try again.");

function headline() {
  if (busy) {
    return ["busy", "Inspecting", ""];
  }
  if (failure) {
    return ["failed", "No decision", failure];
  }
  if (connection.state === "lost") {
    const last = shown ? ` The last that was known: ${shown.decision ? "good" : "bad"}, ${timeOf(shown)}.` : "";
    return ["lost", "No connection", `${connection.message}${last}`];
  }
  if (connection.state === "looking") {
    return ["none", "Looking", "for the latest inspection"];
  }
  if (shown) {
    const [first, ...others] = faults(shown);
    const more = others.length > 0 ? `, and ${others.length} more` : "";
    return shown.decision ? ["good", "Good", ""] : ["bad", "Bad", `${first}${more}`];
  }
  return connection.state === "refused" ? ["none", "Not shown", connection.message] : ["none", "Nothing yet", "No inspection is kept."];
}

function tell() {
  const [state, word, reason] = headline();
  const decided = state === "good" || state === "bad";
  verdict.dataset.state = state;
  latest.dataset.live = decided;
  put(document.getElementById("verdict-word"), word);
  put(document.getElementById("verdict-why"), reason);
  put(document.getElementById("verdict-spoken"), decided ? timeOf(shown) : ""); // two alike are told apart
  document.getElementById("take").setAttribute("aria-disabled", String(busy));
  notNow.hidden = connection.state !== "refused";
  document.getElementById("not-now-why").textContent = `Inspections of others are not shown: ${connection.message}`;
  document.title = `${word} · Inspection · Image classifier`;
  tellAge();
}

/** What is there already is not announced again. */
function put(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

function tellAge() {
  const ageS = shown ? Math.max(0, Math.floor((Date.now() + aheadMs - Date.parse(shown.time)) / 1000)) : 0;
  put(about, shown ? `Inspected ${here ? "here" : "elsewhere"} at ${timeOf(shown)}, ${ago(ageS)}` : "");
}

function ago(seconds) {
  if (seconds < 60) {
    return `${seconds} s ago`;
  }
  return seconds < 5400 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}

/** The sets of patterns, which the server has filled in where that needs no key. */
async function offerPatterns() {
  if (pattern.options.length > 1 || pattern.value) {
    return;
  }
  const keys = await patternKeys().catch(() => []);
  const wanted = new URLSearchParams(location.search).get("pattern");
  const chosen = keys.length === 1 ? keys[0] : wanted;
  pattern.replaceChildren(
    ...(keys.length === 1 ? [] : [new Option("Choose one", "")]),
    ...keys.map((key) => new Option(key, key, key === chosen, key === chosen)),
  );
  pattern.closest(".field").hidden = keys.length === 1;
  showPattern();
}

/** In the example for programs: of several sets a request names one. */
function showPattern() {
  const named = pattern.options.length > 1 && pattern.value ? ` -F "pattern=${pattern.value}"` : "";
  example.textContent = example.textContent.replace(/( -F "pattern=.*")?$/, named);
}

function take(files) {
  if (files.length > 0) {
    run(files[0]);
  }
}

byCamera.addEventListener("submit", (event) => {
  event.preventDefault();
  run(null);
});
byFile.addEventListener("submit", (event) => event.preventDefault());
file.addEventListener("change", () => {
  take(file.files);
  file.value = ""; // so that the same file can be chosen again
});
pattern.addEventListener("change", () => {
  const address = new URL(location.href);
  address.searchParams.set("pattern", pattern.value); // a screen's own address keeps its choice
  history.replaceState(null, "", address);
  showPattern();
});
takeDropped(byFile, take);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    watch.pause();
    connection = { state: "looking", message: "" }; // whoever comes back must not read what was
    tell();
  } else if (!busy) {
    watch.look();
  }
});
document.getElementById("look-again").addEventListener("click", () => {
  allowAsking();
  watch.look();
  load();
});
whenKeyIsGiven(() => {
  offerPatterns();
  if (!busy) {
    watch.look();
  }
  refreshSoon();
});

setInterval(tellAge, 1_000);
show(null, false); // what the server has filled in may be old by now
tell();
watch.look();
offerPatterns();
if (!document.getElementById("history").hidden) {
  load(); // in this machine's times, and with their pictures when they are opened
}
