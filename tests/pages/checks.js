// What can be wrong with a page, as a browser shows it. Each function returns the complaints as sentences.
(() => {
  const shown = element => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true, contentVisibilityAuto: true });
  const said = element => `<${element.localName}${element.className?.length ? "." + element.className : ""}> ${(element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 60)}`;
  const hidden = element => element.closest(".unseen, .skip");
  const all = () => [...document.body.querySelectorAll("*")].filter(element => shown(element) && !hidden(element));

  // Nothing reaches beyond the window, and nothing has more in it than it shows.
  const cutOff = () => {
    const width = document.documentElement.clientWidth, found = [];
    if (document.scrollingElement.scrollWidth > width) found.push(`the page is ${document.scrollingElement.scrollWidth} pixels wide in a window of ${width}`);
    for (const element of all()) {
      const box = element.getBoundingClientRect();
      if (box.width && (box.right > width + 1 || box.left < -1)) found.push(`${said(element)} reaches from ${box.left} to ${box.right} in a window of ${width}`);
      const inline = getComputedStyle(element).display.startsWith("inline");
      if (!inline && !element.ownerSVGElement && element.localName !== "svg" && element.scrollWidth > element.clientWidth + 1)
        found.push(`${said(element)} is ${element.scrollWidth} pixels wide in a box of ${element.clientWidth}`);
    }
    return found;
  };

  // Drawings stay within their own sheet, and no two texts of one lie on one another.
  const drawings = () => {
    const found = [];
    for (const svg of document.querySelectorAll("main svg[role=img]")) {
      if (!shown(svg)) continue;
      const sheet = svg.getBoundingClientRect();
      const texts = [...svg.querySelectorAll("text")].map(text => [text, text.getBoundingClientRect()]);
      for (const [text, box] of texts)
        if (box.left < sheet.left - 2 || box.right > sheet.right + 2 || box.top < sheet.top - 2 || box.bottom > sheet.bottom + 2) found.push(`${said(text)} lies beyond its drawing, ${svg.querySelector("title").textContent}`);
      for (let one = 0; one < texts.length; one++)
        for (let other = one + 1; other < texts.length; other++) {
          const [a, b] = [texts[one][1], texts[other][1]];
          const across = Math.min(a.right, b.right) - Math.max(a.left, b.left), down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
          if (across > 1.5 && down > 0.4 * Math.min(a.height, b.height)) found.push(`${said(texts[one][0])} and ${said(texts[other][0])} lie on one another`);
        }
    }
    return found;
  };

  // No text of a drawing is smaller than so many pixels.
  const small = least => {
    const found = [];
    for (const text of document.querySelectorAll("svg text")) {
      if (!shown(text)) continue;
      const matrix = text.getScreenCTM(), size = parseFloat(getComputedStyle(text).fontSize) * Math.hypot(matrix.a, matrix.b);
      if (size < least) found.push(`${said(text)} is ${size.toFixed(1)} pixels high`);
    }
    return found;
  };

  const colour = text => {
    const canvas = colour.canvas ??= new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((part, place) => a * part + (1 - a) * below[place]);
  const luminance = parts => {
    const [r, g, b] = parts.map(part => part / 255).map(part => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const paper = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(colour(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255]);
  };
  // What a text of a drawing lies on: the filled shapes painted before it that hold its middle.
  const painted = text => {
    const box = text.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
    let below = paper(text.ownerSVGElement);
    for (const shape of text.ownerSVGElement.querySelectorAll("path, rect, circle, ellipse, polygon")) {
      if (!(shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING)) break;
      const style = getComputedStyle(shape), at = new DOMPoint(x, y).matrixTransform(shape.getScreenCTM().inverse());
      if (shape.closest("defs") || style.fill === "none" || !shape.isPointInFill(at)) continue;
      const [r, g, b, a] = colour(style.fill);
      below = over([r, g, b, a * parseFloat(style.fillOpacity) * parseFloat(style.opacity)], below);
    }
    return below;
  };

  // Every text stands out from what is behind it.
  const faint = least => {
    const found = [];
    for (const element of all()) {
      const drawn = element.localName === "text" || element.localName === "tspan";
      const own = [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
      if (!own || element.closest("title, desc")) continue;
      const style = getComputedStyle(element), ink = drawn ? style.fill : style.color;
      const below = drawn ? painted(element.closest("text")) : paper(element);
      const measured = contrast(over(colour(ink), below), below);
      if (measured < least) found.push(`${said(element)} has a contrast of ${measured.toFixed(2)}`);
    }
    return found;
  };

  // No shape of a drawing is black where the page is dark.
  const unseen = () => [...document.querySelectorAll("svg[role=img] :is(path, line, polygon, use, text)")]
    .filter(shape => shown(shape) && !shape.closest("defs"))
    .filter(shape => [getComputedStyle(shape).fill, getComputedStyle(shape).stroke].includes("rgb(0, 0, 0)"))
    .map(shape => `${said(shape)} is black: ${shape.outerHTML.slice(0, 120)}`);

  // No link leads nowhere.
  const astray = () => {
    const found = [];
    for (const link of document.querySelectorAll("a")) {
      const target = link.getAttribute("href") ?? "";
      if (target.startsWith("#") ? !document.getElementById(decodeURIComponent(target.slice(1))) : !(URL.canParse(target) && /^https?:$/.test(new URL(target).protocol) && new URL(target).hostname.includes(".")))
        found.push(`${said(link)} leads to ${target || "nothing"}`);
    }
    return found;
  };

  // Nothing is an empty box.
  const empty = () => [...document.querySelectorAll("main section, main figure, main p, main pre, main li, main div, details")]
    .filter(element => shown(element) && !element.textContent.trim() && !element.querySelector("svg, img, math"))
    .map(said);

  const letters = () => [...new Set(document.documentElement.innerText)].filter(letter => letter.codePointAt(0) > 126).join("");
  const summaries = () => [...document.querySelectorAll("summary")].filter(shown).length;
  const closed = () => [...document.querySelectorAll("details")].filter(details => !details.open).length;
  const focused = () => document.activeElement?.localName === "summary" ? [...document.querySelectorAll("summary")].indexOf(document.activeElement) : -1;
  const openAll = () => document.querySelectorAll("details").forEach(details => { details.open = true; });
  const unprinted = () => [...document.querySelectorAll("details > :not(summary)")].filter(element => !shown(element)).map(said);
  window.checks = { cutOff, drawings, small, faint, unseen, astray, empty, letters, summaries, closed, focused, openAll, unprinted };
})();
