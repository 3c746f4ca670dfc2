const dag = pgflowDag;
const { $, $$, root, svg, text, state, on } = dag;

const isTyping = ({ target }) =>
  target.closest?.("input:not([name=step]), textarea, select, dialog");

const PANEL_PAUSE = 180; // milliseconds
let panelTimer = 0;

function mark() {
  const { chosen, selected, edge } = state;
  for (const step of $$(".pgf-node, #pgf-list tr[data-slug]", root)) {
    const { slug } = step.dataset,
      isChosen = chosen.includes(slug),
      box = $("input", step);
    step.classList.toggle("pgf-selected", isChosen);
    step.ariaCurrent = slug === selected || null;
    if (box) box.checked = isChosen;
    else step.ariaPressed = (isChosen && chosen.length > 1) || null;
    if (!box) step.setAttribute("tabindex", slug === selected ? "0" : "-1");
  }
  for (const link of $$("[data-view-link]"))
    link.search = link.search.replace(/(&step=.*)?$/, `&step=${chosen.slice(-50).join(" ")}`);
  if (!selected) $(".pgf-node", root)?.setAttribute("tabindex", "0");
  for (const line of $$(".pgf-edge", root))
    line.classList.toggle("pgf-selected", line.id === `pgf-edge-${edge?.source}-${edge?.target}`);
}

const select = (slug, options) => selectAll(slug ? [slug] : [], options);

function selectAll(slugs, { panel = true, focus = true, later = false } = {}) {
  state.chosen = slugs;
  state.edge = null;
  mark();
  const node = dag.find(state.selected);
  if (node && svg()?.contains(node)) {
    if (focus) dag.focusOn(node);
    dag.reveal(node);
  }
  $("#pgf-list [aria-current]")?.scrollIntoView({ block: "nearest" });
  clearTimeout(panelTimer);
  if (panel && later) panelTimer = setTimeout(openPanel, PANEL_PAUSE);
  else if (panel) return openPanel();
}

const chosenNames = () => state.chosen.join(" ");

function openPanel() {
  const target = $("#pgf-panel");
  clearTimeout(panelTimer);
  if (!target || !root.dataset.panelUrl) return;
  return dag.request(state.chosen[1] ? "POST" : "GET", root.dataset.panelUrl, {
    source: target,
    target,
    swap: "morph:innerHTML",
    values: { step: chosenNames(), view: root.dataset.view },
  });
}

function selectEdge({ source, target }) {
  state.chosen = [];
  state.edge = { source, target };
  mark();
}

function findImpossible(source) {
  const bySlug = new Map(dag.nodes().map((node) => [node.dataset.slug, node]));
  const impossible = new Set([source]);
  for (const slug of impossible)
    for (const before of dag.needs(bySlug.get(slug)))
      if (bySlug.has(before)) impossible.add(before);
  for (const [slug, node] of bySlug) {
    const before = dag.needs(node);
    if (before.includes(source) || (node.classList.contains("pgf-map") && before.length))
      impossible.add(slug);
  }
  return impossible;
}

function fade(source) {
  const impossible = findImpossible(source);
  for (const { classList, dataset } of dag.nodes())
    classList.toggle("pgf-no", impossible.has(dataset.slug) && dataset.slug !== source);
  return dag.nodes().filter((node) => !impossible.has(node.dataset.slug));
}

const AIMS = ["pgf-no", "pgf-target", "pgf-aim"];
const clearAims = () => $$(`.${AIMS.join(",.")}`, root).forEach((e) => e.classList.remove(...AIMS));

async function copy(event) {
  if (isTyping(event) || !state.selected || `${getSelection()}`) return;
  event.preventDefault();
  const names = chosenNames(),
    find = () => $(`#pgf-json[data-steps="${names}"]`)?.value;
  if (find()) event.clipboardData.setData("text/plain", find());
  else {
    await openPanel(); // it was about others yet
    if (!find() || names !== chosenNames()) return;
    await navigator.clipboard.writeText(find());
  }
  if (event.type === "cut" && dag.isEditable()) remove();
}

function paste(event) {
  const json = event.clipboardData.getData("text/plain");
  if (isTyping(event) || !dag.isEditable() || !json) return;
  event.preventDefault();
  send("paste", { text: json });
}

function send(op, values, url = root.dataset.opUrl, goal = dag.stage()) {
  state.sent.push(() => send(op, values, url, goal));
  return dag.request("POST", url, {
    source: root,
    ...goal,
    values: { ...values, op, view: root.dataset.view, selected: chosenNames() },
  });
}

function remove() {
  if (state.edge) return cut(state.edge);
  const node = dag.find(state.selected);
  if (!node) return;
  const next = dag.needs(node)[0] ?? dag.waiters(state.selected)[0]?.dataset.slug ?? "";
  return send("delete_step", { step: chosenNames(), next });
}

const addStep = (uses, after = chosenNames()) =>
  send("add_step", { uses, ...(after && { depends_on: after }) });
const connect = (source, target) => send("add_edge", { source, target });
const cut = ({ source, target }) => send("delete_edge", { source, target });
const insertOn = ({ source, target }, uses) => send("insert_on_edge", { source, target, uses });
const insert = (edge) => pick(text("textInsert", edge), (uses) => insertOn(edge, uses));

const openPick = () =>
  pick(state.selected ? text("textAfter", { step: chosenNames() }) : text("textAdd"), (uses) =>
    addStep(uses),
  );

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
  const items = $$(".pgf-function", list);
  for (const [index, item] of items.entries()) {
    const name = item.dataset.function.toLowerCase(),
      about = `${name} ${item.dataset.about}`;
    item.hidden = !words.every((word) => about.includes(word));
    const rank = [
      name === query,
      name.endsWith(`.${query}`),
      name.startsWith(query),
      name.includes(query),
      true,
    ].indexOf(true);
    item.place ??= index;
    item.rank = item.hidden || item.disabled ? 9e9 : item.place + (query ? rank * 1e4 : 0);
    item.id = `${list.id}-${item.place}`;
  }
  items.sort((one, other) => one.rank - other.rank);
  for (const item of items.map((each) => each.closest(".pgf-item") ?? each))
    item.parentElement.append(item);
  for (const item of items.toReversed())
    if (item.parentElement !== list) list.prepend(item.closest("section"));
  const best = items.find((item) => item.rank < 9e9);
  for (const item of items) item.toggleAttribute("data-best", item === best);
  input.setAttribute("aria-activedescendant", best?.id ?? "");
  list.scrollTo(0, 0);
  for (const section of $$("section", list))
    section.hidden = !$(".pgf-function:not([hidden])", section);
  const none = $(".pgf-none", list.parentElement);
  if (none) none.hidden = items.some((item) => !item.hidden);
}

function moveInList(event, list) {
  const shown = $$(".pgf-function", list).filter((item) => !item.hidden && !item.disabled);
  const index = shown.indexOf(document.activeElement);
  const by = event.key === "ArrowDown" ? 1 : -1;
  if (index < 0 && event.key === "Enter") $("[data-best]", list)?.click();
  else if (event.key.startsWith("Arrow")) (shown[Math.max(0, index + by)] ?? shown.at(-1))?.focus();
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

on("input", (event) => {
  if (event.target.matches("[aria-controls][type=search]")) filter(event.target);
});
on("copy", copy);
on("cut", copy);
on("paste", paste);
on("focusin", (event) => {
  const node = event.target.closest?.(".pgf-node");
  if (!node || state.mode || node.dataset.slug === state.selected) return;
  state.chosen = [node.dataset.slug];
  state.edge = null;
  mark();
});

Object.assign(pgflowDag, {
  mark,
  select,
  selectAll,
  chosenNames,
  isTyping,
  openPanel,
  selectEdge,
  fade,
  clearAims,
  send,
  remove,
  addStep,
  connect,
  cut,
  insertOn,
  insert,
  openPick,
  pick,
  moveInList,
  choose,
});
