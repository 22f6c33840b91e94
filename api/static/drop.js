// Files that are dropped anywhere on a page.

const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");

/** Hand every list of files that is dropped to `take`; `place` has the class "dragging" while some are above the page. */
export function takeDropped(place, take) {
  document.addEventListener("dragover", (event) => {
    if (carriesFiles(event)) {
      event.preventDefault();
      place.classList.add("dragging");
    }
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) {
      place.classList.remove("dragging");
    }
  });
  document.addEventListener("drop", (event) => {
    place.classList.remove("dragging");
    if (carriesFiles(event)) {
      event.preventDefault();
      take(event.dataTransfer.files);
    }
  });
}
