// Pages around the editor: forms that are sent once, and parts that are looked at again.

/** Keep a form from being sent twice: the server would start one run only, but it looks broken. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-once]") || form.closest("[hx-boost=true]")) return;
  if (form.dataset.isSent) return void event.preventDefault();
  form.dataset.isSent = "1";
  for (const button of form.querySelectorAll("button"))
    button.setAttribute("aria-disabled", "true");
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-is-sent]")) {
    delete form.dataset.isSent;
    for (const button of form.querySelectorAll("button")) button.removeAttribute("aria-disabled");
  }
});

// Parts that are asked for anew every few seconds, while they are in sight.
for (const part of document.querySelectorAll("[data-refresh]"))
  setInterval(
    () => document.hidden || htmx.trigger(part, "pgf:refresh"),
    part.dataset.refresh * 1000,
  );
