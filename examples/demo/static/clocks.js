// Lets the clocks run between two page loads. Without it they show the moment the page was made.
"use strict";

const RING = 2 * Math.PI * 52;
const pad = (number) => String(number).padStart(2, "0");

function read(seconds) {
  const left = Math.max(0, Math.ceil(seconds));
  const days = Math.floor(left / 86400);
  const hours = Math.floor(left / 3600) % 24;
  if (days) return `${days} d ${hours} h`;
  const minutes = `${pad(Math.floor((left % 3600) / 60))}:${pad(left % 60)}`;
  return hours ? `${hours}:${minutes}` : minutes;
}

const clocks = [...document.querySelectorAll("figure[data-left]")].map((figure) => ({
  ends: performance.now() + figure.dataset.left * 1000,
  whole: Number(figure.dataset.whole),
  text: figure.querySelector("strong"),
  hand: figure.querySelector(".hand"),
}));

function tick() {
  for (const clock of clocks) {
    const left = Math.max(0, (clock.ends - performance.now()) / 1000);
    clock.text.textContent = read(left);
    clock.hand.setAttribute("stroke-dasharray", `${(left / clock.whole) * RING} ${RING}`);
  }
}

if (clocks.length) setInterval(tick, 250);

// The heartbeat has moved the idle clock, for this tab or another.
addEventListener("session-extended", ({ detail }) => {
  const left = [Math.min(detail.idle_left, detail.absolute_left), detail.absolute_left];
  clocks.forEach((clock, at) => (clock.ends = performance.now() + left[at] * 1000));
});
