// Comforts of every page; each page works without them.

// Times in the viewer's zone, with UTC as the tooltip.
const today = new Date().toDateString();
const local = (element) => {
  const at = new Date(element.dateTime);
  if (Number.isNaN(at.getTime())) return;
  element.title = element.textContent.replace(/(:\d\d)$/, "$1 UTC");
  if (element.classList.contains("clock")) {
    element.textContent = at.toLocaleTimeString(undefined, { timeStyle: "short" });
    return;
  }
  const time = at.toLocaleTimeString(undefined, { timeStyle: "medium" });
  const date = at.toDateString() === today ? "" : `${at.toLocaleDateString(undefined, { dateStyle: "medium" })} `;
  element.textContent = date + time;
};
for (const element of document.querySelectorAll("time[datetime]")) local(element);
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
for (const element of document.querySelectorAll("[data-zone]")) {
  if (!["UTC", "Etc/UTC"].includes(zone)) element.textContent = ` · Times are in ${zone}; point at one for UTC`;
}

// The numbers of a chart's steps, at the pointer.
for (const chart of document.querySelectorAll("[data-steps]")) {
  const { from, step, of, steps, names, none } = chart.dataset;
  const counts = new Map(steps.split(";").map((one) => one.split(":")));
  const svg = chart.querySelector("svg");
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  chart.append(tip);
  const face = (at) => at.toLocaleTimeString(undefined, { timeStyle: "short" });
  svg.addEventListener("pointermove", (event) => {
    const { left, width } = svg.getBoundingClientRect();
    const index = Math.min(Math.floor((event.clientX - left) / width * of), of - 1);
    const at = new Date(Date.parse(from) + index * step * 1000);
    const found = counts.get(String(index));
    const numbers = (found ?? "").split(",");
    const words = names?.split(",").map((name, place) => `${Number(numbers[place] ?? 0).toLocaleString()} ${name}`);
    // A chart without names has its words already.
    const until = new Date(at.getTime() + step * 1000);
    tip.textContent = `${face(at)} – ${face(until)}: ${words?.join(", ") ?? found ?? none}`;
    tip.hidden = false;
    const most = chart.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(event.clientX - left - tip.offsetWidth / 2, most))}px`;
  });
  svg.addEventListener("pointerleave", () => { tip.hidden = true; });
}

// What an action has said is not said again by a reload.
const withoutNotice = () => location.pathname + location.search.replace(/([?&])done=[a-z-]*&?/, "$1").replace(/[?&]$/, "");
if (location.search.includes("done=")) history.replaceState(null, "", withoutNotice() + location.hash);

// Buttons that copy a text.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  }
}

// Pages about something that is under way.
for (const element of document.querySelectorAll("[data-refresh]")) {
  const busy = () => document.hidden || ["INPUT", "TEXTAREA", "SELECT"].includes(document.activeElement?.tagName);
  setInterval(() => { if (!busy()) location.replace(withoutNotice()); },
    Number(element.dataset.refresh) * 1000);
}
