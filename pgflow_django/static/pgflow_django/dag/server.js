const dag = pgflowDag;
const { $, $$, root, svg, state, on } = dag;

const PRESENCE_PAUSE = 10_000,
  TOAST_PAUSE = 7000; // milliseconds

const bar = () => $("#pgf-bar");
let hadFocus = false;

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
  if (active !== document.activeElement && old.contains(active)) dag.focusOn(active);
}

function save(field) {
  const form = field.form,
    all = new FormData(form),
    values = { step: all.get("step") ?? "" };
  field.ariaInvalid = null;
  values[field.name] =
    field.name === "depends_on" ? ["", ...all.getAll("depends_on")] : (all.get(field.name) ?? "");
  return dag.send(form.dataset.op, values);
}

function readForm(form, submitter) {
  const values = {};
  for (const [name, value] of new FormData(form, submitter)) (values[name] ??= []).push(value);
  return values;
}

function onSubmit(event) {
  const form = event.target;
  if (!form.matches("form[data-op-form]")) return;
  event.preventDefault();
  if (form.matches(".pgf-autosave")) return;
  const question = event.submitter?.dataset.confirm;
  if (question && !confirm(question)) return;
  const values = readForm(form, event.submitter),
    [op] = values.op ?? [""];
  if (form.dataset.version) bar().dataset.version = form.dataset.version;
  if (op === "publish") return dag.send(op, {}, form.action, { swap: "none" });
  for (const name of ["op", "version", "view", "selected", "csrfmiddlewaretoken"])
    delete values[name];
  dag.send(op, values);
}

function onChange(event) {
  const { form } = event.target;
  if (form?.matches(".pgf-autosave")) save(event.target);
  if (event.target.matches("#pgf-list [name=step]"))
    dag.selectAll($$("#pgf-list [name=step]:checked").map((box) => box.value));
}

function showAnswer() {
  dag.showView();
  dag.mark();
  const toast = $(".pgf-toast:not(.pgf-error)");
  if (toast) setTimeout(() => toast.remove(), TOAST_PAUSE);
  for (const item of $$("#pgf-palette .pgf-used"))
    item.hidden = !bar().dataset.uses.split(" ").includes(item.parentElement.dataset.function);
  for (const field of $$("#pgf-panel [aria-describedby]")) {
    const ids = field.getAttribute("aria-describedby").split(" ");
    const errors = ids.map((id) => $(`[id="${id}"].pgf-field-error:not([hidden])`));
    field.ariaInvalid = errors.some(Boolean) ? "true" : null;
  }
}

function showSheet(isWanted) {
  const panel = $("#pgf-panel"),
    isSheet = Boolean(isWanted && dag.isPhone() && state.selected);
  if (!panel) return;
  panel.classList.toggle("pgf-sheet", isSheet);
  panel.role = isSheet ? "dialog" : "complementary";
  return isSheet;
}

function onEdited(event) {
  const { steps } = event.detail,
    active = document.activeElement;
  const isTyping = dag.isTyping({ target: active }) && !active.closest("#pgf-palette");
  const isLost = hadFocus && active === document.body;
  $("#pgf-add-form")?.reset();
  dag.selectAll(steps, { panel: false, focus: false });
  showSheet($("#pgf-panel").contains(active));
  requestAnimationFrame(() =>
    setTimeout(() => {
      performance.mark("pgf-edited"); // painted: before the focus
      if (document.activeElement !== active && document.activeElement !== document.body) return;
      if (svg() && ((steps[0] && !isTyping) || isLost))
        dag.focusOn($(".pgf-node[tabindex='0']", svg()));
    }),
  );
}

const isEdit = (event) => (event.detail.requestConfig ?? event.detail).parameters?.op;

/** Send what was not saved, with the token of the session that there is now. */
async function retry() {
  await dag.openPanel();
  for (const again of state.unsaved.splice(0)) again();
}

const ANSWERS = {
  configRequest: (event) => {
    const token = $("#pgf-panel [name=csrfmiddlewaretoken]");
    if (token) event.detail.headers["X-CSRFToken"] = token.value;
    if (isEdit(event)) event.detail.parameters.version = bar().dataset.version;
    if (event.detail.elt.matches("[data-follow]")) event.detail.parameters.step = dag.chosenNames();
  },
  beforeRequest: (event) => root.classList.toggle("pgf-saving", Boolean(isEdit(event))),
  afterRequest: (event) => {
    root.classList.remove("pgf-saving");
    const { successful } = event.detail;
    if (successful && isEdit(event) === "save_inputs") $("#pgf-input-form")?.reset();
    const again = isEdit(event) && state.sent.shift();
    if (again && !successful) state.unsaved.push(again);
    $("#pgf-offline")?.toggleAttribute("hidden", successful && !state.unsaved.length);
  },
  beforeSwap: () => {
    const active = document.activeElement;
    hadFocus = Boolean(svg()?.contains(active));
    if (globalThis.Idiomorph)
      Idiomorph.defaults.ignoreActiveValue = active.matches(
        "textarea, input:not([type=checkbox], [type=radio])",
      );
  },
  afterSwap: ({ detail: { target, requestConfig } }) => {
    if (target?.id === "pgf-panel" && requestConfig.elt === target && showSheet(true))
      dag.focusOn(target);
    if (state.mode && target?.id === "pgf-dag") dag.leaveMode();
    showAnswer();
  },
};

function beat() {
  const presence = $("#pgf-presence");
  if (presence && !document.hidden)
    dag.request("POST", root.dataset.presenceUrl, { source: presence, swap: "none" });
}

function start() {
  htmx.defineExtension("pgf", {
    handleSwap(style, target, fragment) {
      const fresh = style === "drawing" && $("#pgf-dag", fragment);
      if (fresh) syncDrawing(target, fresh);
      return fresh ? [] : false; // nothing in it is htmx's
    },
  });
  if (root.dataset.smallUrl && innerWidth < 480 && !location.search.includes("view="))
    return location.replace(root.dataset.smallUrl);
  for (const [name, handler] of Object.entries(ANSWERS)) on(`htmx:${name}`, handler);
  on("pgflow:edited", onEdited);
  on("pgflow:found", ({ detail }) =>
    dag.select(detail.step, { focus: false, panel: !dag.isPhone() }),
  );
  on("submit", onSubmit);
  on("change", onChange);
  addEventListener("online", () => {
    if (state.unsaved.length) retry();
  });
  state.chosen = root.dataset.selected?.split(" ").filter(Boolean) ?? [];
  if (root.dataset.direction) {
    const isKnown = document.cookie.includes("pgf_view=");
    dag.remember(root.dataset.direction);
    if (!isKnown && dag.isPhone()) dag.refresh();
  }
  showAnswer();
  if (root.dataset.presenceUrl) {
    beat();
    setInterval(beat, PRESENCE_PAUSE);
  }
  root.dataset.ready = "1";
  requestAnimationFrame(() => performance.mark("pgf-ready"));
}

/** Whether a field of the step that is shown was refused or is not sent yet; or its error. */
function isUnsaved(node) {
  const field = node.matches?.(".pgf-field-error") ? $(`[aria-describedby~="${node.id}"]`) : node,
    { form } = field ?? {};
  if (!form || (form.elements.step?.value ?? "") !== (state.selected ?? "")) return false;
  return field.ariaInvalid || (form.id === "pgf-input-form" && node.id && node.value);
}

if (globalThis.Idiomorph)
  Object.assign(Idiomorph.defaults.callbacks, {
    beforeAttributeUpdated: (name, node) =>
      name !== "open" && name !== "style" && node.id !== "pgf-panel",
    beforeNodeMorphed: (node) => !isUnsaved(node) && !(node.matches?.("[data-keep]") && node.value),
  });

Object.assign(pgflowDag, { retry, showSheet, sync });
if (root) start();
