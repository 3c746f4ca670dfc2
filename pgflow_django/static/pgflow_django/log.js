// The log of a run that is followed: lines come while they are written.

const PAUSE = 1000, // milliseconds between two looks at a log that grows
  LONGEST_PAUSE = 5000,
  // Lines get their ids before they can be seen: for so long one with a lower id may still come.
  SETTLED = 3000;

const log = () => document.querySelector("#pgf-log[data-follow]");
const idOf = (line) => Number(line.dataset.id);
let pause = PAUSE,
  timer = 0,
  seen = []; // when which line was the last: [milliseconds, id]

/** The line after which all may have changed: the last one of a few seconds ago. */
function findSettled(now) {
  while (seen[1] && now - seen[1][0] > SETTLED) seen.shift();
  return seen[0] && now - seen[0][0] > SETTLED ? seen[0][1] : 0;
}

/** Put lines where they belong, each once, and let go of the oldest beyond what a page keeps. */
function merge(list, fresh) {
  const lines = [...list.querySelectorAll("[data-id]")],
    last = lines.length ? idOf(lines.at(-1)) : 0;
  let place = lines.length;
  const gap = fresh.querySelector("[data-gap]");
  const added = [...fresh.querySelectorAll("[data-id]")].filter(
    (line) => !document.getElementById(line.id),
  );
  for (const line of added.toReversed()) {
    while (place && idOf(lines[place - 1]) > idOf(line)) place -= 1;
    list.insertBefore(line, lines[place] ?? null);
    lines.splice(place, 0, line);
  }
  if (gap && added[0] && idOf(added[0]) > last) list.insertBefore(gap, added[0]);
  for (const line of lines.slice(0, Math.max(0, lines.length - list.dataset.most))) line.remove();
  while (list.firstElementChild?.matches("[data-gap]:first-child + [data-gap]"))
    list.firstElementChild.remove();
  document.querySelector("#pgf-log-empty").hidden = lines.length > 0;
  return added;
}

async function follow() {
  clearTimeout(timer);
  const list = log();
  if (!list) return;
  const now = Date.now(),
    isWanted = document.querySelector("#pgf-follow")?.checked && !document.hidden;
  if (isWanted) {
    const before = list.lastElementChild;
    const url = new URL(list.dataset.follow, location.href);
    url.searchParams.set("after", findSettled(now));
    await htmx
      .ajax("GET", url.pathname + url.search, { source: list, target: list, swap: "log" })
      .catch(() => {});
    pause = list.lastElementChild === before ? Math.min(pause * 1.5, LONGEST_PAUSE) : PAUSE;
    const last = list.lastElementChild;
    if (last?.dataset.id) seen.push([now, idOf(last)]);
  }
  timer = setTimeout(follow, isWanted ? pause : PAUSE);
}

/** Begin with the newest lines in sight. */
function startLog() {
  const list = log();
  if (!list || list.dataset.isFollowed) return;
  list.dataset.isFollowed = "1";
  seen = [];
  pause = PAUSE;
  document.querySelector(".pgf-follow").hidden = false;
  list.scrollTop = list.scrollHeight;
  follow();
}

htmx.defineExtension("pgf-log", {
  handleSwap(style, list, fragment) {
    if (style !== "log") return false;
    if (!list.isConnected) return []; // another tab was opened meanwhile
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const added = merge(list, fragment);
    if (isAtEnd) list.scrollTop = list.scrollHeight;
    return added;
  },
});
document.addEventListener("htmx:afterSwap", startLog);
document.addEventListener("visibilitychange", follow);
startLog();
