// Returns what is wrong with the page as sentences: see test_crawl.py.
() => {
  const faults = [];
  const name = (element) => {
    const text = (element.getAttribute("aria-label") ?? element.textContent).trim();
    const classes = element.getAttribute("class") ?? "";
    return `<${element.localName} id="${element.id}" class="${classes}"> ${text.slice(0, 40)}`;
  };

  // On a phone innerWidth grows with what is too wide.
  const room = document.documentElement.clientWidth;
  const over = document.documentElement.scrollWidth - room;
  if (over > 0) {
    faults.push(`the page is ${over} px too wide`);
    const wide = [...document.body.querySelectorAll("*")].filter(
      (element) => element.getBoundingClientRect().right > room + 0.5,
    );
    for (const element of wide.slice(0, 8)) faults.push(`too wide: ${name(element)}`);
  }

  const isShown = (element) =>
    element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) &&
    !element.closest(".pgf-hidden, .visually-hidden, #skip-to-content-link, .skip-to-content-link");

  // What is wider than its place covers what stands beside it, or is hidden there: a table that scrolls
  // sideways hides what can be done with a row.
  const scrolling = "pre, textarea, input, select, .pgf-palette-list";
  for (const element of document.querySelectorAll(".pgf, .pgf *, .results, .breadcrumbs")) {
    if (!isShown(element) || element.closest("svg") || element.matches(scrolling)) continue;
    const { overflowX, textOverflow, clipPath, display } = getComputedStyle(element);
    if (overflowX === "visible" && element.matches("tr, tbody, thead, table")) continue;
    if (element.querySelector(".pgf-menu[open]") || element.matches(".pgf-menu[open]")) continue;
    if (textOverflow === "ellipsis" || clipPath !== "none" || display === "inline") continue;
    const more = element.scrollWidth - element.clientWidth;
    if (more > 1) faults.push(`${more} px too much: ${name(element)}`);
  }

  // What lies above the page may cover it: it goes away again.
  const passing = ".pgf-menu-body, .pgf-toast, .pgf-sheet, .pgf-mode, dialog";
  const modal = document.querySelector("dialog[open]");
  const clickable =
    "a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button]";
  for (const element of (modal ?? document).querySelectorAll(clickable)) {
    if (!isShown(element) || element.closest("[aria-hidden=true]")) continue;
    element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    const shape = element.querySelector(".pgf-card") ?? element;
    const { left, top, width, height } = shape.getClientRects()[0] ?? {};
    if (!width || !height) continue;
    const [x, y] = [left + width / 2, top + height / 2];
    const isIn = x >= 0 && y >= 0 && x < innerWidth && y < innerHeight;
    // The drawing is moved with the mouse: what is not in sight can be brought there.
    const around = element.closest("#pgf-dag")?.parentElement.getBoundingClientRect();
    if (around && (x < around.left || x > around.right || y < around.top || y > around.bottom))
      continue;
    if (!isIn) {
      faults.push(`outside: ${name(element)}`);
      continue;
    }
    const hit = document.elementFromPoint(x, y);
    if (element.contains(hit) || hit?.closest("label")?.control === element) continue;
    const cover = hit?.closest(passing);
    if (cover && !cover.contains(element)) continue;
    if (around && !hit?.closest("#pgf-dag")) continue; // what floats above the drawing
    faults.push(`covered by ${hit ? name(hit) : "nothing"}: ${name(element)}`);
  }
  scrollTo(0, 0);
  return faults;
};
