"use strict";
// What is folded on the screen but belongs on paper is open while the page is printed.
addEventListener("beforeprint", () => document.querySelectorAll("details.paper").forEach((one) => (one.open = true)));
addEventListener("afterprint", () => document.querySelectorAll("details.paper").forEach((one) => (one.open = false)));
// Pointing at a curve, or walking along it with the arrow keys, says the values below it.
for (const svg of document.querySelectorAll("svg[data-points]")) {
  const data = JSON.parse(svg.dataset.points);
  const pointer = svg.querySelector(".pointer");
  const readout = svg.parentElement.querySelector(".readout");
  let place = data.x.length - 1;
  const show = (at) => {
    place = Math.max(0, Math.min(data.x.length - 1, at));
    const [line, dot] = pointer.children;
    line.setAttribute("x1", data.x[place]);
    line.setAttribute("x2", data.x[place]);
    dot.setAttribute("cx", data.x[place]);
    dot.setAttribute("cy", data.y[place]);
    pointer.classList.add("shown");
    readout.textContent = data.text[place];
  };
  const hide = () => pointer.classList.remove("shown");
  const follow = (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    let nearest = 0;
    data.x.forEach((left, at) => {
      if (Math.abs(left - x) < Math.abs(data.x[nearest] - x)) nearest = at;
    });
    show(nearest);
  };
  svg.addEventListener("pointermove", follow);
  svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("focus", () => show(place));
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    show(place + by);
  });
}
