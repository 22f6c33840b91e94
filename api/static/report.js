// Reports of wrong answers: the form that each result carries, sent in the background.

import { combobox } from "./combobox.js";
import { labels, report } from "./service.js";
import { words } from "./words.js";

const inOrder = new Intl.Collator("en", { caseFirst: "upper" }).compare;

/** Send a result's report form in the background and show the outcome in the form. */
export function listenForReport(form) {
  const guesses = () => form.closest(".card")?.querySelectorAll(".bar-label") ?? []; // none on a page without a result
  chooseLabel(form, () => Array.from(guesses(), (entry) => entry.textContent));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    const said = form.querySelector(".report-said");
    button.disabled = true; // one click, one row
    try {
      const stored = await report(Object.fromEntries(new FormData(form)));
      said.classList.remove("failed");
      if (stored) {
        form.replaceChildren(said);
        said.textContent = "Thank you. Your report is stored.";
        said.tabIndex = -1;
        said.focus(); // the button that had it is gone
      } else {
        said.textContent = "The report was empty, so nothing was stored.";
        button.disabled = false;
      }
    } catch (error) {
      said.classList.add("failed");
      said.textContent = error.message;
      button.disabled = false;
    }
  });
}

/** Let a form's field for the right label search all of its model's; ``guesses`` are offered before the rest. */
function chooseLabel(form, guesses) {
  let offered = {};
  combobox(form.elements.correct_label, async () => {
    const model = form.dataset.model ?? "";
    if (offered.model !== model) {
      const likely = guesses().slice(1); // the first is the one that is wrong
      const all = Array.from(await labels(model), words).sort(inOrder);
      offered = { model, names: [...new Set([...likely, ...all])] };
    }
    return offered.names;
  });
}
