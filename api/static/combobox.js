// Puts a searchable list under a text field: the editable combobox with list autocomplete of the ARIA Authoring
// Practices. The browser's own datalist ignores the page's zoom and colours, is read out badly by screen readers and is
// missing from some phones' browsers; it is used only where scripts do not run.

const MOST = 1000; // list entries made at once; people don't scroll further, and typing must stay fast

// In pixels: what the list wants below its field, the least that it shows, and what it keeps from the window's edge.
const [ROOM_WANTED, LEAST_ROOM, EDGE] = [220, 96, 12];

let made = 0;

/**
 * @param {HTMLInputElement} input inside the label of a .choice
 * @param {() => Promise<string[]>} load gets all names, best guesses first; asked each time that the list opens
 */
export function combobox(input, load) {
  const id = `choices-${(made += 1)}`;
  const list = Object.assign(document.createElement("ul"), { id, className: "choices", role: "listbox", hidden: true });
  const hint = Object.assign(input.closest(".field").querySelector(".hint"), { id: `${id}-hint`, role: "status" });
  let active = null;

  list.ariaLabel = "Labels";
  input.removeAttribute("list");
  input.closest(".choice").append(list);
  set({ role: "combobox", "aria-autocomplete": "list", "aria-controls": id, "aria-describedby": hint.id });
  show(false);

  function set(attributes) {
    for (const [name, value] of Object.entries(attributes)) {
      input.setAttribute(name, value);
    }
  }

  async function open() {
    const names = await load().catch(() => null);
    if (!names || document.activeElement !== input) {
      return;
    }
    const found = search(names, input.value);
    list.replaceChildren(...found.slice(0, MOST).map(option));
    list.scrollTop = 0;
    hint.textContent = told(found.length);
    place();
    activate(null);
    show(found.length > 0);
  }

  function option(name, index) {
    const entry = Object.assign(document.createElement("li"), { id: `${id}-${index}`, role: "option", textContent: name });
    entry.ariaSelected = "false";
    return entry;
  }

  /** Above the field where there is more room than below, and no larger than that room. */
  function place() {
    const { top, bottom } = input.closest(".choice").getBoundingClientRect();
    const height = window.visualViewport?.height ?? window.innerHeight; // without a phone's keyboard
    const [above, below] = [top, height - bottom];
    const up = below < ROOM_WANTED && above > below;
    list.classList.toggle("above", up);
    list.style.setProperty("--room", `${Math.max(LEAST_ROOM, (up ? above : below) - EDGE)}px`);
  }

  function show(shown) {
    list.hidden = !shown;
    set({ "aria-expanded": String(shown) });
  }

  function close() {
    activate(null);
    show(false);
  }

  function activate(entry) {
    if (active) {
      active.ariaSelected = "false";
    }
    active = entry;
    if (entry) {
      entry.ariaSelected = "true";
      entry.scrollIntoView({ block: "nearest" });
      set({ "aria-activedescendant": entry.id });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function choose(entry) {
    input.value = entry.textContent;
    close();
  }

  async function move(step) {
    if (list.hidden) {
      await open();
    }
    const { firstElementChild: first, lastElementChild: last } = list;
    activate(step > 0 ? (active?.nextElementSibling ?? first) : (active?.previousElementSibling ?? last));
  }

  const keys = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: () => choose(active), Escape: close };

  input.addEventListener("keydown", (event) => {
    const ours = { Enter: active !== null, Escape: !list.hidden }[event.key] ?? event.key in keys;
    if (ours && !event.isComposing) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  input.addEventListener("input", open);
  input.addEventListener("click", open);
  input.addEventListener("blur", close);
  list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
  list.addEventListener("click", (event) => {
    const entry = event.target.closest("[role=option]");
    if (entry) {
      choose(entry);
    }
  });
  if (document.activeElement === input && input.value) {
    open(); // the person was faster than this script
  }
}

/** The names that contain every typed word: exact matches first, then by how well they match. */
function search(names, typed) {
  const wanted = plain(typed);
  const parts = wanted.split(" ");
  const rank = (name) => {
    if (name === wanted) return 0;
    if (` ${name} `.includes(` ${wanted} `)) return 1; // as whole words
    return ` ${name}`.includes(` ${wanted}`) ? 2 : 3; // at the beginning of a word, or inside one
  };
  return names
    .map((name) => [name, plain(name)])
    .filter(([, name]) => parts.every((part) => name.includes(part)))
    .sort(([, one], [, other]) => rank(one) - rank(other))
    .map(([name]) => name);
}

const plain = (text) => text.toLowerCase().replaceAll(/[\s_]+/g, " ").trim();

function told(count) {
  if (count === 0) {
    return "No label of the model fits; your own words are fine.";
  }
  return count === 1 ? "1 label fits." : `${count} labels to choose from.`;
}
