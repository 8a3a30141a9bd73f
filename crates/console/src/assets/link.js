// Opens a link: posts its secret, which browsers keep out of requests, and forgets it.

const state = document.getElementById("link-state");
const secret = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

state.textContent = "One moment …";

const open = async () => {
  if (!secret) return "This address has no secret. Copy the whole link.";
  const response = await fetch("/console/link", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ secret, framed: window.self !== window.top }),
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) return answer.message ?? `The platform answered ${response.status}. Try again later.`;
  location.replace(answer.to);
  return "Opened.";
};

open().then((text) => { state.textContent = text; }, () => { state.textContent = "The platform could not be reached. Try again later."; });
