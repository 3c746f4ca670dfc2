const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const root = $("[data-pgf]");
const svg = () => $("#pgf-dag");
const isEditable = () => svg()?.classList.contains("pgf-editable") ?? root.dataset.editable === "1";
const isPhone = () => matchMedia("(max-width: 767px)").matches;
const focusOn = (element) => element?.focus({ preventScroll: true });
const text = (key, values = {}) =>
  (root.dataset[key] ?? "").replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

const state = {
  chosen: [],
  edge: null,
  mode: null,
  sent: [],
  unsaved: [],
  get selected() {
    return this.chosen.at(-1) ?? "";
  },
};

const on = (name, handler, options) => root && document.addEventListener(name, handler, options);
const request = (verb, url, options) => htmx.ajax(verb, url, options).catch(() => {});

const stage = () =>
  root.dataset.view === "list"
    ? { target: "#pgf-list", swap: "morph:outerHTML" }
    : { target: "#pgf-dag", swap: "drawing" };

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
const size = () => [+svg().dataset.width, +svg().dataset.height];

const MAX_SCALE = 2.5,
  MIN_SCALE = 0.04,
  OPENING_SCALE = 0.6,
  MARGIN = 36;

const view = { x: 0, y: 0, scale: 1, isFitted: true };
let frame = 0;
// Where it is: to ask costs a layout of the whole page.
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
  const [w, h] = size();
  const isWhole = w * view.scale <= width && h * view.scale <= height;
  $("#pgf-minimap").toggleAttribute("hidden", isWhole);
  const seen = { x: -view.x, y: -view.y, width, height };
  for (const name in seen) map.setAttribute(name, seen[name] / view.scale);
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

function fit(least = MIN_SCALE) {
  const { width, height } = box();
  const [w, h] = size();
  const best = Math.min((width - 2 * MARGIN) / w, (height - 2 * MARGIN) / h, 1);
  const scale = Math.max(best, least);
  const put = (room, length, isAlong) =>
    isAlong && length > room - MARGIN ? MARGIN : (room - length) / 2;
  const x = put(width, w * scale, !isDownwards());
  const y = put(height, h * scale, isDownwards());
  Object.assign(view, { scale, x, y, isFitted: true });
  repaint();
}

function reveal(node) {
  if (view.scale < OPENING_SCALE / 2) zoomBy(OPENING_SCALE / view.scale);
  const { x, y, width, height } = place(node),
    gap = 24;
  const shift = (near, length, room) =>
    Math.max(gap - near, Math.min(0, room - gap - length * view.scale - near));
  const dx = shift(x * view.scale + view.x, width, box().width);
  const dy = shift(y * view.scale + view.y, height, box().height);
  if (dx || dy) moveBy(dx, dy);
}

function drawMinimap() {
  const map = $("#pgf-minimap");
  if (!map) return;
  const [w, h] = size();
  map.setAttribute("viewBox", `${-w * 0.04} ${-h * 0.04} ${w * 1.08} ${h * 1.08}`);
  const cards = nodes().map(place);
  const boxes = cards.map(
    (card) => `M${card.x} ${card.y}h${card.width}v${card.height}h${-card.width}z`,
  );
  $("path", map).setAttribute("d", boxes.join(""));
}

function remember(direction) {
  const { width, height } = ($("#pgf-stage") ?? document.body).getBoundingClientRect();
  root.dataset.direction = direction;
  const seen = `${direction}.${Math.round(width)}x${Math.round(height)}`;
  document.cookie = `pgf_view=${seen}; path=/; max-age=31536000; SameSite=Lax`;
}

function refresh() {
  view.isFitted = true;
  const url = root.dataset.canvasUrl;
  if (svg() && url) request("GET", url, { source: root, ...stage() });
}

function stretchPage() {
  const isOpen = root.matches(".pgf-editor") && !isPhone();
  const room = innerHeight - root.getBoundingClientRect().top - scrollY;
  root.style.height = isOpen ? `${Math.max(room, 440)}px` : "";
}

function showView() {
  if (!svg()) return;
  if (view.isFitted) fit(OPENING_SCALE);
  paint();
  drawMinimap();
}

if (root) {
  stretchPage();
  addEventListener("scroll", forgetBox, { capture: true, passive: true });
  new ResizeObserver(forgetBox).observe($("#pgf-stage") ?? root);
  addEventListener("beforeprint", () => svg()?.setAttribute("viewBox", svg().dataset.sheet));
  addEventListener("afterprint", () => svg()?.removeAttribute("viewBox"));
  addEventListener("resize", () => {
    forgetBox();
    stretchPage();
    showView();
  });
}

globalThis.pgflowDag = {
  $,
  $$,
  root,
  svg,
  isEditable,
  isPhone,
  focusOn,
  text,
  state,
  on,
  request,
  stage,
  nodes,
  find,
  needs,
  waiters,
  edgeOf,
  place,
  isDownwards,
  view,
  box,
  forgetBox,
  zoomBy,
  moveBy,
  fit,
  reveal,
  showView,
  remember,
  refresh,
};
