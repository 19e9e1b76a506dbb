// Every piece of text and every meaning-carrying shape that can be seen, against what is behind it:
// the ones that WCAG 2.1 AA (1.4.3, 1.4.11) would object to.
() => {
  const channels = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const linear = (level) => (level <= 0.04045 ? level / 12.92 : ((level + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ratio = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = channels(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const least = (style) => {
    const size = Number.parseFloat(style.fontSize);
    return size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  };
  const found = [];
  const check = (element, colour, wanted, what) => {
    const got = ratio(channels(colour), behind(element));
    if (got < wanted) found.push(`${what}: ${got.toFixed(2)} of ${wanted}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    texts += 1;
    const inDrawing = element.namespaceURI.endsWith("svg");
    check(element, inDrawing ? style.fill : style.color, least(style), walker.currentNode.data.trim().slice(0, 40));
  }
  for (const shape of document.querySelectorAll(".bar path, .distribution path:not(.grid), .sample path")) {
    const style = getComputedStyle(shape);
    if (!shape.checkVisibility()) continue;
    check(shape, style.stroke === "none" ? style.fill : style.stroke, 3, `shape ${shape.getAttribute("class") ?? "of a bar"}`);
  }
  for (const control of document.querySelectorAll("input:not([type=checkbox]), select, button")) {
    if (control.checkVisibility()) check(control.parentElement, getComputedStyle(control).borderTopColor, 3, `edge of ${control.id}`);
  }
  return { found: [...new Set(found)], texts };
}
