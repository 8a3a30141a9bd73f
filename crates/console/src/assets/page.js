// Comforts of every page; each page works without them.

// Times in the viewer's zone; UTC stays as the tooltip.
const local = (element) => {
  const at = new Date(element.dateTime);
  if (!Number.isNaN(at.getTime())) {
    element.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  }
};
for (const element of document.querySelectorAll("time[datetime]")) local(element);
for (const element of document.querySelectorAll("[data-zone]")) {
  element.textContent = ` · Times are in ${Intl.DateTimeFormat().resolvedOptions().timeZone}; point at one for UTC`;
}

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
  setInterval(() => { if (!busy()) location.replace(location.pathname + location.search.replace(/([?&])done=[a-z-]*&?/, "$1")); },
    Number(element.dataset.refresh) * 1000);
}
