"use strict";
// Without this script everything is still there: it opens the page a link leads to, and searches.
function targetOf(hash) {
  try {
    return document.getElementById(decodeURIComponent(hash.slice(1)));
  } catch {
    return null; // no UTF-8: an address cut off in the middle of a character
  }
}
function openTarget() {
  const target = location.hash && targetOf(location.hash);
  if (target && target.tagName === "DETAILS") {
    target.hidden = false;
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  }
}
window.addEventListener("hashchange", openTarget);
openTarget();
for (const box of document.querySelectorAll("input[type=search]")) {
  const list = document.getElementById(box.getAttribute("aria-controls"));
  const count = document.getElementById(box.getAttribute("aria-describedby"));
  const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const pages = [...list.querySelectorAll("details")].map((page) => [page, fold(page.textContent)]);
  box.addEventListener("input", () => {
    const words = fold(box.value).split(/\s+/).filter(Boolean);
    let found = 0;
    for (const [page, text] of pages) {
      page.hidden = !words.every((word) => text.includes(word));
      found += page.hidden ? 0 : 1;
    }
    count.textContent = `${found} of ${pages.length} pages`;
  });
}
document.addEventListener("keydown", (event) => {
  const box = document.querySelector("input[type=search]");
  if (event.key === "/" && box && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    box.focus();
  }
});
