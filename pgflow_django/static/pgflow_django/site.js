// Pages around the editor: forms that are sent once, and runs that are followed while they go on.

const $ = (selector, within = document) => within.querySelector(selector);
const FIRST_PAUSE = 1000,
  LONGEST_PAUSE = 5000, // milliseconds between two looks at a run
  LONGEST_WAIT = 30000; // the same where nobody answers

/** Keep a form from being sent twice: the server would start one run only, but it looks broken. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-once]")) return;
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

// ---- a run ----

const run = $("[data-pgf='run']");
const head = () => $("#pgf-run-head");
let pause = FIRST_PAUSE,
  timer = 0,
  isAsking = false,
  lostAt = null, // when the page was up to date, for as long as nobody answers
  isGone = false;

const isTall = innerWidth < 600; // then the drawing goes downwards

/** Ask for what has changed; what comes replaces the drawing and the parts around it. */
async function ask({ isFirst = false } = {}) {
  clearTimeout(timer);
  if (isAsking || isGone || (!isFirst && document.hidden)) return;
  isAsking = true;
  const before = head().dataset.mark;
  const query = new URLSearchParams({
    since: isFirst ? "" : before,
    ...(isTall && { tall: "1" }),
    step: $("#pgf-panel [data-step]")?.dataset.step ?? "",
  });
  try {
    await htmx.ajax("GET", `${run.dataset.liveUrl}?${query}`, {
      source: run,
      target: "#pgf-dag",
      swap: "drawing",
    });
  } catch {
    // The banner tells, and it is tried again below.
  }
  isAsking = false;
  if (isGone) return;
  if (lostAt) {
    pause = Math.min(pause * 1.5, LONGEST_WAIT);
    timer = setTimeout(ask, pause);
    return;
  }
  const isNew = head().dataset.mark !== before;
  pause = isNew ? FIRST_PAUSE : Math.min(pause * 1.5, LONGEST_PAUSE);
  if (isNew) tell();
  if (!head().dataset.ended) timer = setTimeout(ask, pause);
}

/** Show whether what the page tells is still so. */
function tellWhetherReached({ target, detail }) {
  if (target !== run) return;
  const { status } = detail.xhr,
    isReached = (status >= 200 && status < 400) || status === 401;
  isGone = status === 404;
  lostAt = isReached ? null : (lostAt ?? new Date());
  const banner = $("#pgf-stale"),
    shown = $("#pgf-stale-text"),
    { textStale, textGone } = run.dataset;
  banner.hidden = isReached;
  if (isReached) return;
  const text = isGone ? textGone : textStale.replace("{time}", lostAt.toLocaleTimeString());
  if (shown.textContent !== text) shown.textContent = text;
}

/** Say in the tab and to screen readers how the run stands. */
function tell() {
  const { ended, share } = head().dataset,
    name = $("h1", head()).textContent;
  const sign = $(".pgf-completed", head()) ? "✓" : ended ? "✕" : `${share} %`;
  document.title = `${sign} ${name}`;
  if (ended) $("#pgf-live").textContent = run.dataset.textEnded.replace("{status}", ended);
}

/** Count the seconds of a run that goes on. */
function tick() {
  const place = $("#pgf-elapsed[data-since]");
  if (!place) return;
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - Number(place.dataset.since)));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60)];
  place.textContent = hours
    ? `${hours} h ${minutes % 60} min`
    : minutes
      ? `${minutes} min ${seconds % 60} s`
      : `${seconds} s`;
}

// Parts that are asked for anew every few seconds, while they are in sight.
for (const part of document.querySelectorAll("[data-refresh]"))
  setInterval(
    () => document.hidden || htmx.trigger(part, "pgf:refresh"),
    part.dataset.refresh * 1000,
  );

if (run) {
  document.addEventListener("htmx:afterRequest", tellWhetherReached);
  document.addEventListener("visibilitychange", () => {
    pause = FIRST_PAUSE;
    ask();
  });
  addEventListener("focus", () => {
    pause = FIRST_PAUSE;
    ask();
  });
  if (isTall) ask({ isFirst: true });
  if (!head().dataset.ended) {
    timer = setTimeout(ask, FIRST_PAUSE / 2);
    setInterval(tick, 1000);
  }
}
