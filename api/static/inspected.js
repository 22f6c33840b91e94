// An inspected part: its picture under what was expected and found, and the same in words. The templates are the page's
// own, which the server fills the same way without a script (inspected_picture.py).

import { fileAt } from "./inspections.js";
import { place } from "./objects.js";
import { percent, words } from "./words.js";

const AS_LARGE = 10; // times the picture's size in pixels: it fills the room that there is
const SHAPE_TOLERANCE = 0.01;
const BEYOND = { left: ["left", "right"], top: ["up", "down"], right: ["left", "right"], bottom: ["up", "down"] };

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const clockAndDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** When it was, by this machine's clock; with the day unless that is today. */
export function timeOf({ time }) {
  const then = new Date(time);
  return (then.toDateString() === new Date().toDateString() ? clock : clockAndDay).format(then);
}

/**
 * Why a part is bad, in few words each: how far what is out of place has to move, its line says. Where all is in its
 * place, /main may have judged otherwise, and says why.
 */
export function faults({ decision, expected, reasons }) {
  const bad = decision ? [] : named(expected).filter(({ finding }) => finding.state !== "found");
  return bad.length > 0 ? bad.map(({ finding, name }) => `${name} is ${finding.state}`) : reasons;
}

/**
 * An inspection as the page shows it.
 *
 * @param {File | null} file its picture, if this page has it
 */
export function inspected(inspection, file = null) {
  const shown = document.getElementById("inspected").content.cloneNode(true).firstElementChild;
  const find = (selector) => shown.querySelector(selector);
  const { width, height } = inspection.image;
  const attributes = { width: width * AS_LARGE, height: height * AS_LARGE, viewBox: `0 0 ${width} ${height}` };
  Object.entries(attributes).forEach(([name, value]) => find(".blank").setAttribute(name, value));
  find(".marks").replaceChildren(...marks(inspection).map((mark) => drawn(mark, inspection.image)));
  find(".findings").replaceChildren(...findings(inspection).map(line));
  find(".about-pattern").textContent = `${inspection.pattern} · ${inspection.best_pattern}`;
  find(".about-model").textContent = inspection.model;
  find(".about-time").textContent = timeOf(inspection);
  find(".about-time").dateTime = inspection.time;
  showPicture(find("img"), inspection, file).catch((error) => {
    find("img").hidden = true; // and never boxes over another picture than the one they belong to
    find(".no-picture").textContent = error.message;
    find(".no-picture").hidden = false;
  });
  return shown;
}

async function showPicture(image, { image: size, links, first_frame_only: animated }, file) {
  if (animated) {
    throw new Error("An animation, of which the first frame was looked at");
  }
  if (!file && !links.picture) {
    throw new Error("The picture is not kept");
  }
  image.src = URL.createObjectURL(file ?? (await fileAt(links.picture)));
  image.hidden = false;
  try {
    await image.decode().catch(() => {
      throw new Error("This browser can’t show the picture");
    });
  } finally {
    URL.revokeObjectURL(image.src);
  }
  if (Math.abs((image.naturalWidth * size.height) / (image.naturalHeight * size.width) - 1) > SHAPE_TOLERANCE) {
    throw new Error("This browser shows the picture otherwise than it was looked at");
  }
}

/** What is drawn over the picture, in pixels. */
function marks({ expected, surplus, detections, image }) {
  const drawnFor = ({ finding, name }) => {
    if (finding.detection === null) {
      return [{ kind: "missing", text: `✕ ${name}: missing`, box: inPixels(finding.outer, image) }];
    }
    const { box } = detections[finding.detection];
    if (finding.offset === null) {
      return [{ kind: "found", text: `✓ ${name}`, box }];
    }
    return [
      { kind: "place", text: "", box: inPixels(finding.outer, image) },
      { kind: "misplaced", text: `↔ ${name}: out of place`, box },
    ];
  };
  const unexpected = surplus.map((index) => detections[index]);
  return [
    ...unexpected.map(({ label, box }) => ({ kind: "surplus", text: `? ${words(label)}`, box })),
    ...named(expected).flatMap(drawnFor),
  ];
}

/** What became of each object, expected or not. */
function findings({ expected, surplus, detections }) {
  const told = ({ finding, name }) => {
    if (finding.detection === null) {
      return { kind: "missing", name, text: "missing" };
    }
    if (finding.offset === null) {
      return { kind: "found", name, text: `found, ${percent(detections[finding.detection].confidence)}` };
    }
    return { kind: "misplaced", name, text: `out of place: ${howFar(finding.offset)}` };
  };
  const text = "not expected, which changes nothing";
  return [
    ...named(expected).map(told),
    ...surplus.map((index) => ({ kind: "surplus", name: words(detections[index].label), text })),
  ];
}

/** What was expected, each by its class, and by a number where several are of it. */
function named(expected) {
  const classes = expected.map(({ label, class_id }) => (label === null ? `class ${class_id}` : words(label)));
  const count = (list, name) => list.filter((one) => one === name).length;
  return expected.map((finding, index) => {
    const name = classes[index];
    return { finding, name: count(classes, name) > 1 ? `${name} ${count(classes.slice(0, index + 1), name)}` : name };
  });
}

/** In per cent of the picture's width, or of its height. */
function howFar(offset) {
  return Object.entries(offset)
    .filter(([, value]) => value !== 0)
    .map(([edge, value]) => `${edge} edge ${percent(Math.abs(value))} too far ${BEYOND[edge][Number(value > 0)]}`)
    .join(", ");
}

function inPixels({ left, top, right, bottom }, { width, height }) {
  return { x: left * width, y: top * height, width: (right - left) * width, height: (bottom - top) * height };
}

function drawn({ kind, text, box }, size) {
  const mark = document.getElementById("mark").content.querySelector(".mark").cloneNode(true);
  mark.dataset.kind = kind;
  place(mark, box, size);
  mark.querySelector("text").textContent = text;
  return mark;
}

function line({ kind, name, text }) {
  const row = document.getElementById("finding").content.cloneNode(true).firstElementChild;
  row.dataset.kind = kind;
  row.querySelector(".finding-name").textContent = name;
  row.querySelector(".finding-words").textContent = text;
  return row;
}
