// Times that run out: what a server said when it answered, counted down until it is asked again.
const EVERY = 1000;

setInterval(() => {
  for (const one of document.querySelectorAll("[data-countdown]")) {
    const left = Math.max(0, Number(one.dataset.countdown) - EVERY / 1000);
    one.dataset.countdown = String(left);
    one.textContent = left > 0 ? `${Math.round(left)} s` : "over, unless it was renewed";
  }
}, EVERY);
