// Pan, zoom, select, connect and edit the flow that the server has drawn.
//
// The server holds the flow and all rules; here are only the view and the selection. Every edit is
// one POST, whose answer replaces the drawing by morphing, so that steps glide and keep the focus.

// htmx's names, all in one place: version 4 spells them differently.
const EVENTS = {
  configure: "htmx:configRequest",
  before: "htmx:beforeRequest",
  after: "htmx:afterRequest",
  arrived: "htmx:beforeSwap",
  swapped: "htmx:afterSwap",
  refused: "htmx:responseError",
  unsent: "htmx:sendError",
};
const MAX_SCALE = 2.5,
  MIN_SCALE = 0.04,
  OPENING_SCALE = 0.6,
  MARGIN = 36;
const CLICK_REACH = 5; // pixels that a press may move and still be a click
const PRESENCE_PAUSE = 10_000,
  PANEL_PAUSE = 180,
  TOAST_PAUSE = 7000; // milliseconds

const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const root = $("[data-pgf]");
const svg = () => $("#pgf-dag");
const bar = () => $("#pgf-bar");
const isEditable = () => svg()?.classList.contains("pgf-editable") ?? root.dataset.editable === "1";
const isPhone = () => matchMedia("(max-width: 767px)").matches;
const text = (key, values = {}) =>
  (root.dataset[key] ?? "").replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

// ---- steps and edges ----

const nodes = () => $$(".pgf-node", svg());
const find = (slug) => (slug ? document.getElementById(`pgf-step-${slug}`) : null);
const needs = (node) => (node.dataset.deps ? node.dataset.deps.split(" ") : []);
const waiters = (slug) => nodes().filter((node) => needs(node).includes(slug));
const edgeOf = (source, target) => document.getElementById(`pgf-edge-${source}-${target}`);
const place = (node) => {
  const [x, y] = node
    .getAttribute("transform")
    .match(/-?[\d.]+/g)
    .map(Number);
  const card = $(".pgf-card", node);
  return { x, y, width: +card.getAttribute("width"), height: +card.getAttribute("height") };
};
const isDownwards = () => svg().dataset.direction === "TB";

/** The slugs that can't wait for `source`: itself, all before it, those that do, full maps. */
function findImpossible(source) {
  const bySlug = new Map(nodes().map((node) => [node.dataset.slug, node]));
  const impossible = new Set([source]),
    queue = [source];
  while (queue.length)
    for (const slug of needs(bySlug.get(queue.pop())))
      if (!impossible.has(slug) && bySlug.has(slug)) {
        impossible.add(slug);
        queue.push(slug);
      }
  for (const [slug, node] of bySlug) {
    const before = needs(node);
    if (before.includes(source) || (node.classList.contains("pgf-map") && before.length))
      impossible.add(slug);
  }
  return impossible;
}

// ---- the view ----

const view = { x: 0, y: 0, scale: 1, isFitted: true };
let frame = 0;
// Where the drawing is on the screen: remembered, since to ask costs a layout of the whole page.
let known = null;
const box = () => (known ??= svg().getBoundingClientRect());
const forgetBox = () => {
  known = null;
};

function paint() {
  frame = 0;
  if (!svg()) return;
  const transform = `translate(${view.x} ${view.y}) scale(${view.scale})`;
  $("#pgf-world").setAttribute("transform", transform);
  $("#pgf-grid").setAttribute("patternTransform", transform);
  svg().classList.toggle("pgf-far", view.scale < 0.45);
  svg().classList.toggle("pgf-farther", view.scale < 0.18);
  const zoom = $("#pgf-zoom");
  if (zoom) zoom.textContent = `${Math.round(view.scale * 100)}%`;
  const map = $("#pgf-minimap rect"),
    { width, height } = box();
  if (!map) return;
  const isWhole =
    svg().dataset.width * view.scale <= width && svg().dataset.height * view.scale <= height;
  $("#pgf-minimap").toggleAttribute("hidden", isWhole);
  const frameOnMap = {
    x: -view.x / view.scale,
    y: -view.y / view.scale,
    width: width / view.scale,
    height: height / view.scale,
  };
  for (const [name, value] of Object.entries(frameOnMap)) map.setAttribute(name, value);
}
const repaint = () => (frame ||= requestAnimationFrame(paint));

function zoomBy(factor, x = box().width / 2, y = box().height / 2) {
  const scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, view.scale * factor));
  const ratio = scale / view.scale;
  Object.assign(view, {
    scale,
    x: x - (x - view.x) * ratio,
    y: y - (y - view.y) * ratio,
    isFitted: false,
  });
  repaint();
}

function moveBy(dx, dy) {
  view.x += dx;
  view.y += dy;
  view.isFitted = false;
  repaint();
}

/** Show the whole flow, but not smaller than `least`: then from its beginning on. */
function fit(least = MIN_SCALE) {
  const { width, height } = box(),
    w = +svg().dataset.width,
    h = +svg().dataset.height;
  const best = Math.min(
    1,
    (width - 2 * MARGIN) / Math.max(w, 1),
    (height - 2 * MARGIN) / Math.max(h, 1),
  );
  const scale = Math.max(best, least, MIN_SCALE);
  const begin = (room, size) => (size * scale > room - MARGIN ? MARGIN : (room - size * scale) / 2);
  const centre = (room, size) => (room - size * scale) / 2;
  const isTall = isDownwards();
  const x = (isTall ? centre : begin)(width, w),
    y = (isTall ? begin : centre)(height, h);
  Object.assign(view, { scale, x, y, isFitted: true });
  repaint();
}

/** Move the view so that `node` is to be seen. */
function reveal(node) {
  const { x, y, width, height } = place(node),
    frameBox = box(),
    gap = 24;
  const left = x * view.scale + view.x,
    top = y * view.scale + view.y;
  const shift = (near, size, room) => {
    if (near < gap) return gap - near;
    return near + size > room - gap ? Math.max(room - gap - size, gap) - near : 0;
  };
  const dx = shift(left, width * view.scale, frameBox.width);
  const dy = shift(top, height * view.scale, frameBox.height);
  if (dx || dy) moveBy(dx, dy);
}

function drawMinimap() {
  const map = $("#pgf-minimap");
  if (!map) return;
  const w = +svg().dataset.width,
    h = +svg().dataset.height;
  map.setAttribute("viewBox", `${-w * 0.04} ${-h * 0.04} ${w * 1.08} ${h * 1.08}`);
  $("path", map).setAttribute(
    "d",
    nodes()
      .map((node) => {
        const card = place(node);
        return `M${card.x} ${card.y}h${card.width}v${card.height}h${-card.width}z`;
      })
      .join(""),
  );
}

// ---- a new drawing in the place of the old one ----

/** Make `old` equal to `fresh`, but keep its elements: they glide, and do not lose the focus. */
function sync(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) return void (old.data = fresh.data);
  const names = fresh.getAttributeNames(); // many times faster than `attributes`
  for (const name of names) {
    const value = fresh.getAttribute(name);
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.attributes.length > names.length)
    for (const name of old.getAttributeNames())
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  const ours = [...old.childNodes],
    theirs = [...fresh.childNodes];
  if (
    ours.length !== theirs.length ||
    ours.some((child, index) => child.nodeName !== theirs[index].nodeName)
  )
    return old.replaceChildren(...theirs);
  ours.forEach((child, index) => child.isEqualNode(theirs[index]) || sync(child, theirs[index]));
}

function syncGroup(old, fresh) {
  const present = new Map([...old.children].map((child) => [child.id, child]));
  let cursor = old.firstElementChild;
  for (const part of [...fresh.children]) {
    const kept = present.get(part.id);
    present.delete(part.id);
    if (kept) sync(kept, part);
    if (kept && kept === cursor) cursor = cursor.nextElementSibling;
    else if (kept && old.moveBefore) old.moveBefore(kept, cursor);
    else old.insertBefore(kept ?? part, cursor);
  }
  for (const gone of present.values()) gone.remove();
}

function syncDrawing(old, fresh) {
  const active = document.activeElement;
  for (const { name, value } of fresh.attributes) old.setAttribute(name, value);
  for (const id of ["#pgf-edges", "#pgf-nodes"]) syncGroup($(id, old), $(id, fresh));
  if (active !== document.activeElement && old.contains(active))
    active.focus({ preventScroll: true });
}

// ---- the selection ----

let selected = "",
  edge = null,
  panelTimer = 0;

function mark() {
  for (const element of $$(".pgf-selected", root)) {
    element.classList.remove("pgf-selected");
    element.removeAttribute("aria-current");
  }
  for (const row of $$("#pgf-list tr[data-slug]"))
    row.toggleAttribute("aria-current", row.dataset.slug === selected);
  if (!svg()) return;
  const current = find(selected);
  current?.classList.add("pgf-selected");
  current?.setAttribute("aria-current", "true");
  for (const node of $$("[tabindex='0']", svg())) node.setAttribute("tabindex", "-1");
  (current ?? $(".pgf-node", svg()))?.setAttribute("tabindex", "0");
  if (edge) edgeOf(...edge)?.classList.add("pgf-selected");
}

function select(slug, { panel = true, focus = true, later = false } = {}) {
  selected = slug ?? "";
  edge = null;
  mark();
  const node = find(selected);
  if (node && svg()?.contains(node)) {
    if (focus) node.focus({ preventScroll: true });
    reveal(node);
  }
  clearTimeout(panelTimer);
  if (panel && later) panelTimer = setTimeout(openPanel, PANEL_PAUSE);
  else if (panel) return openPanel();
}

function openPanel() {
  const target = $("#pgf-panel");
  if (!target || !root.dataset.panelUrl) return undefined;
  const query = new URLSearchParams({ step: selected, view: root.dataset.view ?? "" });
  return request("GET", `${root.dataset.panelUrl}?${query}`, {
    source: target,
    target,
    swap: "morph:innerHTML",
  });
}

function selectEdge(element) {
  selected = "";
  edge = [element.dataset.source, element.dataset.target];
  mark();
}

// ---- edits ----

// Its promise is rejected when the network fails; the events above tell of that.
const request = (verb, url, options) => htmx.ajax(verb, url, options).catch(() => {});

let unsaved = null,
  hadFocus = false;

const stage = () =>
  root.dataset.view === "list"
    ? { target: "#pgf-list", swap: "morph:outerHTML" }
    : { target: "#pgf-dag", swap: "drawing" };

/** Send one edit; the answer brings the new drawing, bar, problems and panel. */
function send(op, values = {}) {
  unsaved = () => send(op, values);
  return request("POST", root.dataset.opUrl, {
    source: root,
    ...stage(),
    values: { ...values, op, view: root.dataset.view, selected },
  });
}

function remove() {
  if (edge) return send("delete_edge", { source: edge[0], target: edge[1] });
  const node = find(selected);
  if (!node) return undefined;
  const next = needs(node)[0] ?? waiters(selected)[0]?.dataset.slug ?? "";
  return send("delete_step", { step: selected, next });
}

const addStep = (uses, after = selected, extra = {}) =>
  send("add_step", { uses, ...(after ? { depends_on: [after] } : {}), ...extra });
const connect = (source, target) => send("add_edge", { source, target });

function insert(source, target) {
  pick(text("textInsert", { source, target }), (uses) =>
    send("insert_on_edge", { source, target, uses }),
  );
}

/** Send what was changed in a form of the panel: one field, or the steps that are ticked. */
function save(field) {
  const form = field.form,
    values = { step: form.dataset.step ?? "" };
  const all = new FormData(form);
  values[field.name] =
    field.name === "depends_on" ? ["", ...all.getAll("depends_on")] : (all.get(field.name) ?? "");
  return send(form.dataset.op, values);
}

function readForm(form, submitter) {
  const values = {};
  for (const [name, value] of new FormData(form, submitter)) (values[name] ??= []).push(value);
  return values;
}

// ---- choosing a function ----

let onPick = null;

function pick(title, then) {
  const dialog = $("#pgf-pick");
  $("h2", dialog).textContent = title;
  const items = $$("#pgf-palette .pgf-function:not(.pgf-missing)").map((item) =>
    item.cloneNode(true),
  );
  $(".pgf-pick-list", dialog).replaceChildren(...items);
  onPick = then;
  $("input", dialog).value = "";
  filter($("input", dialog));
  dialog.showModal();
}

function filter(input) {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const list = $(`#${input.getAttribute("aria-controls")}`),
    query = words.join(" ");
  let found = 0,
    best = 0;
  for (const item of $$(".pgf-function", list)) {
    const name = item.dataset.function.toLowerCase(),
      about = `${name} ${item.title.toLowerCase()}`;
    item.hidden = !words.every((word) => about.includes(word));
    found += !item.hidden;
    // Enter takes the best: the name itself, a dotted one's last part, its beginning, any name.
    const rank = [
      name === query,
      name.endsWith(`.${query}`),
      name.startsWith(query),
      name.includes(query),
    ].indexOf(true);
    const score = item.hidden || item.disabled ? 0 : rank < 0 ? 1 : 5 - rank;
    item.toggleAttribute("data-best", score > best);
    if (score > best) best = score;
  }
  for (const section of $$("section", list))
    section.hidden = !$(".pgf-function:not([hidden])", section);
  const none = $(".pgf-none", list.parentElement);
  if (none) none.hidden = found > 0;
}

function moveInList(event, list) {
  const shown = $$(".pgf-function", list).filter((item) => !item.hidden && !item.disabled);
  const index = shown.indexOf(document.activeElement);
  const isForward = event.key === "ArrowDown" || event.key === "ArrowRight";
  if (index < 0 && event.key === "Enter") shown.findLast((item) => "best" in item.dataset)?.click();
  else if (event.key.startsWith("Arrow"))
    shown.at(isForward ? Math.min(index + 1, shown.length - 1) : Math.max(index - 1, 0))?.focus();
  else return;
  event.preventDefault();
}

function choose(item) {
  const uses = item.dataset.function;
  const search = $("#pgf-search");
  if (search?.value) {
    search.value = "";
    filter(search);
  }
  if (!item.closest("#pgf-pick")) return addStep(uses);
  $("#pgf-pick").close();
  return onPick?.(uses);
}

// ---- modes of the keyboard: connect, cut, insert ----

let mode = null;

function say(message) {
  const line = $("#pgf-mode");
  line.textContent = message;
  line.hidden = !message;
}

function enterMode(kind) {
  const node = find(selected);
  if (!node || !isEditable()) return;
  if (kind === "connect") {
    const impossible = findImpossible(selected);
    const choices = nodes().filter((other) => !impossible.has(other.dataset.slug));
    for (const other of nodes())
      other.classList.toggle("pgf-no", impossible.has(other.dataset.slug) && other !== node);
    mode = { kind, source: selected, choices, index: -1 };
    say(text(choices.length ? "textConnect" : "textNoTarget", { step: selected }));
    if (choices.length) aim(1);
    return;
  }
  const out = waiters(selected).map((other) => edgeOf(selected, other.dataset.slug));
  const into = kind === "cut" ? needs(node).map((slug) => edgeOf(slug, selected)) : [];
  const choices = [...out, ...into].filter(Boolean);
  if (kind === "insert" && choices.length === 1)
    return insert(choices[0].dataset.source, choices[0].dataset.target);
  mode = { kind, source: selected, choices, index: -1 };
  say(
    text(!choices.length ? "textNoEdge" : kind === "cut" ? "textCut" : "textInsertMode", {
      step: selected,
    }),
  );
  if (choices.length) aim(1);
}

function aim(by) {
  const { choices, kind } = mode;
  if (!choices.length) return;
  choices[mode.index]?.classList.remove("pgf-aim", "pgf-target");
  mode.index = (mode.index + by + choices.length) % choices.length;
  const chosen = choices[mode.index];
  chosen.classList.add(kind === "connect" ? "pgf-target" : "pgf-aim");
  if (kind === "connect") {
    chosen.setAttribute("tabindex", "0");
    chosen.focus({ preventScroll: true });
    reveal(chosen);
  } else
    say(
      `${chosen.dataset.source} → ${chosen.dataset.target} · ` +
        text(kind === "cut" ? "textCutKeys" : "textInsertKeys"),
    );
}

function leaveMode() {
  for (const element of $$(".pgf-aim, .pgf-no, .pgf-target", svg()))
    element.classList.remove("pgf-aim", "pgf-no", "pgf-target");
  mode = null;
  say("");
}

function keyInMode(event) {
  const { kind, source, choices, index } = mode,
    chosen = choices[index];
  if (["ArrowRight", "ArrowDown"].includes(event.key)) aim(1);
  else if (["ArrowLeft", "ArrowUp"].includes(event.key)) aim(-1);
  else if (["Enter", " ", "Delete"].includes(event.key) && chosen) {
    leaveMode();
    if (kind === "connect") {
      find(source)?.focus({ preventScroll: true });
      connect(source, chosen.dataset.slug);
    } else if (kind === "cut")
      send("delete_edge", { source: chosen.dataset.source, target: chosen.dataset.target });
    else insert(chosen.dataset.source, chosen.dataset.target);
  } else if (event.key === "Escape" || event.key === "Tab") {
    leaveMode();
    select(source, { panel: false });
  } else return;
  event.preventDefault();
}

// ---- keys ----

function walk(key) {
  const here = find(selected) ?? null;
  if (!here) return select($(".pgf-node", svg())?.dataset.slug, { panel: false });
  const along = isDownwards() ? ["ArrowUp", "ArrowDown"] : ["ArrowLeft", "ArrowRight"];
  const centre = (node) => {
    const card = place(node);
    return isDownwards() ? card.x + card.width / 2 : card.y + card.height / 2;
  };
  let next = null;
  if (along.includes(key)) {
    const choices = key === along[1] ? waiters(selected) : needs(here).map(find).filter(Boolean);
    const distance = (node) => Math.abs(centre(node) - centre(here));
    next = choices.sort((one, other) => distance(one) - distance(other))[0];
  } else {
    const row = nodes().filter((node) => node.dataset.rank === here.dataset.rank);
    next = row[row.indexOf(here) + (key === "ArrowDown" || key === "ArrowRight" ? 1 : -1)];
  }
  if (next) select(next.dataset.slug, { later: true, panel: !isPhone() });
}

const press = (selector) => {
  const element = $(selector);
  if (element && !element.disabled) element.click();
};
const openPick = () =>
  pick(selected ? text("textAfter", { step: selected }) : text("textAdd"), (uses) => addStep(uses));
const toggleMap = () =>
  find(selected) &&
  send("update_step", {
    step: selected,
    type: find(selected).classList.contains("pgf-map") ? "single" : "map",
  });
async function rename() {
  if (!selected) return;
  await openPanel();
  const field = $("#pgf-panel [name=slug]");
  field?.focus();
  field?.select();
}

const EDIT_KEYS = {
  a: openPick,
  c: () => enterMode("connect"),
  x: () => enterMode("cut"),
  i: () => (edge ? insert(...edge) : enterMode("insert")),
  m: toggleMap,
  d: () => selected && send("duplicate", { step: selected }),
  Delete: remove,
  Backspace: remove,
  F2: rename,
};
const KEYS = {
  "+": () => zoomBy(1.25),
  "=": () => zoomBy(1.25),
  "-": () => zoomBy(0.8),
  0: () => fit(),
  "/": () => $("#pgf-search")?.focus(),
  l: () => press("[data-view-link]:not([aria-current])"),
  p: () => {
    const list = $(".pgf-problems");
    if (!list) return;
    list.open = !list.open;
    $("summary", list).focus();
  },
  r: () => press("#pgf-run"),
  "?": () => $("#pgf-keys")?.showModal(),
  Home: () => select(nodes()[0]?.dataset.slug, { panel: false }),
  End: () => select(nodes().at(-1)?.dataset.slug, { panel: false }),
  Escape: () => select(""),
};
const lettersAreOff = () => localStorage.getItem("pgf-letters") === "off";

function onKey(event) {
  const isCommand = event.ctrlKey || event.metaKey,
    key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (isCommand && key === "s" && $("#pgf-publish")) {
    event.preventDefault();
    document.activeElement?.blur?.();
    return press("#pgf-publish");
  }
  const list = event.target.closest?.("#pgf-palette, #pgf-pick");
  if (
    list &&
    !isCommand &&
    event.target.matches("input, .pgf-function") &&
    ["ArrowDown", "ArrowUp", "Enter"].includes(key)
  ) {
    if (!(key === "Enter" && event.target.matches(".pgf-function")))
      return moveInList(event, $(".pgf-palette-list, .pgf-pick-list", list));
  }
  if (event.target.closest?.("input, textarea, select, dialog")) {
    if (key === "Escape" && event.target.id === "pgf-search") find(selected)?.focus();
    return undefined;
  }
  if (isCommand && (key === "z" || key === "y")) {
    event.preventDefault();
    return press(event.shiftKey || key === "y" ? "#pgf-redo" : "#pgf-undo");
  }
  if (isCommand || event.altKey) return undefined;
  if (mode) return keyInMode(event);
  if (key.length === 1 && /[a-z]/.test(key) && lettersAreOff()) return undefined;
  const onCanvas = svg() && (event.target === document.body || svg().contains(event.target));
  if (key === "Escape") $$("details.pgf-menu[open]").forEach((menu) => (menu.open = false));
  if (onCanvas && key.startsWith("Arrow")) walk(event.key);
  else if (onCanvas && event.target.closest(".pgf-node") && (key === "Enter" || key === " "))
    select(event.target.closest(".pgf-node").dataset.slug);
  else if (isEditable() && EDIT_KEYS[key] && (onCanvas || key !== "Backspace")) EDIT_KEYS[key]();
  else if (KEYS[key] && (svg() || "/lpr?".includes(key))) KEYS[key]();
  else return undefined;
  event.preventDefault();
  return undefined;
}

// ---- pointers: pan, pinch, click, connect, drag from the palette ----

const touches = new Map();
let drag = null;

const toWorld = (event) => [
  (event.clientX - box().left - view.x) / view.scale,
  (event.clientY - box().top - view.y) / view.scale,
];
const under = (event, selector) =>
  document.elementFromPoint(event.clientX, event.clientY)?.closest(selector);

function startConnecting(node) {
  const impossible = findImpossible(node.dataset.slug),
    card = place(node);
  for (const other of nodes())
    other.classList.toggle("pgf-no", impossible.has(other.dataset.slug) && other !== node);
  const from = isDownwards()
    ? [card.x + card.width / 2, card.y + card.height]
    : [card.x + card.width, card.y + card.height / 2];
  return { kind: "connect", source: node.dataset.slug, impossible, from };
}

function stretch(event) {
  const [x1, y1] = drag.from,
    [x2, y2] = toWorld(event);
  const curve = isDownwards()
    ? `${x1} ${(y1 + y2) / 2} ${x2} ${(y1 + y2) / 2}`
    : `${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2}`;
  $("#pgf-rubber").setAttribute("d", `M${x1} ${y1}C${curve} ${x2} ${y2}`);
  aimAt(under(event, ".pgf-node:not(.pgf-no)"));
}

function aimAt(element) {
  if (drag.aim === element) return;
  drag.aim?.classList.remove("pgf-target", "pgf-aim");
  drag.aim = element?.dataset.slug === drag.source && drag.source ? null : element;
  drag.aim?.classList.add(drag.aim.matches(".pgf-edge") ? "pgf-aim" : "pgf-target");
}

function onDown(event) {
  forgetBox();
  if (event.button) return;
  const item = event.target.closest?.("#pgf-palette .pgf-function:not(.pgf-missing)");
  if (item && svg() && event.pointerType !== "touch")
    drag = { kind: "palette", item, x: event.clientX, y: event.clientY };
  if (!svg()?.contains(event.target) || event.target.closest(".pgf-tool")) return;
  touches.set(event.pointerId, event);
  if (touches.size > 1) return endDrag();
  const node = event.target.closest(".pgf-node");
  if (mode) leaveMode();
  drag =
    event.target.closest(".pgf-out") && isEditable()
      ? startConnecting(node)
      : {
          kind: "pan",
          x: event.clientX,
          y: event.clientY,
          node,
          edge: event.target.closest(".pgf-edge"),
        };
  if (drag.kind === "connect") svg().setPointerCapture(event.pointerId);
}

function pinch(event, last) {
  const other = [...touches].find(([id]) => id !== event.pointerId)[1];
  const before = Math.hypot(last.clientX - other.clientX, last.clientY - other.clientY);
  const now = Math.hypot(event.clientX - other.clientX, event.clientY - other.clientY);
  const { left, top } = box();
  if (before)
    zoomBy(
      now / before,
      (event.clientX + other.clientX) / 2 - left,
      (event.clientY + other.clientY) / 2 - top,
    );
  moveBy((event.clientX - last.clientX) / 2, (event.clientY - last.clientY) / 2);
}

function onMove(event) {
  const last = touches.get(event.pointerId);
  if (last && touches.size === 2) pinch(event, last);
  if (last) touches.set(event.pointerId, event);
  if (drag && !event.buttons) endDrag(); // let go outside of the window
  if (!drag) return showTools(event);
  if (drag.kind === "connect") return stretch(event);
  const dx = event.clientX - drag.x,
    dy = event.clientY - drag.y;
  if (!drag.isMoving && Math.hypot(dx, dy) < CLICK_REACH) return;
  if (drag.kind === "palette") return carry(event);
  if (!drag.isMoving) svg().setPointerCapture(event.pointerId);
  Object.assign(drag, { isMoving: true, x: event.clientX, y: event.clientY });
  svg().classList.add("pgf-panning");
  moveBy(dx, dy);
}

function carry(event) {
  drag.isMoving = true;
  drag.ghost ??= document.body.appendChild(
    Object.assign(document.createElement("div"), {
      className: "pgf-ghost",
      textContent: drag.item.dataset.label,
    }),
  );
  drag.ghost.style.transform = `translate(${event.clientX + 12}px, ${event.clientY + 12}px)`;
  aimAt(under(event, "#pgf-dag .pgf-node, #pgf-dag .pgf-edge"));
}

function onUp(event) {
  const isPinch = touches.size > 1;
  touches.delete(event.pointerId);
  const done = drag;
  if (!done || isPinch) return;
  const onCanvas = Boolean(under(event, "#pgf-dag")),
    target = done.aim;
  endDrag();
  if (event.type === "pointercancel") return;
  if (done.kind === "palette") {
    if (!done.isMoving) return;
    done.item.dataset.dragged = "1"; // the click that follows is no choice
    setTimeout(() => delete done.item.dataset.dragged);
    if (target?.matches(".pgf-edge"))
      send("insert_on_edge", {
        source: target.dataset.source,
        target: target.dataset.target,
        uses: done.item.dataset.function,
      });
    else if (onCanvas) addStep(done.item.dataset.function, target?.dataset.slug ?? "");
  } else if (done.kind === "connect") {
    if (target) connect(done.source, target.dataset.slug);
    else if (onCanvas && !under(event, ".pgf-node"))
      pick(text("textAfter", { step: done.source }), (uses) => addStep(uses, done.source));
    else if (onCanvas) select(done.source);
  } else if (!done.isMoving && done.node) select(done.node.dataset.slug);
  else if (!done.isMoving && done.edge) selectEdge(done.edge);
  else if (!done.isMoving) select("");
}

function endDrag() {
  drag?.ghost?.remove();
  drag = null;
  svg()?.classList.remove("pgf-panning");
  $("#pgf-rubber")?.removeAttribute("d");
  for (const element of $$(".pgf-no, .pgf-target, .pgf-aim", root))
    element.classList.remove("pgf-no", "pgf-target", "pgf-aim");
}

/** Put the buttons "insert" and "cut" on the edge under the pointer. */
function showTools(event) {
  const tools = $("#pgf-edge-tools");
  if (!tools || event.pointerType === "touch") return;
  const hovered = event.target.closest?.(".pgf-edge");
  if (hovered) {
    const line = $(".pgf-line", hovered),
      middle = line.getPointAtLength(line.getTotalLength() / 2);
    tools.setAttribute(
      "transform",
      `translate(${middle.x} ${middle.y}) scale(${Math.max(1, 0.75 / view.scale)})`,
    );
    [tools.dataset.source, tools.dataset.target] = [hovered.dataset.source, hovered.dataset.target];
  }
  const isNear = hovered || event.target.closest?.("#pgf-edge-tools");
  tools.classList.toggle("pgf-shown", Boolean(isNear));
}

function onWheel(event) {
  if (!svg()?.contains(event.target)) return;
  event.preventDefault();
  forgetBox();
  const { left, top } = box();
  const isNotch = !event.deltaX && Math.abs(event.deltaY) >= 100; // of a mouse's wheel
  if (event.ctrlKey || event.metaKey || isNotch)
    zoomBy(
      Math.exp(-event.deltaY * (event.ctrlKey && !isNotch ? 0.01 : 0.0016)),
      event.clientX - left,
      event.clientY - top,
    );
  else moveBy(-event.deltaX, -event.deltaY);
}

// ---- clicks and forms ----

const ACTS = {
  "zoom-in": () => zoomBy(1.25),
  "zoom-out": () => zoomBy(0.8),
  fit: () => fit(),
  keys: () => $("#pgf-keys").showModal(),
  close: (element) => (element.closest("dialog") ? element.closest("dialog").close() : select("")),
  dismiss: (element) => element.closest(".pgf-toast, .pgf-banner").remove(),
  retry: () => unsaved?.(),
  add: openPick,
  insert: () => {
    const { source, target } = $("#pgf-edge-tools").dataset;
    insert(source, target);
  },
  cut: () => {
    const { source, target } = $("#pgf-edge-tools").dataset;
    send("delete_edge", { source, target });
  },
  direction: (element) => {
    remember(element.dataset.value);
    refresh();
  },
};

function onClick(event) {
  const target = event.target.closest("[data-act], [data-select], .pgf-function");
  for (const menu of $$("details.pgf-menu[open]"))
    if (!menu.contains(event.target) || target) menu.open = false;
  if (!target) return;
  if (target.matches(".pgf-function"))
    return target.dataset.dragged || target.matches(".pgf-missing") || !isEditable()
      ? undefined
      : (event.preventDefault(), choose(target));
  if (target.dataset.act) return ACTS[target.dataset.act]?.(target);
  if (event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  select(target.dataset.select);
}

function onSubmit(event) {
  const form = event.target;
  if (!form.matches("form[data-op-form]")) return;
  event.preventDefault();
  if (form.matches(".pgf-autosave") && !event.submitter?.name) return;
  const question = event.submitter?.dataset.confirm;
  if (question && !confirm(question)) return;
  const values = readForm(form, event.submitter),
    [op] = values.op ?? [""];
  // "Mine on top" of what is there now.
  if (form.dataset.version) bar().dataset.version = form.dataset.version;
  if (op === "publish") return publish(form);
  for (const name of ["op", "version", "view", "selected", "csrfmiddlewaretoken"])
    delete values[name];
  send(op, values);
  if (form.matches(".pgf-add")) form.reset();
}

function publish(form) {
  unsaved = () => publish(form);
  return request("POST", form.action, {
    source: root,
    swap: "none",
    values: { op: "publish", view: root.dataset.view, selected },
  });
}

function onChange(event) {
  if (event.target.id === "pgf-letters")
    return localStorage.setItem("pgf-letters", event.target.checked ? "on" : "off");
  if (event.target.form?.matches(".pgf-autosave")) save(event.target);
}

// ---- what comes from the server ----

function remember(direction) {
  const { width, height } = ($("#pgf-stage") ?? document.body).getBoundingClientRect();
  root.dataset.direction = direction;
  const seen = `${direction}.${Math.round(width)}x${Math.round(height)}`;
  document.cookie = `pgf_view=${seen}; path=/; max-age=31536000; SameSite=Lax`;
}

const refresh = () => {
  view.isFitted = true;
  return (
    svg() &&
    root.dataset.canvasUrl &&
    request("GET", root.dataset.canvasUrl, { source: root, ...stage() })
  );
};

function afterSwap() {
  if (svg() && view.isFitted) fit(OPENING_SCALE);
  paint();
  mark();
  if (svg()) drawMinimap();
  const toast = $(".pgf-toast:not(.pgf-error)");
  if (toast) setTimeout(() => toast.remove(), TOAST_PAUSE);
  const used = new Set((bar()?.dataset.uses ?? "").split(" "));
  for (const item of $$("#pgf-palette .pgf-used"))
    item.hidden = !used.has(item.parentElement.dataset.function);
  $("#pgf-empty")?.toggleAttribute("hidden", Boolean($(".pgf-node, #pgf-list tbody tr")));
  const wrong = $$("#pgf-panel .pgf-field-error:not([hidden])").map((error) => error.id);
  for (const field of $$("#pgf-panel [aria-describedby]")) {
    if (wrong.some((id) => field.getAttribute("aria-describedby").split(" ").includes(id)))
      field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }
}

/** After an edit: follow the step that it was about, without taking the focus from a field. */
function onEdited(event) {
  const { step } = event.detail,
    active = document.activeElement;
  const isTyping = active?.closest?.("input, textarea, select") && !active.closest("#pgf-palette");
  const isLost = hadFocus && active === document.body;
  unsaved = null;
  if (step !== undefined) select(step, { panel: false, focus: false });
  if (isPhone()) $("#pgf-panel")?.classList.remove("pgf-sheet");
  requestAnimationFrame(() =>
    setTimeout(() => {
      performance.mark("pgf-edited"); // it is painted; the focus would have held that up
      if (document.activeElement !== active && document.activeElement !== document.body) return;
      if (svg() && ((step && !isTyping) || isLost))
        $(".pgf-node[tabindex='0']", svg())?.focus({ preventScroll: true });
    }),
  );
}

const isEdit = (event) => event.detail.requestConfig?.parameters?.op ?? event.detail.parameters?.op;

const on = (name, handler) => document.addEventListener(name, handler);

function listen() {
  on(EVENTS.configure, (event) => {
    if (isEdit(event)) event.detail.parameters.version = bar().dataset.version;
  });
  on(EVENTS.before, (event) => root.classList.toggle("pgf-saving", Boolean(isEdit(event))));
  on(EVENTS.after, (event) => {
    root.classList.remove("pgf-saving");
    if (event.detail.successful && isEdit(event)) $("#pgf-offline").hidden = true;
  });
  on(EVENTS.arrived, () => {
    const active = document.activeElement;
    hadFocus = Boolean(svg()?.contains(active));
    // What somebody types right now stays; all other fields show what the server says.
    if (globalThis.Idiomorph)
      Idiomorph.defaults.ignoreActiveValue = active.matches(
        "textarea, input:not([type=checkbox], [type=radio])",
      );
  });
  on(EVENTS.swapped, (event) => {
    if (event.detail.target?.id === "pgf-panel")
      event.detail.target.classList.toggle("pgf-sheet", isPhone() && Boolean(selected));
    if (mode && event.detail.target?.id === "pgf-dag") leaveMode();
    afterSwap();
  });
  on(EVENTS.unsent, (event) => {
    if (isEdit(event)) $("#pgf-offline").hidden = false;
  });
  on(EVENTS.refused, (event) => {
    if (isEdit(event)) $("#pgf-offline").hidden = false;
  });
  on("pgflow:edited", onEdited);
  on("click", onClick);
  on("submit", onSubmit);
  on("change", onChange);
  on("keydown", onKey);
  on("input", (event) => {
    if (event.target.matches("[aria-controls][type=search]")) filter(event.target);
  });
  on("pointerdown", onDown);
  on("pointermove", onMove);
  on("pointerup", onUp);
  on("pointercancel", onUp);
  on("focusin", (event) => {
    const node = event.target.closest?.(".pgf-node");
    if (!node || mode || node.dataset.slug === selected) return;
    selected = node.dataset.slug;
    edge = null;
    mark();
  });
  document.addEventListener("wheel", onWheel, { passive: false });
  addEventListener("online", () => {
    if (!$("#pgf-offline").hidden) unsaved?.();
  });
  $("#pgf-minimap")?.addEventListener("pointerdown", (event) => {
    const map = event.currentTarget,
      at = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    moveBy(
      box().width / 2 - at.x * view.scale - view.x,
      box().height / 2 - at.y * view.scale - view.y,
    );
  });
}

/** Give the editor the height that the page leaves. */
function stretchPage() {
  const isOpen = root.matches(".pgf-editor") && !isPhone();
  const room = innerHeight - root.getBoundingClientRect().top - scrollY;
  root.style.height = isOpen ? `${Math.max(room, 440)}px` : "";
}

function beat() {
  const presence = $("#pgf-presence");
  if (presence && !document.hidden)
    request("POST", root.dataset.presenceUrl, { source: presence, swap: "none" });
}

function start() {
  htmx.defineExtension("pgf", {
    handleSwap(style, target, fragment) {
      const fresh = style === "drawing" && $("#pgf-dag", fragment);
      if (fresh) syncDrawing(target, fresh);
      return fresh ? [] : false; // nothing in it is htmx's: looking through it would take long
    },
  });
  if (root.dataset.smallUrl && innerWidth < 480 && !location.search.includes("view="))
    return location.replace(root.dataset.smallUrl);
  listen();
  stretchPage();
  addEventListener("scroll", forgetBox, { capture: true, passive: true });
  new ResizeObserver(forgetBox).observe($("#pgf-stage") ?? root);
  addEventListener("resize", () => {
    forgetBox();
    stretchPage();
    if (!svg()) return;
    if (view.isFitted) fit(OPENING_SCALE);
    else repaint();
    drawMinimap();
  });
  selected = root.dataset.selected ?? "";
  if (root.dataset.direction) {
    const isKnown = document.cookie.includes("pgf_view=");
    remember(root.dataset.direction);
    if (!isKnown && isPhone()) refresh();
  }
  afterSwap();
  const letters = $("#pgf-letters");
  if (letters) letters.checked = !lettersAreOff();
  if (root.dataset.presenceUrl) {
    beat();
    setInterval(beat, PRESENCE_PAUSE);
  }
  root.dataset.ready = "1";
  requestAnimationFrame(() => performance.mark("pgf-ready"));
  return undefined;
}

if (root) start();
