// The inspections before: a page of them, bad ones first, each with its picture when it is opened.

import { faults, inspected, timeOf } from "./inspected.js";
import { fileAt, page } from "./inspections.js";
import { hasKey } from "./key.js";

const AGAIN_AFTER_MS = 3_000; // a line may inspect several parts a second
const FORGET_MS = 60_000; // a download has begun by then

const section = document.getElementById("history");
const said = document.getElementById("history-said");
const csv = document.getElementById("csv");
const [newer, older] = ["newer", "older"].map((id) => document.getElementById(id));
const filters = Array.from(section.querySelectorAll(".history-filter a"));
const groups = Array.from(section.querySelectorAll(".pasts"));

let number = 1;
let decision = "";
let asked = 0; // the last request, whose answer alone counts
let timer = 0;

/** There are new ones: show them, if the newest page is what is looked at. */
export function refreshSoon() {
  if (number === 1 && timer === 0) {
    timer = setTimeout(() => {
      timer = 0;
      load();
    }, section.hidden ? 0 : AGAIN_AFTER_MS);
  }
}

/** Show what there is; resolves in any case. */
export async function load() {
  const turn = (asked += 1);
  let answer;
  try {
    answer = await page(number, decision);
  } catch (error) {
    if (turn === asked) {
      said.textContent = `These may not be all: ${error.message}`;
    }
    return;
  }
  if (turn === asked) {
    show(answer);
  }
}

function show({ inspections, more }) {
  section.hidden = false;
  said.textContent = "";
  for (const group of groups) {
    const its = inspections.filter(({ decision: good }) => good === (group.dataset.decision === "good"));
    group.hidden = its.length === 0;
    group.querySelector(".pasts-count").textContent = its.length;
    fill(group.querySelector("ol"), its);
  }
  document.getElementById("no-past").hidden = inspections.length > 0;
  document.getElementById("page-number").textContent = number;
  document.getElementById("paging").hidden = number === 1 && !more;
  newer.hidden = number === 1;
  older.hidden = !more;
  filters.forEach((filter) => {
    if (filter.dataset.decision === decision) {
      filter.setAttribute("aria-current", "true");
    } else {
      filter.removeAttribute("aria-current");
    }
  });
}

/** Rows that were there stay, so that what is open stays open and the focus where it is. */
function fill(list, inspections) {
  const before = new Map(Array.from(list.children, (row) => [row.dataset.id, row]));
  const rows = inspections.map((inspection) => before.get(inspection.id) ?? rowOf(inspection));
  Array.from(list.children).filter((row) => !rows.includes(row)).forEach((row) => row.remove());
  rows.forEach((row, index) => {
    if (list.children[index] !== row) {
      list.insertBefore(row, list.children[index] ?? null);
    }
  });
}

function rowOf(inspection) {
  const row = document.getElementById("past").content.cloneNode(true).firstElementChild;
  row.dataset.id = inspection.id;
  row.dataset.decision = inspection.decision ? "good" : "bad";
  row.querySelector(".past-decision").textContent = inspection.decision ? "Good" : "Bad";
  row.querySelector(".past-time").textContent = timeOf(inspection);
  row.querySelector(".past-time").dateTime = inspection.time;
  row.querySelector(".past-pattern").textContent = `${inspection.pattern} · ${inspection.best_pattern}`;
  row.querySelector(".past-why").textContent = faults(inspection).join("; ");
  const details = row.querySelector("details");
  details.addEventListener("toggle", () => {
    if (details.open && !details.querySelector(".inspected")) {
      details.append(inspected(inspection));
    }
  });
  return row;
}

function go(event, toNumber, toDecision) {
  event.preventDefault();
  [number, decision] = [toNumber, toDecision];
  csv.search = decision ? `?decision=${decision}` : "";
  load();
}

filters.forEach((filter) => filter.addEventListener("click", (event) => go(event, 1, filter.dataset.decision)));
newer.addEventListener("click", (event) => go(event, number - 1, decision));
older.addEventListener("click", (event) => go(event, number + 1, decision));
csv.addEventListener("click", async (event) => {
  if (!hasKey()) {
    return; // the browser downloads it as it is
  }
  event.preventDefault(); // a link can't carry the key
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await fileAt(csv.href));
    link.download = "inspections.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), FORGET_MS);
  } catch (error) {
    said.textContent = error.message;
  }
});
