const dag = pgflowDag;
const { $, svg, text, state, on } = dag;

const MODES = {
  connect: { told: "textConnect", none: "textNoTarget" },
  cut: { told: "textCut", none: "textNoEdge", keys: "textCutKeys" },
  insert: { told: "textInsertMode", none: "textNoEdge", keys: "textInsertKeys" },
};

function say(message) {
  const line = $("#pgf-mode");
  line.textContent = message;
  line.hidden = !message;
}

function enterMode(kind) {
  const node = dag.find(state.selected);
  if (!node || !dag.isEditable()) return;
  const choices = kind === "connect" ? dag.fade(state.selected) : findEdges(node, kind);
  if (kind === "insert" && choices.length === 1) return dag.insert(choices[0].dataset);
  state.mode = { kind, source: state.selected, choices, index: -1 };
  const { told, none } = MODES[kind];
  say(text(choices.length ? told : none, { step: state.selected }));
  if (choices.length) aim(1);
}

function findEdges(node, kind) {
  const out = dag
    .waiters(state.selected)
    .map((other) => dag.edgeOf(state.selected, other.dataset.slug));
  const into =
    kind === "cut" ? dag.needs(node).map((slug) => dag.edgeOf(slug, state.selected)) : [];
  return [...out, ...into].filter(Boolean);
}

function aim(by) {
  const { choices, kind } = state.mode;
  if (!choices.length) return;
  choices[state.mode.index]?.classList.remove("pgf-aim", "pgf-target");
  state.mode.index = (state.mode.index + by + choices.length) % choices.length;
  const chosen = choices[state.mode.index];
  chosen.classList.add(kind === "connect" ? "pgf-target" : "pgf-aim");
  if (kind === "connect") {
    chosen.setAttribute("tabindex", "0");
    dag.focusOn(chosen);
    dag.reveal(chosen);
  } else say(`${chosen.dataset.source} → ${chosen.dataset.target} · ` + text(MODES[kind].keys));
}

function leaveMode() {
  dag.clearAims();
  state.mode = null;
  say("");
}

function keyInMode(event) {
  const { kind, source, choices, index } = state.mode,
    chosen = choices[index];
  if (["ArrowRight", "ArrowDown"].includes(event.key)) aim(1);
  else if (["ArrowLeft", "ArrowUp"].includes(event.key)) aim(-1);
  else if (["Enter", " ", "Delete"].includes(event.key) && chosen) {
    leaveMode();
    if (kind === "connect") {
      dag.focusOn(dag.find(source));
      dag.connect(source, chosen.dataset.slug);
    } else if (kind === "cut") dag.cut(chosen.dataset);
    else dag.insert(chosen.dataset);
  } else if (event.key === "Escape" || event.key === "Tab") {
    leaveMode();
    dag.select(source, { panel: false });
  } else return;
  event.preventDefault();
}

function walk({ key, shiftKey }) {
  const here = dag.find(state.selected);
  if (!here) return dag.select($(".pgf-node", svg())?.dataset.slug, { panel: false });
  const along = dag.isDownwards() ? ["ArrowUp", "ArrowDown"] : ["ArrowLeft", "ArrowRight"];
  const centre = (node) => {
    const card = dag.place(node);
    return dag.isDownwards() ? card.x + card.width / 2 : card.y + card.height / 2;
  };
  let next;
  if (along.includes(key)) {
    const choices =
      key === along[1]
        ? dag.waiters(state.selected)
        : dag.needs(here).map(dag.find).filter(Boolean);
    const distance = (node) => Math.abs(centre(node) - centre(here));
    next = choices.sort((one, other) => distance(one) - distance(other))[0];
  } else {
    const row = dag.nodes().filter((node) => node.dataset.rank === here.dataset.rank);
    next = row[row.indexOf(here) + (key === "ArrowDown" || key === "ArrowRight" ? 1 : -1)];
  }
  if (!next) return;
  // Shift: it grows, and shrinks on the way back.
  const { slug } = next.dataset,
    before = state.chosen.filter((step) => step !== slug);
  if (before.length < state.chosen.length) before.pop();
  dag.selectAll([...(shiftKey ? before : []), slug], { later: true, panel: !dag.isPhone() });
}

const press = (selector) => $(selector)?.click();

const changeChosen = (op, values) =>
  state.selected && dag.send(op, { step: dag.chosenNames(), ...values });

const toggleMap = () => {
  const isMap = dag.find(state.selected)?.classList.contains("pgf-map");
  changeChosen("update_step", { type: isMap ? "single" : "map" });
};
async function rename() {
  if (!state.selected) return;
  await dag.openPanel();
  const field = $("#pgf-panel [name=slug]");
  field?.focus();
  field?.select();
}

const EDIT_KEYS = {
  a: dag.openPick,
  c: () => enterMode("connect"),
  x: () => enterMode("cut"),
  i: () => (state.edge ? dag.insert(state.edge) : enterMode("insert")),
  m: toggleMap,
  d: () => changeChosen("duplicate"),
  Delete: dag.remove,
  Backspace: dag.remove,
  F2: rename,
};
const KEYS = {
  "+": () => dag.zoomBy(1.25),
  "=": () => dag.zoomBy(1.25),
  "-": () => dag.zoomBy(0.8),
  0: () => dag.fit(),
  "/": () => $("#pgf-find")?.select(),
  f: () => $("#pgf-search")?.focus(),
  l: () => press("[data-view-link]:not([aria-current])"),
  p: () => {
    const list = $(".pgf-problems");
    if (!list) return;
    list.open = !list.open;
    $("summary", list).focus();
  },
  r: () => press("#pgf-run"),
  "?": () => $("#pgf-keys")?.showModal(),
  Home: () => dag.select(dag.nodes()[0]?.dataset.slug, { panel: false }),
  End: () => dag.select(dag.nodes().at(-1)?.dataset.slug, { panel: false }),
};

function leave(onCanvas) {
  const menu = $("details.pgf-menu[open]");
  if (menu) {
    menu.open = false;
    $("summary", menu).focus();
  } else if (onCanvas) dag.select("");
  else {
    dag.showSheet();
    dag.focusOn($("#pgf-list [aria-current] a, .pgf-node[tabindex='0']"));
  }
}

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
  const isItem = event.target.matches?.(".pgf-function");
  if (list && !isCommand && (isItem || event.target.matches("input")))
    if (["ArrowDown", "ArrowUp"].includes(key) || (key === "Enter" && !isItem))
      return dag.moveInList(event, list);
  const onCanvas = svg() && (event.target === document.body || svg().contains(event.target));
  if (key === "Escape" && !state.mode && !event.target.closest?.("dialog")) return leave(onCanvas);
  if (dag.isTyping(event)) {
    if (event.target.id === "pgf-find" && key.startsWith("Arrow"))
      press(`.pgf-find [value="${key}"]`);
    return;
  }
  if (isCommand && (key === "z" || key === "y")) {
    event.preventDefault();
    return press(event.shiftKey || key === "y" ? "#pgf-redo" : "#pgf-undo");
  }
  if (isCommand && key === "a" && onCanvas) {
    event.preventDefault();
    return dag.selectAll(dag.nodes().map((node) => node.dataset.slug));
  }
  if (isCommand || event.altKey) return;
  if (state.mode) return keyInMode(event);
  if (key.length === 1 && /[a-z]/.test(key) && lettersAreOff()) return;
  if (onCanvas && key.startsWith("Arrow")) walk(event);
  else if (onCanvas && event.target.closest(".pgf-node") && (key === "Enter" || key === " "))
    dag.select(event.target.closest(".pgf-node").dataset.slug);
  else if (dag.isEditable() && EDIT_KEYS[key] && (onCanvas || key !== "Backspace"))
    EDIT_KEYS[key]();
  else if (KEYS[key] && (svg() || "/flpr?".includes(key))) KEYS[key]();
  else return;
  event.preventDefault();
}

const letters = $("#pgf-letters");
if (letters) letters.checked = !lettersAreOff();
letters?.addEventListener("change", () =>
  localStorage.setItem("pgf-letters", letters.checked ? "on" : "off"),
);

on("keydown", onKey);

Object.assign(pgflowDag, { leaveMode });
