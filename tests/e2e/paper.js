// Returns what is wrong with the page on paper, as sentences: see test_crawl.py.
() => {
  const controls = "button, input, select, textarea, .pgf-menu, .pgf-button";
  const shown = [...document.querySelectorAll(controls)].filter((one) => one.checkVisibility());
  const sheet = document.querySelector("#pgf-stage")?.getBoundingClientRect();
  const cut = [...document.querySelectorAll("#pgf-dag .pgf-card")].filter((card) => {
    const { left, top, right, bottom } = card.getBoundingClientRect();
    return left < sheet.left || top < sheet.top || right > sheet.right || bottom > sheet.bottom;
  });
  const { scrollWidth, clientWidth } = document.documentElement;
  return [
    ...shown.map((element) => `a control: ${element.outerHTML.slice(0, 120)}`),
    ...cut.map((card) => `cut off: ${card.parentElement.id}`),
    ...(scrollWidth > clientWidth ? [`${scrollWidth - clientWidth} px too wide`] : []),
  ];
};
