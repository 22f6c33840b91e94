// The choice among several models: filled by the server or, where that needs a key, once this page has one.

import { whenKeyIsGiven } from "./key.js";
import { models } from "./service.js";

const KEY = "model"; // what this browser tab has chosen, so that a reload keeps it

const field = document.getElementById("model-field");
const choice = document.getElementById("model");

/** The name of the model that is to answer; empty for the service's default. */
export const chosenModel = () => (field.hidden ? "" : choice.value);

function offer(names, standard) {
  choice.replaceChildren(...names.map((name) => new Option(name, name, name === standard, name === standard)));
  restore();
}

function restore() {
  const kept = stored();
  if ([...choice.options].some((option) => option.value === kept)) {
    choice.value = kept;
  }
  field.hidden = choice.options.length < 2;
}

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null; // storage is off
  }
}

choice.addEventListener("change", () => {
  try {
    sessionStorage.setItem(KEY, choice.value);
  } catch {
    // storage is off: the choice holds for this page
  }
});
restore();
whenKeyIsGiven(async () => {
  const found = await models().catch(() => []); // the key may not tell them; then the default answers
  offer(
    found.map((model) => model.name),
    found.find((model) => model.default)?.name,
  );
});
