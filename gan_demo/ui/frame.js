/* The page in a frame of huggingface.co's, as a Space stands there: the address bar is that page's, and so is the height
   of the window. */
"use strict";

Object.assign(gan, (() => {
  const HOST = "https://huggingface.co";
  const LEAST = 320; // pixels
  const NOT_ITS = /^(__|view$)/; // such as __theme, and __sign: the key of one visitor to a private Space

  /* Put the state's part of an address into the bar that a person copies links from. */
  function tellFrame(search) {
    if (window.parent === window) return;
    const query = new URLSearchParams(search);
    for (const name of [...query.keys()]) if (NOT_ITS.test(name)) query.delete(name);
    window.parent.postMessage({ queryString: query.toString(), hash: "" }, HOST);
  }

  /* The frame is made as tall as the page, so `vh` would be a share of the page itself, and the stage taller than the
     window: --vh is a hundredth of what can be seen at once below the top of the frame. */
  let width = -1; // for which it was asked; the host goes on to tell of its own scrolling and resizing
  function measure() {
    if (!window.parentIFrame || innerWidth === width) return;
    width = innerWidth;
    window.parentIFrame.getPageInfo(({ clientHeight, offsetTop }) => {
      const seen = Math.max(LEAST, clientHeight - (offsetTop < clientHeight / 2 ? offsetTop : 0));
      document.documentElement.style.setProperty("--vh", `${seen / 100}px`);
    });
  }

  // Gradio's toasts ask too, and end what was asked when they go: so once more where the window is another.
  for (const kind of ["gradio:iframe-resizer-ready", "resize"]) addEventListener(kind, measure);
  measure();

  return { tellFrame };
})());
