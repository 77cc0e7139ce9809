// Before the first paint: light or dark, as this person chose; the machine's wish where nothing was chosen.
const chosen = localStorage.getItem("theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
