// The tabs of a run's page and the page of a task: what copies.

/** Copy the text of another element, and say so on the button for a moment. */
async function copy(button) {
  const text = document.querySelector(button.dataset.copy).textContent,
    label = button.textContent;
  await navigator.clipboard.writeText(text);
  button.textContent = button.dataset.done;
  setTimeout(() => (button.textContent = label), 2000);
}

/** Buttons that only a script can serve are there with it. */
function showButtons() {
  for (const button of document.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-copy]");
  if (button) copy(button);
});
document.addEventListener("htmx:afterSwap", showButtons);
showButtons();

/** The log has a script of its own, which comes with the first one that is to be seen. */
function loadLog() {
  const log = document.querySelector("#pgf-log[data-script]");
  if (log) import(log.dataset.script);
}

document.addEventListener("htmx:afterSwap", loadLog);
loadLog();
