// The choice among several models: filled by the server or, where that needs a key, once this page has one.

import { whenKeyIsGiven } from "./key.js";
import { models } from "./service.js";
import { rememberedModel, rememberModel } from "./visit.js";

const field = document.getElementById("model-field");
const choice = document.getElementById("model");

/** The name of the model that is to answer; empty for the service's default. */
export function chosenModel() {
  if (choice.options.length === 0) {
    return rememberedModel(); // this page does not know the models, or not yet
  }
  return field.hidden ? "" : choice.value;
}

function offer(names, standard) {
  choice.replaceChildren(...names.map((name) => new Option(name, name, name === standard, name === standard)));
  restore();
}

function restore() {
  const names = Array.from(choice.options, (option) => option.value);
  if (names.includes(rememberedModel())) {
    choice.value = rememberedModel();
  } else if (names.length > 0) {
    rememberModel(""); // the service has it no more
  }
  field.hidden = names.length < 2;
}

choice.addEventListener("change", () => rememberModel(choice.value));
restore();
whenKeyIsGiven(async () => {
  const found = await models().catch(() => []); // the key may not tell them; then the default answers
  offer(
    found.map((model) => model.name),
    found.find((model) => model.default)?.name,
  );
});
