const dag = pgflowDag;
const { $, $$, svg, root: run } = dag;
const head = () => $("#pgf-run-head");
const FIRST_PAUSE = 1000,
  LONGEST_PAUSE = 5000,
  LONGEST_WAIT = 30_000,
  NO_PAUSE = 100,
  PARTS_PAUSE = 5000; // milliseconds

let pause = FIRST_PAUSE,
  timer = 0,
  isAsking = false,
  hasMore = false,
  lostAt = null,
  isGone = false,
  partsAt = 0,
  areStale = false;

async function ask({ isFirst = false } = {}) {
  clearTimeout(timer);
  if (isAsking || isGone || (!isFirst && document.hidden)) return;
  isAsking = true;
  hasMore = false;
  const { state, direction } = svg().dataset;
  try {
    await htmx.ajax("GET", `${run.dataset.liveUrl}?direction=${isFirst ? "TB" : direction}`, {
      source: run,
      target: "#pgf-dag",
      swap: "drawing",
      headers: isFirst ? {} : { "X-Pgf-State": state },
    });
  } catch {
    // it is tried again
  }
  isAsking = false;
  if (isGone) return;
  const isNew = svg().dataset.state !== state;
  if (isNew) tell();
  if (lostAt) pause = Math.min(pause * 1.5, LONGEST_WAIT);
  else pause = isNew ? FIRST_PAUSE : Math.min(pause * 1.5, LONGEST_PAUSE);
  if (hasMore || lostAt || !head().dataset.ended)
    timer = setTimeout(ask, hasMore ? NO_PAUSE : pause);
}

function askNow() {
  pause = FIRST_PAUSE;
  if (isAsking) hasMore = true;
  else ask();
}

function showCards(cards) {
  for (const card of [...cards.children]) {
    const { slug } = card.dataset,
      isActive = card.matches(".pgf-running, .pgf-retrying");
    dag.sync(dag.find(slug), card); // keeps the focus
    for (const edge of $$(`.pgf-edge[data-target="${slug}"]`, svg()))
      edge.classList.toggle("pgf-active", isActive);
    if (slug === $("#pgf-panel [data-step]")?.dataset.step) showPanel(slug);
  }
  svg().dataset.state = cards.dataset.state;
}

const showPanel = (step = "") =>
  dag.request("GET", run.dataset.panelUrl, {
    source: head(), // and not the panel: nobody has opened it
    target: "#pgf-panel",
    swap: "morph:innerHTML",
    values: { step },
  });

function hear({ target, detail: { xhr, successful, requestConfig } }) {
  const { status } = xhr;
  if (requestConfig.boosted && requestConfig.verb === "post") {
    if (!successful && status !== 409)
      $("#pgf-said").textContent = run.dataset.textFailed.replace("{status}", status);
    return askNow();
  }
  if (target !== run) return;
  const { textStale, textGone } = run.dataset,
    isReached = (status >= 200 && status < 400) || status === 401;
  isGone = status === 404;
  lostAt = isReached ? null : (lostAt ?? new Date());
  setClock(xhr.getResponseHeader("X-Pgf-Now"));
  const banner = $("#pgf-stale"),
    shown = $("#pgf-stale-text");
  banner.hidden = isReached;
  if (isReached) return;
  const text = isGone ? textGone : textStale.replace("{time}", formTimes().format(lostAt));
  if (shown.textContent !== text) shown.textContent = text;
}

function tell() {
  const { ended, share } = head().dataset,
    name = $("h1", head()).textContent;
  const sign = $(".pgf-completed", head()) ? "✓" : ended ? "✕" : `${share} %`;
  document.title = `${sign} ${name}`;
  if (ended) $("#pgf-live").textContent = run.dataset.textEnded.replace("{status}", ended);
  areStale = true;
  if (ended) partsAt = 0;
  refreshParts();
}

function refreshParts() {
  if (!areStale || document.hidden || Date.now() - partsAt < PARTS_PAUSE) return;
  areStale = false;
  partsAt = Date.now();
  htmx.trigger(document.body, "pgf:changed");
}

let ahead = 0; // seconds

const setClock = (now) => now && (ahead = Number(now) - Date.now() / 1000);

function nameSeconds(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60)];
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

function tick() {
  const now = Date.now() / 1000 + ahead;
  for (const place of $$("[data-since], [data-until]", run)) {
    const { since, until } = place.dataset,
      left = Math.ceil(until - now);
    const time = nameSeconds(Math.max(0, since ? Math.round(now - since) : left));
    const text = since ? time : left > 0 ? run.dataset.textIn.replace("{time}", time) : "";
    place.textContent = text && place.matches("tspan") ? ` · ${text}` : text;
  }
  refreshParts();
}

const store = (() => {
  try {
    return localStorage;
  } catch {
    return {}; // a browser that keeps nothing
  }
})();

const nameZone = () => store.pgfZone || Intl.DateTimeFormat().resolvedOptions().timeZone;
const formTimes = (form = { hourCycle: "h23", timeStyle: "medium" }) =>
  Intl.DateTimeFormat(document.documentElement.lang || [], { timeZone: nameZone(), ...form });

function writeTimes() {
  const timeZone = nameZone(),
    time = formTimes(),
    whole = formTimes({ hourCycle: "h23", timeStyle: "medium", dateStyle: "medium" }),
    day = formTimes({ dateStyle: "short" }),
    today = day.format(Date.now() + ahead * 1000);
  for (const place of $$("time[datetime]", run)) {
    const moment = new Date(place.dateTime);
    place.textContent = (day.format(moment) === today ? time : whole).format(moment);
    place.title = `${whole.format(moment)} ${timeZone}`;
  }
  const button = $("#pgf-zone");
  button.textContent = run.dataset.textZone.replace("{zone}", timeZone);
  button.hidden = false;
}

htmx.defineExtension("pgf-run", {
  handleSwap(style, target, fragment) {
    const cards = style === "drawing" && $("#pgf-cards", fragment);
    if (cards) showCards(cards);
    return cards ? [] : false;
  },
});

const isTall = innerWidth < 600;

setClock(run.dataset.now);
writeTimes();
tick();
document.addEventListener("htmx:afterRequest", hear);
document.addEventListener("htmx:afterSwap", () => {
  writeTimes();
  tick();
});
document.addEventListener("pgf:more", () => (hasMore = true));
document.addEventListener("pgf:ended", () => showPanel($("#pgf-panel [data-step]")?.dataset.step));
document.addEventListener("visibilitychange", askNow);
addEventListener("focus", askNow);
addEventListener("online", askNow);
document.addEventListener("click", ({ target }) => {
  if (!target.closest("#pgf-zone")) return;
  store.pgfZone = store.pgfZone ? "" : "UTC";
  writeTimes();
});
setInterval(tick, 1000);
if (isTall) ask({ isFirst: true });
else if (!head().dataset.ended) timer = setTimeout(ask, FIRST_PAUSE / 2);
