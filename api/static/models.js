// The choice among several models: filled by the server or, where that needs a key, once this page has one.

import { whenKeyIsGiven } from "./key.js";
import { models } from "./service.js";
import { rememberedModel, rememberModel } from "./visit.js";

const field = document.getElementById("model-field");
const choice = document.getElementById("model");
const example = document.getElementById("example"); // for programs; it ends with the route

/** The name of the model that is to answer; empty for the service's default. */
export function chosenModel() {
  if (choice.options.length === 0) {
    return rememberedModel(); // this page does not know the models, or not yet
  }
  return field.hidden ? "" : choice.value;
}

const tasks = { classification: "", detection: " · objects" }; // how names of the models are continued

function offer(found) {
  const known = found.filter((model) => taskOf(model) in tasks);
  const defaults = known.filter((model) => model.default);
  const standard = defaults.find((model) => taskOf(model) === "classification") ?? defaults[0];
  choice.replaceChildren(...known.map((model) => option(model, model === standard)));
  restore();
}

function option(model, chosen) {
  const made = new Option(model.name + tasks[taskOf(model)], model.name, chosen, chosen);
  made.dataset.task = taskOf(model);
  return made;
}

const taskOf = ({ versions: [current] }) => current?.task ?? "classification"; // older workers have said nothing of it

function restore() {
  const names = Array.from(choice.options, (option) => option.value);
  if (names.includes(rememberedModel())) {
    choice.value = rememberedModel();
  } else if (names.length > 0) {
    rememberModel(""); // the service has it no more
  }
  field.hidden = names.length < 2;
  showRoute();
}

function showRoute() {
  if (choice.options.length > 0) {
    const route = choice.selectedOptions[0].dataset.task === "detection" ? "detect" : "predict";
    example.textContent = example.textContent.replace(/[a-z]+$/, route);
  }
}

choice.addEventListener("change", () => {
  rememberModel(choice.value);
  showRoute();
});
restore();
whenKeyIsGiven(async () => {
  offer(await models().catch(() => [])); // the key may not tell them; then the default answers
});
