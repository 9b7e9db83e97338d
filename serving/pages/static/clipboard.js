// Buttons that copy the text of another element.

/** Wire each button that has a data-copy with the id of the element to copy. */
export function wireCopyButtons() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", () => copy(button, document.getElementById(button.dataset.copy)));
  }
}

async function copy(button, element) {
  const label = button.firstChild;
  const words = label.textContent;
  try {
    await navigator.clipboard.writeText(element.textContent);
    label.textContent = "Copied";
  } catch {
    // Browsers give the clipboard to https and localhost only: elsewhere the text is at least selected.
    getSelection().selectAllChildren(element);
    label.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => (label.textContent = words), 2000);
}
