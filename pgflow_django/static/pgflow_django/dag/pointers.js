const dag = pgflowDag;
const { $, $$, svg, text, state, on } = dag;

const CLICK_REACH = 5; // pixels that a press may move and still be a click

const touches = new Map();
let drag = null;

const toWorld = (event) => [
  (event.clientX - dag.box().left - dag.view.x) / dag.view.scale,
  (event.clientY - dag.box().top - dag.view.y) / dag.view.scale,
];
const under = (event, selector) =>
  document.elementFromPoint(event.clientX, event.clientY)?.closest(selector);

function startConnecting(node) {
  const card = dag.place(node);
  dag.fade(node.dataset.slug);
  const from = dag.isDownwards()
    ? [card.x + card.width / 2, card.y + card.height]
    : [card.x + card.width, card.y + card.height / 2];
  return { kind: "connect", source: node.dataset.slug, from };
}

function stretch(event) {
  const [x1, y1] = drag.from,
    [x2, y2] = toWorld(event);
  const curve = dag.isDownwards()
    ? `${x1} ${(y1 + y2) / 2} ${x2} ${(y1 + y2) / 2}`
    : `${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2}`;
  $("#pgf-rubber").setAttribute("d", `M${x1} ${y1}C${curve} ${x2} ${y2}`);
  aimAt(under(event, ".pgf-node:not(.pgf-no)"));
}

const isBetween = (middle, one, other) => (middle - one) * (middle - other) < 0;

function frame(event) {
  const [x1, y1] = drag.from,
    [x2, y2] = toWorld(event);
  $("#pgf-rubber").setAttribute("d", `M${x1} ${y1}H${x2}V${y2}H${x1}Z`);
  drag.framed = dag.nodes().filter((node) => {
    const { x, y, width, height } = dag.place(node);
    return isBetween(x + width / 2, x1, x2) && isBetween(y + height / 2, y1, y2);
  });
}

function aimAt(element) {
  if (drag.aim === element) return;
  drag.aim?.classList.remove("pgf-target", "pgf-aim");
  drag.aim = element?.dataset.slug === drag.source && drag.source ? null : element;
  drag.aim?.classList.add(drag.aim.matches(".pgf-edge") ? "pgf-aim" : "pgf-target");
}

function onDown(event) {
  dag.forgetBox();
  if (event.button) return;
  const item = event.target.closest?.("#pgf-palette .pgf-function:not(.pgf-missing)");
  if (item && svg() && event.pointerType !== "touch")
    drag = { kind: "palette", item, x: event.clientX, y: event.clientY };
  if (!svg()?.contains(event.target) || event.target.closest(".pgf-tool")) return;
  touches.set(event.pointerId, event);
  if (touches.size > 1) return endDrag();
  const node = event.target.closest(".pgf-node");
  if (state.mode) dag.leaveMode();
  if (event.target.closest(".pgf-out") && dag.isEditable()) {
    drag = startConnecting(node);
    svg().setPointerCapture(event.pointerId);
  } else {
    const edge = event.target.closest(".pgf-edge");
    const kind = event.shiftKey && !node ? "frame" : "pan";
    drag = { kind, x: event.clientX, y: event.clientY, node, edge, from: toWorld(event) };
  }
}

function pinch(event, last) {
  const other = [...touches].find(([id]) => id !== event.pointerId)[1];
  const reach = ({ clientX, clientY }) =>
    Math.hypot(clientX - other.clientX, clientY - other.clientY);
  const { left, top } = dag.box();
  const x = (event.clientX + other.clientX) / 2 - left;
  const y = (event.clientY + other.clientY) / 2 - top;
  if (reach(last)) dag.zoomBy(reach(event) / reach(last), x, y);
  dag.moveBy((event.clientX - last.clientX) / 2, (event.clientY - last.clientY) / 2);
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
  drag.isMoving = true;
  if (drag.kind === "frame") return frame(event);
  Object.assign(drag, { x: event.clientX, y: event.clientY });
  svg().classList.add("pgf-panning");
  dag.moveBy(dx, dy);
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
    if (target?.matches(".pgf-edge")) dag.insertOn(target.dataset, done.item.dataset.function);
    else if (onCanvas) dag.addStep(done.item.dataset.function, target?.dataset.slug ?? "");
  } else if (done.kind === "connect") {
    const slug = under(event, ".pgf-node")?.dataset.slug;
    if (slug && slug !== done.source) dag.connect(done.source, slug);
    else if (slug) dag.select(slug);
    else if (onCanvas)
      dag.pick(text("textAfter", { step: done.source }), (uses) => dag.addStep(uses, done.source));
  } else if (done.framed) dag.selectAll(done.framed.map((node) => node.dataset.slug));
  else if (done.isMoving) return;
  else if (event.shiftKey && done.node) toggle(done.node.dataset.slug);
  else if (done.edge) dag.selectEdge(done.edge.dataset);
  else dag.select(done.node?.dataset.slug);
}

function toggle(slug) {
  const others = state.chosen.filter((step) => step !== slug);
  dag.selectAll(state.chosen.includes(slug) ? others : [...others, slug]);
}

function endDrag() {
  drag?.ghost?.remove();
  drag = null;
  svg()?.classList.remove("pgf-panning");
  $("#pgf-rubber")?.removeAttribute("d");
  dag.clearAims();
}

function showTools(event) {
  const tools = $("#pgf-edge-tools");
  if (!tools || event.pointerType === "touch") return;
  const hovered = event.target.closest?.(".pgf-edge");
  if (hovered) {
    const line = $(".pgf-line", hovered),
      middle = line.getPointAtLength(line.getTotalLength() / 2);
    tools.setAttribute(
      "transform",
      `translate(${middle.x} ${middle.y}) scale(${Math.max(1, 0.75 / dag.view.scale)})`,
    );
    const { source, target } = hovered.dataset;
    Object.assign(tools.dataset, { source, target });
  }
  const isNear = hovered || event.target.closest?.("#pgf-edge-tools");
  tools.classList.toggle("pgf-shown", Boolean(isNear));
}

function onWheel(event) {
  if (!svg()?.contains(event.target)) return;
  event.preventDefault();
  dag.forgetBox();
  const { left, top } = dag.box();
  const isNotch = !event.deltaX && Math.abs(event.deltaY) >= 100; // of a mouse's wheel
  if (event.ctrlKey || event.metaKey || isNotch)
    dag.zoomBy(
      Math.exp(-event.deltaY * (event.ctrlKey && !isNotch ? 0.01 : 0.0016)),
      event.clientX - left,
      event.clientY - top,
    );
  else dag.moveBy(-event.deltaX, -event.deltaY);
}

const ACTS = {
  "zoom-in": () => dag.zoomBy(1.25),
  "zoom-out": () => dag.zoomBy(0.8),
  fit: () => dag.fit(),
  copy: () => document.execCommand("copy"),
  keys: () => $("#pgf-keys").showModal(),
  close: (element) =>
    element.closest("dialog") ? element.closest("dialog").close() : dag.select(""),
  dismiss: (element) => element.closest(".pgf-toast, .pgf-banner").remove(),
  retry: () => dag.retry(),
  add: dag.openPick,
  insert: () => dag.insert({ ...$("#pgf-edge-tools").dataset }),
  cut: () => dag.cut($("#pgf-edge-tools").dataset),
  direction: (element) => {
    for (const each of $$("[data-act=direction]")) each.ariaPressed = each === element;
    dag.remember(element.dataset.value);
    dag.refresh();
  },
};

function onClick(event) {
  const target = event.target.closest("[data-act], [data-select], .pgf-function");
  for (const menu of $$("details.pgf-menu[open]"))
    if (!menu.contains(event.target) || target) menu.open = false;
  if (!target) return;
  if (target.matches(".pgf-function")) {
    if (target.dataset.dragged || target.matches(".pgf-missing") || !dag.isEditable()) return;
    event.preventDefault();
    return dag.choose(target);
  }
  if (target.dataset.act) return ACTS[target.dataset.act]?.(target);
  if (event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  dag.select(target.dataset.select);
}

function onMap(event) {
  const map = event.currentTarget,
    at = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
  dag.moveBy(
    dag.box().width / 2 - at.x * dag.view.scale - dag.view.x,
    dag.box().height / 2 - at.y * dag.view.scale - dag.view.y,
  );
}

on("click", onClick);
on("pointerdown", onDown);
on("mousedown", (event) => drag && event.shiftKey && event.preventDefault()); // the focus
on("pointermove", onMove);
on("pointerup", onUp);
on("pointercancel", onUp);
on("wheel", onWheel, { passive: false });
$("#pgf-minimap")?.addEventListener("pointerdown", onMap);
